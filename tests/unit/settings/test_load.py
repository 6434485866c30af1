"""Files, environment and command line to typed settings (R-141, R-142, B-45, B-119)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.settings import InvalidSettingError, SettingsError, load, setting
from draas.settings.binding import own_words
from draas.settings.schema import describe
from draas.settings.sources import misspelt


class Colour(Enum):
    RED = "Red"
    DARK_BLUE = "DarkBlue"


@dataclass(frozen=True)
class Inner:
    count: int = setting(3, minimum=0, maximum=10)
    wait_time: timedelta = setting(timedelta(seconds=5), minimum=timedelta())
    share: float = setting(0.5, maximum=1.0)
    colour: Colour = setting(Colour.RED)
    steps: tuple[int, ...] = setting((5, 25), minimum=1)
    levels: Mapping[str, str] = setting({"Default": "low"}, choices=("low", "high"))
    first: int = setting(1)
    last: int = setting(2)

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidSettingError("last", "no less than First")


@dataclass(frozen=True)
class Outer:
    name: str = setting("fleet")
    folder: Path = setting(Path("data"))
    enabled: bool = setting(True)
    token: int = setting(0, secret=True)
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Neighbour:
    elsewhere: Inner = field(default_factory=Inner)


def read(
    directory: Path, arguments: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> Outer:
    return load(Outer, directory=directory, environ=environ or {}, arguments=arguments)


def faults(directory: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(directory, arguments, environ)
    return list(caught.value.faults)


def test_without_sources_the_defaults_stand(tmp_path: Path) -> None:
    assert read(tmp_path) == Outer()


def test_each_source_overrides_the_one_before_leaf_by_leaf(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Inner": {"Count": 1, "Share": 0.1, "First": 0}}')
    (tmp_path / "appsettings.Test.json").write_text('{"inner": {"count": 2, "share": "0.2"}}')
    environ = {"DRAAS_ENVIRONMENT": "Test", "INNER__COUNT": "4", "Inner__Colour": "darkblue"}
    settings = read(tmp_path, ("--inner:count=5",), environ)
    assert settings.inner == Inner(count=5, share=0.2, first=0, colour=Colour.DARK_BLUE)


def test_the_environment_is_production_unless_named(tmp_path: Path) -> None:
    (tmp_path / "appsettings.Production.json").write_text('{"Name": "p"}')
    assert read(tmp_path).name == "p"
    assert read(tmp_path, environ={"DOTNET_ENVIRONMENT": "Staging"}).name == "fleet"
    assert "DOTNET_ENVIRONMENT" in faults(tmp_path, environ={"DOTNET_ENVIRONMENT": "../x"})[0]


def test_comments_trailing_commas_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    text = '\ufeff{ // one\n "Name": "a//b", /* two\n */ "Inner": {"Steps": [1, 2,],},\n}'
    (tmp_path / "appsettings.json").write_text(text, encoding="utf-8")
    assert read(tmp_path) == Outer(name="a//b", inner=Inner(steps=(1, 2)))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--Inner:WaitTime=00:01:00",), id="equals"),
        pytest.param(("--Inner:WaitTime", "00:01:00"), id="two words"),
        pytest.param(("/Inner:WaitTime=00:01:00",), id="slash"),
        pytest.param(("/inner:waittime", "00:01:00"), id="slash, two words, other case"),
        pytest.param(("--Inner:WaitTime=00:09:00", "--Inner:WaitTime=00:01:00"), id="last counts"),
    ],
)
def test_the_command_line_has_several_forms(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert read(tmp_path, arguments).inner.wait_time == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("file", "arguments", "steps"),
    [
        pytest.param({"Steps": [1, 2, 3]}, (), (1, 2, 3), id="replaces the default"),
        pytest.param({"Steps": [1, 2]}, ("--Inner:Steps:1=9",), (1, 9), id="one item"),
        pytest.param({"Steps": []}, (), (), id="empty"),
        pytest.param({"Steps": [1]}, ("--Inner:Steps=",), (), id="emptied"),
        pytest.param({"Steps": []}, ("--Inner:Steps:0=7",), (7,), id="filled again"),
    ],
)
def test_lists_are_said_by_index(
    tmp_path: Path, file: Any, arguments: tuple[str, ...], steps: tuple[int, ...]
) -> None:
    (tmp_path / "appsettings.json").write_text(json.dumps({"Inner": file}))
    assert read(tmp_path, arguments).inner.steps == steps


def test_an_emptied_list_forgets_its_items(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Inner": {"Steps": [1, 2]}}')
    (tmp_path / "appsettings.Production.json").write_text('{"Inner": {"Steps": []}}')
    assert read(tmp_path, ("--Inner:Steps:0=7",)).inner.steps == (7,)


def test_a_rule_between_two_is_not_judged_while_one_is_bad(tmp_path: Path) -> None:
    found = faults(tmp_path, "--Inner:First=x", "--Inner:Last=0")
    assert found == ["Inner:First = 'x' (command line): expected a whole number"]


def test_maps_keep_their_defaults_and_spelling(tmp_path: Path) -> None:
    environ = {"inner__levels__default": "HIGH", "inner__levels__A.B": "low"}
    assert read(tmp_path, environ=environ).inner.levels == {"Default": "high", "A.B": "low"}


def test_the_rest_of_the_environment_is_not_ours(tmp_path: Path) -> None:
    environ = {"INNER": "1", "PATH": "/bin", "Other__Thing": "x", "__": "", "Name__X": "1"}
    assert read(tmp_path, environ=environ) == Outer()


def test_keys_of_a_neighbour_are_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Elsewhere": {"Count": 99}, "Name": "n"}')
    settings = load(Outer, directory=tmp_path, environ={}, also={"the neighbour": Neighbour})
    assert settings.name == "n"
    assert "Elsewhere:Count" in faults(tmp_path)[0]


@pytest.mark.parametrize("value", ["1", "99", "abc"])
def test_a_key_of_a_neighbour_on_our_command_line_is_a_fault(tmp_path: Path, value: str) -> None:
    arguments = ("--Name=n", f"--Elsewhere:Count={value}")
    neighbours = {"the neighbour": Neighbour}
    with pytest.raises(SettingsError) as caught:
        load(Outer, directory=tmp_path, environ={}, arguments=arguments, also=neighbours)
    assert list(caught.value.faults) == [
        "Elsewhere:Count (command line): a setting of the neighbour, not read here"
    ]


def test_a_command_line_for_both_is_divided() -> None:
    both = ["--Name", "n", "--Elsewhere:Count=1", "/elsewhere:share", "0.1", "--Inner:Count=2"]
    unknown = ["--Nothing=1", "word", "--Elsewhere:Nothing=1"]
    assert own_words([*both, *unknown], Outer, Neighbour) == [
        *("--Name", "n", "--Inner:Count=2"),
        *unknown,
    ]
    assert own_words([*both, *unknown], Neighbour, Outer) == [*both[2:5], *unknown]


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        pytest.param(
            "--Inner:Count=x",
            "Inner:Count = 'x' (command line): expected a whole number, from 0 to 10",
            id="not a number",
        ),
        pytest.param(
            "--inner:count=11",
            "Inner:Count = '11' (command line): expected a whole number, from 0 to 10",
            id="too great",
        ),
        pytest.param(
            "--Inner:Share=nan",
            "Inner:Share = 'nan' (command line): expected a number, at most 1.0",
            id="not a finite number",
        ),
        pytest.param(
            "--Enabled=yes",
            "Enabled = 'yes' (command line): expected true or false",
            id="not a boolean",
        ),
        pytest.param(
            "--Inner:Colour=green",
            "Inner:Colour = 'green' (command line): expected one of Red, DarkBlue",
            id="not in the enumeration",
        ),
        pytest.param(
            "--Inner:Levels:X=mid",
            "Inner:Levels:X = 'mid' (command line): expected one of low, high",
            id="bad entry of a map",
        ),
        pytest.param(
            "--Inner:Steps:1=0",
            "Inner:Steps:1 = '0' (command line): expected a whole number, at least 1",
            id="bad item",
        ),
        pytest.param(
            "--Inner:Steps:one=1",
            "Inner:Steps:one = '1' (command line): expected an index counted from 0, such as "
            "Inner:Steps:0",
            id="bad index",
        ),
        pytest.param(
            "--Inner:Conut=1",
            "Inner:Conut (command line): unknown key; did you mean Inner:Count?",
            id="mistyped",
        ),
        pytest.param(
            "--Inner=1",
            "Inner (command line): unknown key; known here are Name, Folder, Enabled, Token, Inner",
            id="a section",
        ),
        pytest.param(
            "--Nowhere:Foo=1",
            "Nowhere:Foo (command line): unknown key; known sections are Inner",
            id="unknown section",
        ),
        pytest.param(
            "--Inner:Last=0",
            "Inner:Last = '0' (command line): expected no less than First",
            id="a rule between two",
        ),
        pytest.param(
            "--Inner:First=3",
            "Inner:Last = '2' (default): expected no less than First",
            id="a rule broken by the default",
        ),
        pytest.param("stray", "'stray' (command line): expected --Section:Key=value", id="stray"),
        pytest.param("--Name", "Name (command line): has no value; write --Name=…", id="no value"),
        pytest.param(
            "--Name=a\x00\n", "Name = 'a\\x00\\n' (command line): expected text", id="control signs"
        ),
    ],
)
def test_a_fault_names_key_value_origin_and_what_is_allowed(
    tmp_path: Path, argument: str, line: str
) -> None:
    assert faults(tmp_path, argument) == [line]


def test_all_faults_are_said_at_once_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text(
        '{\n"Inner": {\n "Count": 30,\n "WaitTime": 30, "First": null}}'
    )
    found = faults(tmp_path, "--Enabled=1", environ={"inner__SHAR": "1", "NAME": "ok"})
    assert [line.split(": ")[0] for line in found] == [
        "Inner:Count = '30' (appsettings.json line 3)",
        "Inner:WaitTime = '30' (appsettings.json line 4)",
        "Inner:First = null (appsettings.json line 4)",
        "inner:SHAR (environment variable inner__SHAR)",
        "Enabled = '1' (command line)",
    ]


def test_two_variables_for_one_key_are_refused(tmp_path: Path) -> None:
    found = faults(tmp_path, environ={"Inner__Count": "1", "INNER__COUNT": "2"})
    assert len(found) == 1 and "INNER__COUNT and Inner__Count" in found[0]


def test_secrets_and_passwords_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Token": "hunter2", "Tokn": "hunter2"}')
    found = "\n".join(faults(tmp_path, "--Inner:Count=http://me:hunter2@host"))
    assert "Token = (not shown) (appsettings.json line 1)" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param('{\n  "Name" "x"}', "line 2, column 10: expected : after the key", id="colon"),
        pytest.param('{"Name": }', "line 1, column 10: expected a value", id="value"),
        pytest.param('{"Name": "x"\n', "line 2, column 1: expected , or }", id="open"),
        pytest.param("[1]", "line 1, column 1: expected { at the start", id="a list"),
        pytest.param("", "line 1, column 1: expected { at the start", id="empty"),
        pytest.param("{} x", "line 1, column 4: not JSON here", id="more"),
        pytest.param('{"A": 1, "a": 2}', "line 1, column 10: this key stands here", id="twice"),
        pytest.param('{"A": "\\q"}', "line 1, column 7: bad escape in this text", id="escape"),
        pytest.param('{"A": 01}', "line 1, column 7: not JSON here", id="octal"),
        pytest.param('{"A":' + "[" * 99, "nested deeper than 64", id="deep"),
        pytest.param("{ /* x", "line 1, column 3: not JSON here", id="open comment"),
    ],
)
def test_a_syntax_error_says_file_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "appsettings.json").write_text(text)
    found = faults(tmp_path)
    assert len(found) == 1 and str(tmp_path / "appsettings.json") in found[0] and place in found[0]


def test_a_file_that_is_not_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_bytes(b'{"Name": "\xff"}')
    assert faults(tmp_path) == [f"{tmp_path / 'appsettings.json'}: not UTF-8 at byte 10"]


KEYS = st.sampled_from(["Inner", "Count", "Steps", "Levels", "Name", "Token", "First"]) | st.text()
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@given(DOCUMENTS)
def test_any_document_loads_or_is_refused(document: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "appsettings.json").write_text(json.dumps(document))
        try:
            settings = read(Path(folder))
        except SettingsError as error:
            assert error.faults and all(line.isprintable() for line in error.faults)
        else:
            assert 0 <= settings.inner.count <= 10


@given(st.lists(st.text(max_size=20) | st.just("--Inner:Count"), max_size=5))
def test_any_command_line_loads_or_is_refused(arguments: list[str]) -> None:
    try:
        settings = read(Path("/nonexistent"), tuple(arguments))
    except SettingsError as error:
        assert error.faults
    else:
        assert 0 <= settings.inner.count <= 10


def test_a_section_that_is_null_is_empty(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Inner": null}')
    assert load(Outer, directory=tmp_path, environ={}, arguments=[]) == Outer()


def test_a_variable_of_a_section_that_is_nearly_one_is_told() -> None:
    known = list(describe(Outer))
    for name, meant in (
        ("Iner__Count", "Inner__Count"),
        ("INNERR__A__B", "Inner__A__B"),
        ("Draas__Inner__Count", "Inner__Count"),
        ("DRAAS_INNER__COUNT", "INNER__COUNT"),
        ("Draas__Name", "Name"),
        ("Inner_Count", "Inner__Count"),
        ("INNER_WAIT_TIME", "Inner__WaitTime"),
        ("Na_me", "Name"),
    ):
        said = f"environment variable {name} is not read; did you mean {meant}?"
        assert misspelt({name: "1"}, known) == [said]


@pytest.mark.parametrize(
    "name",
    [
        *("Inner__Nothing", "Nothing__Count", "Iner", "Iner__", "__Iner", "Name", "INNER__COUNT"),
        *("DRAAS_ENVIRONMENT", "DRAAS_CONTROL_PLANE_URL", "Draas__Nothing", "Inner_Nothing"),
    ],
)
def test_other_variables_are_not_ours(name: str) -> None:
    assert misspelt({name: "1"}, list(describe(Outer))) == []


def test_a_service_of_kubernetes_is_none_of_ours() -> None:
    assert misspelt({"INNER_COUNT": "tcp://10.0.0.1:80"}, list(describe(Outer))) == []
