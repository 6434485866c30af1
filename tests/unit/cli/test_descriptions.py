"""What `draas apply` changes of what an instance is called."""

from typing import Any

import pytest

from draas.cli.descriptions import described
from draas.cli.manifests import Manifest

PRESENT = {"name": "one", "description": "d", "labels": {"team": "a", "zone": "1"}}


@pytest.mark.parametrize(
    ("texts", "labels", "patch", "paths"),
    [
        pytest.param({}, None, {}, [], id="nothing said"),
        pytest.param({"name": "one"}, {"zone": "1", "team": "a"}, {}, [], id="the same"),
        pytest.param({"name": "two"}, None, {"name": "two"}, ["changed name"], id="a name"),
        pytest.param(
            {"description": ""}, None, {"description": ""}, ["changed description"], id="emptied"
        ),
        pytest.param(
            {"platformType": "Docker"}, None, {}, [], id="a platform, which cannot be changed"
        ),
        pytest.param(
            {},
            {"team": "b", "x y": "2"},
            {"labels": {"team": "b", "x y": "2", "zone": None}},
            ["changed labels.team", 'added labels["x y"]', "removed labels.zone"],
            id="labels",
        ),
        pytest.param(
            {},
            {},
            {"labels": {"team": None, "zone": None}},
            ["removed labels.team", "removed labels.zone"],
            id="no labels",
        ),
    ],
)
def test_what_the_file_says_differs_and_is_patched(
    texts: dict[str, str], labels: dict[str, str] | None, patch: dict[str, Any], paths: list[str]
) -> None:
    found = described(Manifest("a", {}, texts=texts, labels=labels), PRESENT)
    assert found.patch == patch
    assert [f"{each.kind} {each.path}" for each in found.differences] == paths
