"""The benchmarks run and write what they promise; how fast anything is, is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(300)
def test_a_quick_run_writes_its_results(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text())

    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240)

    rows = json.loads((tmp_path / "build" / "bench.json").read_text())
    named = {row["name"]: row for row in rows}
    assert len(named) == len(rows)
    cycle = named["50 instances: a cycle, 10 changed: CPU of the daemon"]
    assert cycle["unit"] == "ms"
    assert cycle["ratio"] < 1
    assert named["50 instances: a cycle, nothing changed: requests"]["value"] == 1
    text = page.read_text()
    assert "**Like for like.**" in text
    assert all(f"| {name} |" in text for name in named)
