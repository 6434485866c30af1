"""Durations as text (R-143)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.settings import format_timespan, parse_timespan


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        pytest.param("00:00:30", timedelta(seconds=30), id="seconds"),
        pytest.param("00:01", timedelta(minutes=1), id="without seconds"),
        pytest.param("-00:00:01", timedelta(seconds=-1), id="negative"),
        pytest.param("90.00:00:00", timedelta(days=90), id="days"),
        pytest.param("1.02:03:04.5", timedelta(1, hours=2, minutes=3, seconds=4.5), id="all parts"),
        pytest.param("00:00:00.0000019", timedelta(microseconds=1), id="tenths are cut off"),
    ],
)
def test_a_time_span_is_read(text: str, duration: timedelta) -> None:
    assert parse_timespan(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1:00",
        "24:00:00",
        "00:60:00",
        "00:00:60",
        "+00:00:01",
        "00:00:00.",
        "00:00:00.12345678",
        "00:00:01 ",
        "00:00:01\n",
        "1.",
        "٠٠:٠٠:٣٠",
        "99999999.00:00",
        "1:2:3:4",
        "30s",
    ],
)
def test_other_text_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"hh:mm\[:ss\[\.fffffff\]\]"):
        parse_timespan(text)


@pytest.mark.parametrize("text", ["30", "00", "1.5", "-2"])
def test_a_bare_number_is_refused_because_it_has_no_unit(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 00:00:30 .*a bare number does not say its unit"):
        parse_timespan(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        pytest.param(timedelta(seconds=30), "00:00:30", id="as in the logs"),
        pytest.param(timedelta(), "00:00:00", id="zero"),
        pytest.param(timedelta(1, 3723, 500_000), "1.01:02:03.5000000", id="all parts"),
        pytest.param(-timedelta(days=1, seconds=1), "-1.00:00:01", id="negative"),
    ],
)
def test_a_duration_is_printed_as_dotnet_does(duration: timedelta, text: str) -> None:
    assert format_timespan(duration) == text


@given(st.timedeltas(min_value=timedelta(days=-99_999), max_value=timedelta(days=99_999)))
def test_what_is_printed_is_read_back(duration: timedelta) -> None:
    assert parse_timespan(format_timespan(duration)) == duration
