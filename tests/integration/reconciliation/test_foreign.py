"""The daemon over a control plane that has only the source document's endpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from draas.reconciliation.daemon import Daemon
from draas.reconciliation.store import AuditQuery
from tests.e2e.world import configuration
from tests.integration.reconciliation.daemons import running_daemon
from tests.support.eventually import eventually
from tests.support.foreign_control_plane import ForeignControlPlane


@pytest.fixture(params=["/api/servers", "/api/server"])
def foreign(request: pytest.FixtureRequest) -> ForeignControlPlane:
    made = ForeignControlPlane(request.param)
    made.create("a", configuration(port=8101))
    made.create("b", configuration(port=8102))
    return made


async def _adopted(daemon: Daemon) -> bool:
    return set(daemon.fleet.memories) == {"a", "b"}


async def _idle(daemon: Daemon) -> bool:
    return daemon.link.synced and not len(daemon.queue) and not daemon.queue.active


async def test_it_adopts_then_applies_changes_and_remembers(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    store = tmp_path / "daemon.sqlite"
    async with foreign.serving() as url:
        async with running_daemon(url, store) as daemon:
            await eventually(lambda: _adopted(daemon))
            assert daemon.control_plane is not None
            assert daemon.control_plane.capabilities.base == foreign.base
            assert daemon.control_plane.capabilities.missing
            assert foreign.log == [], "first sight adopts"
            foreign.configure("a", port=9101)

            async def applied() -> bool:
                running = foreign.running["a"]
                return running is not None and running["port"] == 9101

            await eventually(applied)
            assert foreign.log == [("stop", "a"), ("start", "a")]

            async def told() -> bool:
                return bool(await daemon.store.audit(AuditQuery(outcome="succeeded")))

            await eventually(told)
            [succeeded] = await daemon.store.audit(AuditQuery(outcome="succeeded"))
            assert (succeeded.health_before, succeeded.health_after) == ("Unknown", "Unknown")
            for adopted in await daemon.store.audit(AuditQuery(outcome="adopted")):
                assert (adopted.trigger, adopted.actor) == ("resync", "reconciliation-daemon")
        async with running_daemon(url, store) as daemon:
            await eventually(lambda: _idle(daemon))
        assert foreign.log == [("stop", "a"), ("start", "a")], "known after its own restart"


async def test_a_change_made_while_the_daemon_was_away_is_applied(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    store = tmp_path / "daemon.sqlite"
    async with foreign.serving() as url:
        async with running_daemon(url, store) as daemon:
            await eventually(lambda: _adopted(daemon))
        foreign.configure("b", port=9102)
        async with running_daemon(url, store):

            async def applied() -> bool:
                running = foreign.running["b"]
                return running is not None and running["port"] == 9102

            await eventually(applied)


async def test_a_bad_configuration_ends_with_the_one_that_this_daemon_knows_to_be_good(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    foreign.refused_ports.add(9999)
    async with foreign.serving() as url, running_daemon(url, tmp_path / "store") as daemon:
        await eventually(lambda: _adopted(daemon))
        foreign.configure("a", port=9999)

        async def rolled_back() -> bool:
            return bool(await daemon.store.audit(AuditQuery(outcome="rolled-back")))

        await eventually(rolled_back)
        running = foreign.running["a"]
        assert running is not None and running["port"] == 8101


async def test_a_user_s_stop_is_kept(foreign: ForeignControlPlane, tmp_path: Path) -> None:
    async with foreign.serving() as url, running_daemon(url, tmp_path / "store") as daemon:
        await eventually(lambda: _adopted(daemon))
        foreign.running["a"], foreign.status["a"] = None, "Stopped"
        foreign.configure("a", port=9101)
        foreign.configure("b", port=9102)

        async def other_done() -> bool:
            running = foreign.running["b"]
            return running is not None and running["port"] == 9102

        await eventually(other_done)
        await eventually(lambda: _idle(daemon))
        assert foreign.running["a"] is None
        assert ("start", "a") not in foreign.log


async def test_by_events_alone_what_was_done_is_over(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    only_events = {"enable_auto_reconciliation": False}
    async with (
        foreign.serving() as url,
        running_daemon(url, tmp_path / "daemon.sqlite", **only_events) as daemon,
    ):
        await eventually(lambda: _adopted(daemon))
        foreign.configure("a", port=9101)

        async def over() -> bool:
            ended = await daemon.store.audit(AuditQuery(instance_id="a", limit=1))
            return [entry.outcome for entry in ended] == ["succeeded"] and not daemon.fleet.plans

        await eventually(over)
        assert not daemon.fleet.drift("a")
        assert foreign.log == [("stop", "a"), ("start", "a")]


async def test_what_crashed_is_brought_back_by_a_change_though_its_stop_fails(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    async with foreign.serving() as url, running_daemon(url, tmp_path / "store") as daemon:
        await eventually(lambda: _adopted(daemon))
        foreign.crash("a")
        foreign.configure("a", port=9101)

        async def back() -> bool:
            running = foreign.running["a"]
            return running is not None and running["port"] == 9101

        await eventually(back)


async def test_a_server_that_tells_no_changes_is_ready_and_kept(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    foreign.tells_changes = False
    async with foreign.serving() as url, running_daemon(url, tmp_path / "store") as daemon:
        await eventually(lambda: _adopted(daemon))
        foreign.configure("a", port=9101)

        async def applied() -> bool:
            running = foreign.running["a"]
            assert not daemon.link.is_away
            return running is not None and running["port"] == 9101

        await eventually(applied)
        assert daemon.control_plane is not None
        assert "recent changes" in daemon.control_plane.capabilities.missing[-1]


async def test_one_garbled_configuration_blinds_nobody_to_the_others(
    foreign: ForeignControlPlane, tmp_path: Path
) -> None:
    async with foreign.serving() as url, running_daemon(url, tmp_path / "store") as daemon:
        await eventually(lambda: _adopted(daemon))
        foreign.garbled["b"] = "[" * 200_000
        foreign.configure("b", port=9102)
        foreign.configure("a", port=9101)

        async def applied() -> bool:
            running = foreign.running["a"]
            return running is not None and running["port"] == 9101

        async def unknown() -> bool:
            return "recursion" in daemon.fleet.drift("b").unknown

        await eventually(applied)
        await eventually(unknown)
        assert not daemon.link.is_away
        assert ("stop", "b") not in foreign.log
