"""What is shown of components while they change."""

from __future__ import annotations

from typing import cast

import pytest

from draas.contract.drasi_server import QUERY
from draas.instance_host.errors import ApiError
from draas.instance_host.instance import Instance
from draas.instance_host.registry import Query, Registry
from draas.instance_host.views import one_item


class Deleting:
    """An instance, and its queries, of which the last is deleted while the engine is asked."""

    id = "shop"

    def __init__(self) -> None:
        self.registry = Registry()
        self.registry.queries["brief"] = Query("brief", {}, {})
        self.queries = self

    async def statuses(self) -> dict[str, str]:
        self.registry.queries.clear()
        return {}


async def test_what_is_deleted_while_it_is_read_is_not_found() -> None:
    with pytest.raises(ApiError) as caught:
        await one_item(cast(Instance, Deleting()), QUERY, "brief", full=True)
    assert caught.value.status == 404
