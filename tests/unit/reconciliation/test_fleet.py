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


def test_of_the_labels_only_the_one_that_groups_is_held_once_for_all() -> None:
    told = IN_ORDER.replace(b'"generation"', b'"labels": {"region": "n", "x": "y"}, "generation"')
    fleet = Fleet("region")
    for name in ("a", "b"):
        fleet.put(msgspec.structs.replace(msgspec.json.decode(told, type=InstanceState), id=name))
    assert fleet.states["a"].labels == {"region": "n"}
    assert fleet.states["a"].labels is fleet.states["b"].labels
    fleet.put(msgspec.json.decode(IN_ORDER, type=InstanceState))
    assert (fleet.group("a"), fleet.group("b")) == ("", "n")
    assert (fleet.groups.size(""), fleet.groups.size("n")) == (1, 1)
    fleet.drop("b")
    assert (fleet.groups.size("n"), fleet.group("b")) == (0, "")
    plain = Fleet()
    plain.put(msgspec.json.decode(told, type=InstanceState))
    assert plain.states["a"].labels is msgspec.UNSET


def test_what_differs_stays_different() -> None:
    changed = IN_ORDER.replace(b'"desiredDigest": "sha256:one"', b'"desiredDigest": "sha256:new"')
    given = msgspec.json.decode(changed, type=InstanceState)
    fleet = Fleet()
    assert fleet.put(given)
    assert fleet.states["a"] == given
