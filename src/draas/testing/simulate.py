"""`python -m draas.testing.simulate`: let many worlds happen, and tell of those that break."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from draas.testing.faults import plan_of
from draas.testing.shrink import shrunk
from draas.testing.simulation import Verdict, simulate
from draas.testing.world import Parts

MODULE = "draas.testing.simulate"
CHUNK = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 0 if nothing broke, else 1."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many worlds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of one world")
    parser.add_argument("--faults", metavar="N,N…", help="of its faults let only these happen")
    given = parser.parse_args(arguments)
    if given.replay is not None:
        return _replay(given.replay, given.faults)
    return _search(given.first, given.seeds, given.processes)


def _search(first: int, seeds: int, processes: int) -> int:
    broken = 0
    seconds = 0.0
    with ProcessPoolExecutor(processes) as pool:
        for seed, verdict in _verdicts(pool, range(first, first + seeds)):
            seconds += verdict.virtual_seconds
            if verdict.broken:
                broken += 1
                print(f"seed {seed}: {verdict.broken}", flush=True)
                print("\n".join(_smaller(seed, verdict.rule)), flush=True)
    print(f"{seeds} worlds, {seconds / 3600:.0f} simulated hours, {broken} broken")
    return 1 if broken else 0


def _verdicts(pool: ProcessPoolExecutor, seeds: range) -> Iterator[tuple[int, Verdict]]:
    return zip(seeds, pool.map(_verdict, seeds, chunksize=CHUNK), strict=True)


def _verdict(seed: int) -> Verdict:
    return simulate(plan_of(seed))


def _smaller(seed: int, rule: str) -> Iterator[str]:
    """The fewest faults that break the same rule, and how to see it again."""
    plan = shrunk(plan_of(seed), lambda smaller: simulate(smaller).rule == rule)
    yield from (f"  {fault}" for fault in plan.faults)
    yield f"  {simulate(plan).broken}"
    numbers = ",".join(str(fault.number) for fault in plan.faults)
    yield f"  again: python -m {MODULE} --replay {seed} --faults {numbers or 'none'}"


def _replay(seed: int, faults: str | None) -> int:
    plan = plan_of(seed)
    if faults is not None:
        plan = plan.only(frozenset(int(each) for each in faults.split(",") if each.isdigit()))
    verdict = simulate(plan, Parts(tell=print))
    print(verdict.broken or "all held")
    return 1 if verdict.broken else 0


def _with_fixed_hashes() -> None:
    """Begin again with the one order of sets that makes a world the same each time."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", MODULE, *sys.argv[1:]])


if __name__ == "__main__":
    _with_fixed_hashes()
    sys.exit(main())
