"""Console and JSON lines, levels by category, and values that cannot forge a line."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.telemetry import logs, messages
from draas.telemetry.levels import LogFormat, LoggingSettings, LogLevel

API_CLIENT = "DRaaS.Reconciliation.ReconciliationApiClient"


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    logs.configure(LoggingSettings(log_level={}), io.StringIO())
    root.handlers = handlers
    root.setLevel(level)


def configured(log_format: LogFormat = LogFormat.CONSOLE, **levels: LogLevel) -> io.StringIO:
    stream = io.StringIO()
    settings = LoggingSettings(format=log_format)
    if levels:
        settings = LoggingSettings(log_level=levels, format=log_format)
    logs.configure(settings, stream)
    return stream


def test_an_entry_begins_with_its_time_where_that_is_set() -> None:
    stream = io.StringIO()
    logs.configure(LoggingSettings(timestamps=True), stream)
    before = datetime.now(UTC)
    logs.emit(messages.NOW_LISTENING, url="http://localhost:5000")
    head, text = stream.getvalue().splitlines()
    at, _, rest = head.partition(" ")
    assert timedelta() <= datetime.fromisoformat(at) - before + timedelta(milliseconds=1)
    assert rest == "info: Microsoft.Hosting.Lifetime[14]"
    assert text == "      Now listening on: http://localhost:5000"


def test_the_console_form_is_that_of_dotnet() -> None:
    stream = configured()
    logs.emit(messages.NOW_LISTENING, url="http://localhost:5000")
    logs.emit(messages.PERIODIC_ENABLED, interval=timedelta(seconds=30))
    logs.emit(messages.CYCLE_STARTING)
    logs.emit(messages.START_REFUSED, instance_id="a", status_code=409)
    logs.emit(messages.LIST_ERROR)
    assert stream.getvalue() == (
        "info: Microsoft.Hosting.Lifetime[14]\n"
        "      Now listening on: http://localhost:5000\n"
        "info: DRaaS.Reconciliation.ReconciliationBackgroundService[0]\n"
        "      Periodic reconciliation enabled with interval: 00:00:30\n"
        "dbug: DRaaS.Reconciliation.ReconciliationBackgroundService[0]\n"
        "      Starting periodic reconciliation cycle\n"
        "warn: DRaaS.Reconciliation.ReconciliationApiClient[0]\n"
        "      Failed to start instance a. Status: 409\n"
        "fail: DRaaS.Reconciliation.ReconciliationApiClient[0]\n"
        "      Failed to get all instances from ControlPlane\n"
    )


def test_an_error_follows_its_message_indented() -> None:
    stream = configured()
    logs.emit(messages.LIST_ERROR, ValueError("one\ninfo: Forged[0]\x1b[2J"))
    lines = stream.getvalue().splitlines()
    assert lines[1] == "      Failed to get all instances from ControlPlane"
    assert lines[2:] == ["      ValueError: one", "      info: Forged[0]\\x1b[2J"]


def test_json_is_one_object_a_line_with_the_fields() -> None:
    stream = configured(LogFormat.JSON)
    with logs.context(operation_id="op-1"):
        logs.emit(
            messages.CYCLE_COMPLETE,
            checked=12,
            drift_detected=3,
            reconciled=3,
            failed=0,
            share=float("nan"),
            interval=timedelta(minutes=1),
        )
    line = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() == timedelta() and moment.year > 2000 and moment.tzinfo == UTC
    assert line == {
        "level": "Information",
        "category": "DRaaS.Reconciliation.ReconciliationBackgroundService",
        "message": "Reconciliation cycle complete. Checked: 12, Drift detected: 3, Reconciled: 3, "
        "Failed: 0",
        "operationId": "op-1",
        "checked": 12,
        "driftDetected": 3,
        "reconciled": 3,
        "failed": 0,
        "share": "nan",
        "interval": "00:01:00",
    }


def test_lines_that_belong_together_go_out_in_one_write_also_if_it_ends_badly() -> None:
    raw = io.BytesIO()
    logs.configure(LoggingSettings(), io.TextIOWrapper(raw, line_buffering=True))
    with pytest.raises(ZeroDivisionError), logs.OneWrite():
        logs.emit(messages.CONFIGURATION_CHANGED, instance_id="a")
        logs.emit(messages.CONFIGURATION_CHANGED, instance_id="b")
        assert raw.getvalue() == b""
        raise ZeroDivisionError
    assert raw.getvalue().count(b"Configuration change detected for instance") == 2
    logs.emit(messages.NOW_LISTENING, url="http://localhost:5000")
    assert raw.getvalue().endswith(b"http://localhost:5000\n")


def test_a_stream_that_fails_stops_nobody() -> None:
    stream = configured()
    stream.close()
    logs.emit(messages.NOW_LISTENING, url="http://localhost:5000")
    logging.getLogger("uvicorn.error").warning("lost")


def test_a_library_that_logs_nonsense_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = configured()
    logging.getLogger("uvicorn.error").warning("%d", "no number")
    assert stream.getvalue() == ""
    assert "no number" in capsys.readouterr().err


def test_an_error_reaches_who_else_listens() -> None:
    heard: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    logging.getLogger().handlers = [Ear()]
    error = ValueError("one")
    logs.emit(messages.LIST_ERROR, error)
    assert [each.exc_info[1] for each in heard if each.exc_info] == [error]


def test_other_libraries_log_in_the_same_form() -> None:
    stream = configured()
    logging.getLogger("uvicorn.error").warning("port %s\ntaken", 80)
    logging.getLogger("uvicorn.error").debug("not shown")
    assert stream.getvalue() == "warn: uvicorn.error[0]\n      port 80\n      taken\n"


def enabled(category: str, level: LogLevel) -> bool:
    return logging.getLogger(category).isEnabledFor(level.number)


@pytest.mark.parametrize(
    ("levels", "category", "least"),
    [
        pytest.param({}, API_CLIENT, LogLevel.INFORMATION, id="without any"),
        pytest.param({"Default": "Error"}, API_CLIENT, LogLevel.ERROR, id="default"),
        pytest.param({"DEFAULT": "Error"}, "other", LogLevel.ERROR, id="default, other case"),
        pytest.param(
            {"Default": "Error", "DRaaS": "Warning", "DRaaS.Reconciliation": "Debug"},
            API_CLIENT,
            LogLevel.DEBUG,
            id="the longest prefix",
        ),
        pytest.param(
            {"Default": "Error", "draas.reconciliation.reconciliationapiclient": "Trace"},
            API_CLIENT,
            LogLevel.TRACE,
            id="other case",
        ),
        pytest.param(
            {"Default": "Error", "DRaaS.Reconciliation.Strategies": "Trace"},
            API_CLIENT,
            LogLevel.ERROR,
            id="a sibling",
        ),
        pytest.param({API_CLIENT: "None"}, API_CLIENT, LogLevel.NONE, id="silenced"),
    ],
)
def test_levels_are_by_the_longest_prefix(
    levels: dict[str, Any], category: str, least: LogLevel
) -> None:
    settings = LoggingSettings(log_level={name: LogLevel(each) for name, each in levels.items()})
    logs.configure(settings, io.StringIO())
    order = list(LogLevel)
    shown = [level for level in order if enabled(category, level)]
    assert shown == order[order.index(least) :]


def test_configured_again_the_levels_of_before_are_gone() -> None:
    levels: dict[str, Any] = {API_CLIENT: LogLevel.TRACE}
    configured(**levels)
    configured(Default=LogLevel.ERROR)
    assert not enabled(API_CLIENT, LogLevel.WARNING)


def test_a_field_that_is_missing_is_an_error() -> None:
    configured()
    with pytest.raises(KeyError, match="status_code"):
        logs.emit(messages.START_REFUSED, instance_id="a")


@given(st.text(), st.text())
def test_no_value_forges_a_line(instance: str, differences: str) -> None:
    stream = configured()
    logs.emit(messages.DRIFT_DETECTED, instance_id=instance, differences=differences)
    head, body, end = stream.getvalue().split("\n")
    assert head == "info: DRaaS.Reconciliation.ReconciliationService[0]"
    assert body.startswith("      Drift detected for instance '") and body.isprintable()
    assert end == ""


@given(st.text(), st.text())
def test_no_value_forges_an_object(instance: str, differences: str) -> None:
    stream = configured(LogFormat.JSON)
    logs.emit(messages.DRIFT_DETECTED, instance_id=instance, differences=differences)
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["instanceId"] == instance


def test_a_stream_that_cannot_show_a_sign_gets_it_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    logs.configure(LoggingSettings(), stream)
    logs.emit(messages.DRIFT_DETECTED, instance_id="a", differences="1 → 2")
    stream.flush()
    assert raw.getvalue().endswith(rb"1 \u2192 2" + b"\n")


def test_libraries_say_only_warnings_unless_they_are_named() -> None:
    stream = io.StringIO()
    logs.configure(LoggingSettings(), stream)
    chatty = logging.getLogger("sqlalchemy.engine.Engine")
    chatty.info("INSERT … ('password')")
    assert stream.getvalue() == ""
    chatty.warning("lost")
    assert "lost" in stream.getvalue()
    logs.configure(LoggingSettings(log_level={"sqlalchemy": LogLevel.INFORMATION}), stream)
    chatty.info("asked for")
    assert "asked for" in stream.getvalue()
