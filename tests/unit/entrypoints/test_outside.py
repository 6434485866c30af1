"""What a daemon asks of slots itself, and of which it takes the control plane's word."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from draas.entrypoints.outside import outside_of
from draas.model.slots import SERVING, Slot
from draas.reconciliation.options import DaemonSettings

NOWHERE = Slot(name="main", role=SERVING, host="127.0.0.1", port=1)


@pytest.mark.parametrize(
    ("control_plane", "asks"),
    [
        pytest.param("http://localhost:5000", True, id="on this machine"),
        pytest.param("http://127.0.0.1:1,http://localhost:2", True, id="several here"),
        pytest.param("http://planes.example:5000", False, id="on another"),
        pytest.param("http://localhost:1,http://planes.example:2", False, id="here and elsewhere"),
    ],
)
async def test_a_slot_on_another_machine_s_loopback_is_not_asked(
    control_plane: str, asks: bool
) -> None:
    settings = replace(DaemonSettings(), control_plane_url=control_plane)
    async with aiohttp.ClientSession() as session:
        probe = outside_of(settings, session).probe
        assert probe is not None
        found = await probe("a", NOWHERE)
    assert (found is not None) == asks
    assert found is None or not found.listens
