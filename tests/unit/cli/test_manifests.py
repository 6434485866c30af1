"""What `draas apply` accepts, and what it refuses before anything is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from draas.cli.exit_codes import Code, CommandError
from draas.cli.manifests import read

MINIMAL = "id: a\nconfiguration: {}\n"


def _file(directory: Path, text: str) -> str:
    file = directory / "fleet.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("---\n" + MINIMAL + "---\nid: b\nconfiguration: {}\n", id="documents"),
        pytest.param("- {id: a, configuration: {}}\n- {id: b, configuration: {}}", id="list"),
        pytest.param(
            json.dumps([{"id": "a", "configuration": {}}, {"id": "b", "configuration": {}}]),
            id="json",
        ),
        pytest.param("---\n---\n" + MINIMAL + "---\n- {id: b, configuration: {}}", id="mixed"),
    ],
)
def test_one_file_holds_many_instances(tmp_path: Path, text: str) -> None:
    assert [each.id for each in read(_file(tmp_path, text))] == ["a", "b"]


def test_an_instance_should_run_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    one, two = read(
        _file(tmp_path, MINIMAL + "---\n{id: b, desiredRunState: Stopped, configuration: {}}")
    )
    assert (one.run_state, two.run_state) == (None, "Stopped")


def test_what_get_prints_can_be_applied(tmp_path: Path) -> None:
    printed = MINIMAL + "status: Running\ngeneration: 3\nreason: null\ncreatedAt: 2026-01-01\n"
    assert read(_file(tmp_path, printed)) == read(_file(tmp_path, MINIMAL))


def test_a_date_in_a_configuration_stays_text(tmp_path: Path) -> None:
    (one,) = read(_file(tmp_path, "id: a\nconfiguration: {sources: [{since: 2026-01-31}]}"))
    assert one.configuration["sources"][0]["since"] == "2026-01-31"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "holds no instance", id="empty"),
        pytest.param("a: [", "line 1", id="no YAML"),
        pytest.param("hello", "must be an object", id="text"),
        pytest.param("configuration: {}", "id is missing", id="no id"),
        pytest.param("id: 7\nconfiguration: {}", "put it in quotes", id="number as id"),
        pytest.param("id: a", "configuration must be an object", id="no configuration"),
        pytest.param(MINIMAL + "label: {a: b}", "'label' is unknown", id="unknown key"),
        pytest.param(MINIMAL + "labels: {a: 1}", "put numbers in quotes", id="number as label"),
        pytest.param(MINIMAL + "desiredRunState: Up", "one of Running, Stopped", id="run state"),
        pytest.param("{id: a, status: Running}", "get --configurations` prints", id="of a list"),
        pytest.param(MINIMAL + "---\n" + MINIMAL, "more than once", id="same id twice"),
        pytest.param("&a [*a]", "", id="a list within itself"),
    ],
)
def test_a_bad_file_is_refused_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(_file(tmp_path, text))
    assert said in str(caught.value)
    assert "fleet.yaml" in str(caught.value)
    assert caught.value.code == Code.USAGE


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match=r"nowhere\.yaml cannot be read: No such file"):
        read("nowhere.yaml")
