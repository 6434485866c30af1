"""The pure parts of the API: spellings of paths, strict JSON, integers for enumerations."""

import json

import pytest
from hypothesis import given

from draas.contract.bodies import strict_json
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import numbered
from draas.control_plane.api.spelling import canonical_path
from tests.support.documents import json_values

PATHS = {
    "/API/Server/Instances/AbC/Start": "/api/servers/instances/AbC/start",
    "/api/servers/instances": "/api/servers/instances",
    "/api/server": "/api/servers",
    "/api/Server/Platforms": "/api/servers/platforms",
    "/api/server/instances/SERVER/Configuration/Server/LogLevel": (
        "/api/servers/instances/SERVER/configuration/server/loglevel"
    ),
    "/Api/Configuration/Instances/X/History/2": "/api/configuration/instances/X/history/2",
    "/API/Configurations": "/api/configurations",
    "/API/Status/Updates": "/api/status/updates",
    "/api/Status/Recent-Changes": "/api/status/recent-changes",
    "/api/STATUS/UPDATES/Status": "/api/status/UPDATES/status",
    "/API/Changes": "/api/changes",
    "/OpenAPI/v1.json": "/openapi/v1.json",
    "/": "/",
    "": "",
}


@pytest.mark.parametrize(("given_path", "path"), PATHS.items())
def test_one_route_in_every_spelling(given_path: str, path: str) -> None:
    assert canonical_path(given_path) == path
    assert canonical_path(path) == path


@given(json_values)
def test_json_is_read_as_it_is(value: object) -> None:
    assert strict_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1,]", b"NaN", b"-Infinity", b"1e999", b'{"a":1,"a":1}', b'"\xff"', b"[" * 9999],
)
def test_what_is_no_json_is_malformed(text: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        strict_json(text)
    assert caught.value.kind == "malformed-body"


def test_integers_only_where_the_members_are_ours() -> None:
    free = {"metadata": {"status": "Error"}, "components": [{"status": "Running"}]}
    given_value = [{"status": "Error", "state": {"status": "Starting"}, **free}]
    assert numbered(given_value) == [{"status": 3, "state": {"status": 5}, **free}]


@pytest.mark.parametrize("word", ["ok", "not ready", "running", "3", ""])
def test_a_word_of_no_enumeration_stays(word: str) -> None:
    assert numbered({"status": word, "platformType": word}) == {
        "status": word,
        "platformType": word,
    }
