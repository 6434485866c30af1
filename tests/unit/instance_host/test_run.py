"""How a start that fails ends: the reason is the last line on stderr, whatever it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from draas.instance_host.server import Options, run
from draas.testing.virtual_time import VirtualClock


class NoIds(VirtualClock):
    """A clock that fails in a way that nobody foresaw."""

    def new_id(self) -> str:
        raise RuntimeError("no ids\nleft")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("{}", "unexpected failure: RuntimeError: no ids left", id="unexpected"),
        pytest.param("", "--config {}: it is empty; write {{}} for an empty server", id="empty"),
        pytest.param("# nothing", "--config {}: it is empty; write {{}} for", id="comments alone"),
        pytest.param("[]", "--config {}: configuration: must be an object", id="a list"),
    ],
)
def test_the_reason_is_the_last_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, reason: str
) -> None:
    path = tmp_path / "server.json"
    path.write_text(content)
    assert run(Options(path), NoIds(), {}) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"draas-instance: {reason.format(path)}")
