"""Directories and launch files of slots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from draas.adapters.platforms.launch_file import (
    launch_document,
    safe_name,
    slot_directory,
    write_launch_file,
)
from draas.control_plane.ports import Launch

ANY_TEXT = st.text(st.characters(codec="utf-8")) | st.text("./~%a", max_size=200)


@given(ANY_TEXT)
def test_a_safe_name_is_one_visible_file_name(identity: str) -> None:
    name = safe_name(identity)
    assert name.isascii()
    assert 0 < len(name) <= 100
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")


@given(ANY_TEXT, ANY_TEXT)
def test_safe_names_are_one_to_one(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        pytest.param("orders-eu_1.a", "orders-eu_1.a", id="plain"),
        pytest.param("..", "%2E.", id="parent"),
        pytest.param("../x", "%2E.%2Fx", id="traversal"),
        pytest.param("", "%", id="empty"),
    ],
)
def test_safe_names(identity: str, name: str) -> None:
    assert safe_name(identity) == name


def test_a_slot_stays_below_the_data(tmp_path: Path) -> None:
    directory = slot_directory(tmp_path, "../../etc", "..")
    assert directory.resolve().is_relative_to(tmp_path / "instances")


def launch(configuration: dict[str, Any], port: int = 9001) -> Launch:
    return Launch("alpha", "main", configuration, "127.0.0.1", port)


def test_the_launch_wins_over_the_document() -> None:
    document = json.loads(
        launch_document(launch({"id": "other", "host": "0.0.0.0", "port": 1, "extra": [None]}))
    )
    assert document["id"] == "alpha"
    assert (document["host"], document["port"]) == ("127.0.0.1", 9001)
    assert document["extra"] == [None]
    assert document["persistConfig"] is False


def test_the_launch_document_is_yaml_too() -> None:
    text = launch_document(launch({"sources": [{"kind": "mock", "id": "8e12", "on": "yes: #"}]}))
    assert yaml.safe_load(text) == json.loads(text)


def test_equal_launches_are_equal_bytes() -> None:
    assert launch_document(launch({"a": 1, "b": 2})) == launch_document(launch({"b": 2, "a": 1}))
    assert launch_document(launch({"a": 1})) != launch_document(launch({"a": 1}, port=9002))


def test_a_launch_file_replaces_the_last_one(tmp_path: Path) -> None:
    directory = slot_directory(tmp_path, "alpha", "main")
    write_launch_file(directory, b"{}" * 100)
    directory.chmod(0o755)
    (directory / "config.json.new").write_text("left by a crash")
    path = write_launch_file(directory, b"[]")
    assert path.read_bytes() == b"[]"
    assert [each.name for each in directory.iterdir()] == ["config.json"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700
