"""The program `draas` itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

VERSION = (sys.executable, "-m", "draas.entrypoints.draas", "--version")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(VERSION, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "draas: the output cannot be written: No space left on device\n"
