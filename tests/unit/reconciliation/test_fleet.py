"""What the daemon holds of an instance."""

import msgspec

from draas.model.instance import InstanceState
from draas.reconciliation.fleet import Fleet

IN_ORDER = b"""{"id": "a", "generation": 3, "desiredDigest": "sha256:one", "status": "Running",
    "desiredRunState": "Running", "health": "Healthy", "appliedDigest": "sha256:one",
    "appliedComponentsDigest": "sha256:two", "observedComponentsDigest": "sha256:two"}"""


def test_equal_texts_of_instances_in_order_are_held_once() -> None:
    given = msgspec.json.decode(IN_ORDER, type=InstanceState)
    fleet = Fleet()
    fleet.put(given)
    held = fleet.states["a"]
    assert held == given
    assert held.applied_digest is held.desired_digest
    assert held.observed_components_digest is held.applied_components_digest
    assert held.status is held.desired_run_state


def test_what_differs_stays_different() -> None:
    changed = IN_ORDER.replace(b'"desiredDigest": "sha256:one"', b'"desiredDigest": "sha256:new"')
    given = msgspec.json.decode(changed, type=InstanceState)
    fleet = Fleet()
    assert fleet.put(given)
    assert fleet.states["a"] == given
