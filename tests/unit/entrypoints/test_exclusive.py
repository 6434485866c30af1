"""One process a data folder, and what is said of a folder that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from draas.entrypoints.exclusive import AlreadyRunningError, FolderError, exclusive


def test_the_lock_is_held_once_and_let_go_of(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "data", "x.lock"),
        pytest.raises(AlreadyRunningError, match="stop it"),
        exclusive(tmp_path / "data", "x.lock"),
    ):
        pass
    with exclusive(tmp_path / "data", "x.lock") as folder:
        assert folder == (tmp_path / "data").resolve()


@pytest.mark.parametrize("below", ["file", "file/folder"])
def test_a_folder_that_cannot_be_is_told_with_the_way_out(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError) as caught, exclusive(tmp_path / below, "x.lock"):
        pass
    assert str(tmp_path / below) in str(caught.value) and "--data" in str(caught.value)
    assert "Errno" not in str(caught.value)
