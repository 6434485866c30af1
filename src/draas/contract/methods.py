"""Which methods a path is served under, for the `Allow` of a 405 (RFC 9110, 15.5.6)."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any


def allowed(routes: Iterable[Any], scope: MutableMapping[str, Any]) -> str:
    """The methods of all routes that match the path of the request, in the form of the header.

    The web framework names those of the first route alone.
    """
    found = [each for each in routes if hasattr(each, "methods") and each.matches(scope)[0].value]
    return ", ".join(sorted({method for each in found for method in each.methods}))
