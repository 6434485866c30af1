"""What goes wrong in a simulated world, as a list that its seed alone decides."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

INSTANCES = ("a", "b", "c", "d", "e")
DAEMONS = (1, 1, 2, 3)
"""How many share a fleet: one by itself, as on SQLite, or several by leases."""
PAUSES = (0.0, 0.01, 0.05, 0.3, 0.7, 1.5, 3.0, 8.0, 25.0)
PEOPLE = ("patch", "go-back", "stop", "start", "delete", "tamper")
HANDS = ("release", "approve", "promote", "pause", "resume", "abort")
"""What people ask of daemons, and not of the control plane."""
SOUND = "sound"
BAD = ("failing", "sick", "dying")
"""What every strategy finds out."""
DOUBTFUL = ("erring", "slow", "fragile", "different")
"""What shows only in a second slot: beside another one, or under traffic."""
CONFIGURATIONS = (*(SOUND,) * 6, *BAD, "obscure", *DOUBTFUL)
"""What the configuration of a `patch` is like, by the number that the fault carries."""

RATES = (0, 4, 40, 40)
"""Requests that an instance gets in a second."""

_DURATIONS = (0.3, 2.0, 6.0, 20.0)
_OUTAGES = (1.0, 4.0, 12.0, 45.0)
_FREEZES = (2.0, 12.0, 30.0)
_JUMPS = (-3600.0, -70.0, -3.0, 3.0, 70.0, 3600.0)
_KINDS = {
    "patch": 8,
    "go-back": 2,
    "stop": 2,
    "start": 2,
    "delete": 1,
    "tamper": 2,
    "release": 1,
    "approve": 2,
    "promote": 2,
    "pause": 1,
    "resume": 1,
    "abort": 1,
    "crash": 4,
    "crash-candidate": 3,
    "hang-handover": 2,
    "change-traffic": 3,
    "fall-sick": 2,
    "kill-daemon": 6,
    "freeze-daemon": 3,
    "freeze-at-call": 5,
    "kill-control-plane": 2,
    "kill-at-step": 4,
    "freeze-control-plane": 1,
    "cut-control-plane": 2,
    "cut-store": 2,
    "lose-answers": 3,
    "lose-store-answers": 2,
    "repeat-calls": 2,
    "router-fails": 2,
    "slow-answers": 2,
    "slow-starts": 1,
    "slow-looks": 2,
    "stale-reads": 2,
    "jump-clock": 2,
}
"""How often each kind is drawn, relative to the others."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens `at` so many seconds after the world began.

    `target` is the number of an instance or of a daemon. `amount` is what the kind makes of it:
    steps until a death, seconds that a clock jumps, answers that are lost, which configuration.
    `seconds` is how long it lasts.
    """

    number: int
    at: float
    kind: str
    target: int = 0
    amount: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.number:>3}  {self.at:8.3f} s  {self.kind} target={self.target} "
            f"amount={self.amount:g} seconds={self.seconds:g}"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A world before it begins: its size, its settings' variant and all its faults."""

    seed: int
    instances: int
    daemons: int
    variant: int
    faults: tuple[Fault, ...]

    def only(self, numbers: frozenset[int]) -> Plan:
        """The same world with some of its faults."""
        kept = tuple(fault for fault in self.faults if fault.number in numbers)
        return Plan(self.seed, self.instances, self.daemons, self.variant, kept)


def plan_of(seed: int) -> Plan:
    """The world of a seed."""
    random = Random(f"plan {seed}")
    instances = random.randint(2, len(INSTANCES))
    at, faults = 1.0, []
    for number in range(random.randint(6, 16)):
        at += random.choice(PAUSES) * (0.5 + random.random())
        faults.append(_drawn(random, number, round(at, 3), instances))
    daemons = random.choice(DAEMONS)
    return Plan(seed, instances, daemons, random.randrange(1000), tuple(faults))


def _drawn(random: Random, number: int, at: float, instances: int) -> Fault:
    (kind,) = random.choices(tuple(_KINDS), tuple(_KINDS.values()))
    target, seconds = random.randrange(instances), random.choice(_DURATIONS)
    amount = float(random.randrange(100))
    match kind:
        case "kill-daemon":
            amount = float(random.choice((0, random.randrange(60), random.randrange(400))))
        case "freeze-daemon":
            amount = float(random.choice((0, random.randrange(60), random.randrange(200))))
            seconds = random.choice(_FREEZES)
        case "kill-at-step":
            amount, seconds = float(random.randint(1, 20)), random.choice(_OUTAGES)
        case "change-traffic":
            amount = float(random.choice(RATES))
        case "freeze-at-call":
            amount, seconds = float(random.randint(1, 12)), random.choice(_FREEZES)
        case (
            "kill-control-plane"
            | "freeze-control-plane"
            | "cut-control-plane"
            | "cut-store"
            | ("router-fails")
        ):
            seconds = random.choice(_OUTAGES)
        case "lose-answers" | "lose-store-answers" | "repeat-calls":
            amount = float(random.randint(1, 3))
        case "slow-answers":
            amount = random.choice((0.1, 0.6, 2.0))
        case "slow-starts":
            amount = random.choice((1.0, 4.0))
        case "slow-looks":
            amount, seconds = random.choice((1.0, 3.5)), 20.0
        case "stale-reads":
            amount = random.choice((0.2, 1.0, 3.0))
        case "jump-clock":
            amount = random.choice(_JUMPS)
    return Fault(number, at, kind, target, amount, seconds)
