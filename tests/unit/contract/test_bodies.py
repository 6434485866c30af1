"""What requests bring, read from a client that does as it likes."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from draas.contract.bodies import optional_body
from draas.contract.problems import ProblemError


async def test_a_body_that_never_ends_is_given_up() -> None:
    parts = iter([{"type": "http.request", "body": b'{"name":', "more_body": True}])

    async def receive() -> Any:
        for part in parts:
            return part
        return await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(ProblemError, match="did not come whole") as caught:
        await optional_body(request, within=0.05)
    assert caught.value.status == 400
