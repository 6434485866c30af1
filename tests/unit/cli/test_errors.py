"""Every way in which a call fails has its exit code and says the way out."""

from __future__ import annotations

import pytest

from draas.cli.addresses import Addresses
from draas.cli.drift import code_of as drift_code
from draas.cli.errors import code_of, lines_of
from draas.cli.exit_codes import Code
from draas.client.port import ControlPlaneError, GarbageError, RefusedError, UnreachableError
from draas.contract.problems import STATUS

ADDRESSES = Addresses("http://127.0.0.1:1", "http://127.0.0.1:2")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(UnreachableError("away"), Code.UNREACHABLE, id="nobody answers"),
        pytest.param(GarbageError("odd"), Code.FAILED, id="garbage"),
        pytest.param(RefusedError(502, "", "proxy"), Code.FAILED, id="no problem document"),
        *(
            pytest.param(RefusedError(STATUS[kind], kind, "no"), code, id=kind)
            for kind, code in {
                "instance-not-found": Code.NOT_FOUND,
                "no-last-good": Code.NOT_FOUND,
                "route-not-found": Code.FAILED,
                "instance-busy": Code.CONFLICT,
                "instance-running": Code.CONFLICT,
                "patch-test-failed": Code.CONFLICT,
                "precondition-failed": Code.CONFLICT,
                "invalid-configuration": Code.FAILED,
                "invalid-parameter": Code.USAGE,
                "start-failed": Code.FAILED,
                "instance-unobservable": Code.UNKNOWN,
                "control-plane-unreachable": Code.UNREACHABLE,
            }.items()
        ),
    ],
)
def test_an_error_has_one_exit_code(error: ControlPlaneError, code: Code) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("url", "option"),
    [
        pytest.param(ADDRESSES.control_plane, "--control-plane", id="control plane"),
        pytest.param(ADDRESSES.daemon, "--daemon", id="daemon"),
    ],
)
def test_who_does_not_answer_is_named_with_its_option(url: str, option: str) -> None:
    (line,) = lines_of(UnreachableError(f"{url} does not answer: Connection refused"), ADDRESSES)
    assert url in line
    assert line.endswith(option)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("/api/reconciliation/instances", "no daemon of this release", id="daemon"),
        pytest.param("/api/servers/instances", "no control plane of this", id="control plane"),
    ],
)
def test_who_is_somebody_else_is_told_so(path: str, said: str) -> None:
    error = RefusedError(404, "route-not-found", f"GET {path} is not served", {"instance": path})
    (line,) = lines_of(error, ADDRESSES)
    assert said in line
    whose = ("--daemon", ADDRESSES.daemon)
    if "control" in said:
        whose = ("--control-plane", ADDRESSES.control_plane)
    assert line.endswith(whose[0]) and whose[1] in line


def test_who_asks_for_nobody_is_told_a_command_and_no_route() -> None:
    detail = "there is no instance 'x'; GET /api/servers/instances lists them"
    assert lines_of(RefusedError(404, "instance-not-found", detail), ADDRESSES) == [
        "there is no instance 'x'; `draas get` lists those that there are"
    ]


def test_faults_and_the_line_that_matters_follow_the_detail() -> None:
    faults = [{"path": "port", "message": "too high"}, {"path": "", "message": "no object"}]
    members = {"errors": faults, "log": ["INFO hello", "ERROR no such file", "INFO bye"]}
    error = RefusedError(422, "invalid-configuration", "2 faults", members)
    assert lines_of(error, ADDRESSES) == [
        "2 faults",
        "  port: too high",
        "  document: no object",
        "  | ERROR no such file",
    ]


def test_a_server_that_has_had_its_say_in_the_detail_has_no_more() -> None:
    members = {"log": ["INFO stopping", "unknown source kind"]}
    error = RefusedError(500, "start-failed", "it ended: unknown source kind", members)
    assert lines_of(error, ADDRESSES) == ["it ended: unknown source kind"]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        pytest.param([], Code.OK, id="empty fleet"),
        pytest.param(["in-sync", "in-sync"], Code.OK, id="in sync"),
        pytest.param(["in-sync", "unknown"], Code.UNKNOWN, id="unknown"),
        pytest.param(["unknown", "drifted"], Code.DRIFT, id="drift outranks unknown"),
        pytest.param(["something new"], Code.UNKNOWN, id="a verdict of a later release"),
    ],
)
def test_drift_has_its_exit_code(verdicts: list[str], code: Code) -> None:
    assert drift_code(verdicts) == code
