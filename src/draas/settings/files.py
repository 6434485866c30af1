"""Programs and folders that settings name: they must be there when the process starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from draas.settings.faults import InvalidSettingError


def require_program(field: str, path: str, *, on_path: bool = False) -> None:
    """Raises InvalidSettingError for `field` unless it is empty or a program that can be run.

    With `on_path` a bare name is looked up on PATH too.
    """
    found = shutil.which(path) if on_path else os.access(path, os.X_OK) and Path(path).is_file()
    if path and not found:
        where = ", or the name of one on PATH" if on_path else ""
        raise InvalidSettingError(field, f"the path of a file that can be executed{where}")


def require_folder(field: str, path: str) -> None:
    """Raises InvalidSettingError for `field` unless it is empty or a folder."""
    if path and not Path(path).is_dir():
        raise InvalidSettingError(field, "the path of a folder that is there")
