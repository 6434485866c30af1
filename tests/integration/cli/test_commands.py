"""What commands do and say: each for people, and each for programs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from draas.cli.exit_codes import Code
from draas.testing.configurations import configuration
from tests.integration.cli.conftest import Fleet, fleet_in
from tests.support.eventually import eventually
from tests.support.ports import free_port

DIGEST = "sha256:" + "0" * 64


def manifest(instance_id: str, **members: Any) -> dict[str, Any]:
    return {"id": instance_id, "configuration": configuration(free_port()), **members}


async def test_what_its_user_stopped_stays_stopped_whatever_is_applied(fleet: Fleet) -> None:
    one = manifest("one")
    assert (await fleet.draas("apply", "-f", "-", stdin=one)).out == "one created\n"
    assert (await fleet.world.state("one"))["status"] == "Running"
    await fleet.draas("stop", "one")
    one["configuration"]["port"] = free_port()
    for result in ("configured", "unchanged"):
        again = await fleet.draas("apply", "-f", "-", "-o", "json", stdin=one)
        assert (again.code, again.json[0]["result"]) == (Code.OK, result)
        assert again.err == "one is stopped and stays so; `draas start one` starts it\n"
        assert (await fleet.world.state("one"))["desiredRunState"] == "Stopped"
    named = await fleet.draas("apply", "-f", "-", stdin=one | {"desiredRunState": "Running"})
    assert named.out == "one configured\n  desired run state: Running\n"
    assert (await fleet.world.state("one"))["status"] == "Running"


async def test_what_was_created_and_does_not_start_is_told_as_both(fleet: Fleet) -> None:
    fleet.world.platform.fail_launches("bad", "no such source")
    given = [manifest("bad"), manifest("good"), manifest("bad2", platformType="Nowhere")]
    done = await fleet.draas("apply", "-f", "-", "-o", "json", stdin=given)
    assert done.code == Code.FAILED
    bad, good, not_made = done.json
    assert (bad["id"], bad["result"]) == ("bad", "created")
    assert "no such source" in bad["error"]
    assert (good["id"], good["result"], "error" in good) == ("good", "created", False)
    assert (not_made["id"], not_made["result"]) == ("bad2", "failed")
    first, second = done.err.splitlines()
    assert first == f"bad: {bad['error']}"
    assert second == f"bad2: {not_made['error']}"


async def test_each_of_several_that_fail_is_told(fleet: Fleet) -> None:
    await fleet.draas("apply", "-f", "-", stdin=manifest("one"))
    done = await fleet.draas("stop", "none", "one", "nobody", "-o", "json")
    assert done.code == Code.NOT_FOUND
    assert [(each["id"], each["result"]) for each in done.json] == [
        ("none", "failed"),
        ("one", "Stopped"),
        ("nobody", "failed"),
    ]
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["none", "nobody"]


async def test_orders_answer_programs_too(fleet: Fleet) -> None:
    await fleet.draas("apply", "-f", "-", stdin=manifest("one"))
    port = free_port()

    async def answer(*command: str) -> Any:
        done = await fleet.draas(*command, "-o", "json")
        assert done.code == Code.OK, done
        return done.json

    patched = await answer("patch", "one", "--set", f"port={port}")
    assert patched == {"id": "one", "result": "configured", "generation": 2}
    settled = await answer("reconcile", "one", "--wait")
    assert (settled["instanceId"], settled["plan"]["decision"]) == ("one", "in-sync")
    assert (await answer("reconcile", "one", "--dry-run"))["plan"]["decision"] == "in-sync"
    expected = {"id": "one", "result": "Running", "port": port}
    assert await answer("restart", "one") == [expected | {"changed": True}]
    assert await answer("start", "one") == [expected | {"changed": False}]
    assert await answer("release", "one") == {"id": "one", "result": "unchanged"}
    none = {"digest": DIGEST, "instances": [], "result": "unchanged"}
    assert await answer("release", DIGEST) == none
    assert (await answer("audit", "--verify"))["intact"] is True
    assert await answer("delete", "one", "--yes") == [{"id": "one", "result": "deleted"}]


async def test_what_cannot_be_decided_or_taken_in_hand_says_why(fleet: Fleet) -> None:
    await fleet.draas("apply", "-f", "-", stdin=manifest("one"))
    for command in (("approve", "one", "--plan", DIGEST), ("reject", "one", "--plan", DIGEST)):
        done = await fleet.draas(*command, "-o", "json")
        assert (done.code, done.out) == (Code.CONFLICT, "")
        assert done.err.endswith("waits for an approval now: in-sync\n")
    for wish in ("promote", "pause", "resume", "abort"):
        done = await fleet.draas(wish, "one", "-o", "yaml")
        assert (done.code, done.out) == (Code.CONFLICT, "")
        assert "no operation is under way" in done.err


async def test_nothing_to_show_is_said_of_what_was_asked_for(fleet: Fleet) -> None:
    assert "`draas apply -f FILE` makes some" in (await fleet.draas("get")).out
    assert (
        await fleet.draas("get", "-l", "a=b", "-l", "c=d")
    ).out == "No instance has a=b and c=d.\n"
    for bad in (("one", "-l", "a=b"), ("--configurations",)):
        assert (await fleet.draas("get", *bad)).code == Code.USAGE
    assert "EnableAuditLogging=false" in (await fleet.draas("audit")).out
    for form in ("table", "json", "ndjson"):
        done = await fleet.draas("audit", "nope", "-o", form)
        assert (done.code, done.out) == (Code.NOT_FOUND, "")
    assert (await fleet.draas("release", DIGEST)).out == f"{DIGEST} is not in quarantine\n"


async def test_a_fleet_that_was_printed_can_be_applied(fleet: Fleet) -> None:
    await fleet.draas("apply", "-f", "-", stdin=[manifest("one"), manifest("two")])
    listed = await fleet.draas("get", "-o", "json")
    refused = await fleet.draas("apply", "-f", "-", stdin=listed.json)
    assert refused.code == Code.USAGE
    assert "`draas get --configurations` prints it too" in refused.err
    whole = await fleet.draas("get", "--configurations", "-o", "json")
    assert (
        whole.json[0]["configuration"]
        == (await fleet.draas("get", "one", "-o", "json")).json["configuration"]
    )
    applied = await fleet.draas("apply", "-f", "-", stdin=whole.json)
    assert applied.out == "one unchanged\ntwo unchanged\n"


async def test_the_version_has_an_option_too(fleet: Fleet) -> None:
    assert (await fleet.draas("--version")).out == (await fleet.draas("version")).out != ""


async def test_another_strategy_that_was_faster_is_named(tmp_path: Path) -> None:
    async with fleet_in(tmp_path, restart_delay=timedelta(seconds=3)) as fleet:
        one = manifest("one")
        await fleet.draas("apply", "-f", "-", stdin=one)
        one["configuration"]["queries"][0]["query"] = "MATCH (m) RETURN m"
        await fleet.draas("apply", "-f", "-", stdin=one)
        await eventually(lambda: _under_way(fleet, "one"), within=10)
        done = await fleet.draas("reconcile", "one", "--strategy", "HotApply", "--wait")
        assert done.code == Code.CONFLICT
        assert done.out == "one: in-sync\n"
        assert done.err.startswith("HotApply was not used: Restart was under way before; ")
        again = await fleet.draas("reconcile", "one", "--strategy", "HotApply", "--wait")
        assert again.code == Code.OK
        assert again.err == "nothing was left to do with HotApply: it was in sync before\n"
        one["configuration"]["queries"][0]["query"] = "MATCH (l) RETURN l"
        await fleet.draas("apply", "-f", "-", stdin=one)
        await eventually(lambda: _under_way(fleet, "one"), within=10)
        same = await fleet.draas("reconcile", "one", "--strategy", "Restart", "--wait")
        assert (same.code, same.err) == (Code.OK, "")


async def _under_way(fleet: Fleet, instance_id: str) -> bool:
    return instance_id in fleet.daemon.journal.open


async def test_the_audit_and_drift_can_be_asked_for_in_part(fleet: Fleet) -> None:
    await fleet.draas("apply", "-f", "-", stdin=[manifest("one"), manifest("two")])
    patched = await fleet.draas("patch", "one", "--set", f"port={free_port()}")
    assert patched.code == Code.OK
    assert (await fleet.draas("reconcile", "one", "--wait")).code == Code.OK

    async def found(*options: str) -> list[str]:
        done = await fleet.draas("audit", *options, "-o", "json")
        assert done.code == Code.OK, done
        return [each["outcome"] for each in done.json]

    every = await found()
    assert sorted(every) == ["started", "succeeded"]
    assert await found("--outcome", "succeeded") == ["succeeded"]
    (entry,) = (await fleet.draas("audit", "--outcome", "started", "-o", "json")).json
    assert await found("--operation", entry["operationId"]) == every
    assert await found("--since", "2000-01-01", "--until", entry["timestamp"]) == []
    assert await found("--since", entry["timestamp"]) == every
    exported = await fleet.draas("audit", "-o", "ndjson", "--outcome", "succeeded")
    assert len(exported.out.splitlines()) == 1
    none = await fleet.draas("audit", "--until", "2000-01-01")
    assert none.out == "The audit has no such entry.\n"

    assert len((await fleet.draas("drift", "--verdict", "in-sync", "-o", "json")).json) == 2
    assert (await fleet.draas("drift", "--kind", "configuration", "-o", "json")).json == []
    assert (await fleet.draas("drift", "--gate", "approval", "-o", "json")).json == []


async def test_what_makes_no_sense_is_wrong_usage(fleet: Fleet) -> None:
    for command, said in (
        (("get", "-o", "xml"), "'xml' is none of table, wide, json, yaml"),
        (("audit", "--since", "yesterday"), "2026-01-31T12:00"),
        (("audit", "--outcome", "fine"), "succeeded"),
        (("audit", "one", "--verify"), "whole audit"),
        (("drift", "--verdict", "fine"), "in-sync, drifted"),
        (("drift", "one", "--gate", "approval"), "not both"),
        *(
            ((*command, bad), "instance's id")
            for bad in ("", "a/b", "../x", "..")
            for command in (
                ("get",),
                ("explain",),
                ("stop", "one"),
                ("patch", "--set", "port=1"),
            )
        ),
    ):
        done = await fleet.draas(*command)
        assert done.code == Code.USAGE, (command, done)
        assert said in " ".join(done.err.replace("│", " ").split()), (command, done.err)


async def test_another_process_at_a_url_is_told(fleet: Fleet) -> None:
    swapped = ("--control-plane", fleet.daemon_url, "--daemon", fleet.world.url)
    for command, whose in (("get", "no control plane"), ("drift", "no daemon")):
        done = await fleet.draas(*swapped, command)
        assert (done.code, whose in done.err) == (Code.FAILED, True), done


async def test_who_is_not_there_is_told_with_a_command(fleet: Fleet) -> None:
    done = await fleet.draas("get", "nope")
    assert done.code == Code.NOT_FOUND
    assert done.err == "there is no instance 'nope'; `draas get` lists those that there are\n"
