"""The results for programs, build/bench.json, and for people, docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.rows import Row

BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of the results -->"
LIBRARIES = (
    "aiohttp",
    "httpx",
    "msgspec",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
)


def write(rows: list[Row], root: Path, seconds: float, load: float) -> None:
    """Write both files under `root`; the page keeps what stands around its markers."""
    build = root / "build"
    build.mkdir(parents=True, exist_ok=True)
    results = json.dumps([row.as_json() for row in rows], indent=1, ensure_ascii=False)
    (build / "bench.json").write_text(results + "\n")
    page = root / "docs" / "benchmarks.md"
    page.parent.mkdir(exist_ok=True)
    text = page.read_text() if page.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{_results(rows, seconds, load)}{END}{after}")


def _results(rows: list[Row], seconds: float, load: float) -> str:
    reached = [row.reached for row in rows if row.reached is not None]
    lines = [
        "",
        f"Machine: {os.cpu_count()} cores, {_processor()}, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        + f". Load before the run: {load:.2f}. The run took {seconds:.0f} s.",
        "",
        f"{sum(reached)} of {len(reached)} targets are reached.",
        "",
        "| what | here | naive port | ratio | target | reached |",
        "|---|--:|--:|--:|--:|:-:|",
    ]
    words = {True: "yes", False: "**no**", None: ""}
    lines += [
        f"| {row.name} | {' | '.join(row.as_cells())} | {words[row.reached]} |" for row in rows
    ]
    return "\n".join(lines) + "\n\n"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
