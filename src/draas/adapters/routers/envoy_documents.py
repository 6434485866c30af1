"""What the files of Envoy are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from draas.control_plane.router import Address

EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"

Document = dict[str, Any]


def discovery(kind: str, resources: Iterable[Mapping[str, Any]]) -> Document:
    """A file of resources; its version is the hash of what it holds, so equal files are equal."""
    found = sorted(({"@type": kind, **each} for each in resources), key=lambda each: each["name"])
    version = sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    return {"version_info": version, "type_url": kind, "resources": found}


def socket_address(address: Address) -> Document:
    """An address, as Envoy writes it."""
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def followed(path: str) -> Document:
    """A file that Envoy reads again whenever it is replaced."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}
