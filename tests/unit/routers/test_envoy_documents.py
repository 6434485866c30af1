"""What Envoy is told: which documents a change of a route touches."""

from __future__ import annotations

from dataclasses import replace

from draas.adapters.routers.envoy_clusters import CLUSTER, clusters_of
from draas.adapters.routers.envoy_documents import discovery
from draas.adapters.routers.envoy_listeners import listener_name, split_of
from draas.control_plane.router import Address, Route

MAIN, SECOND = Address("127.0.0.1", 9001), Address("127.0.0.1", 9002)
ALONE = Route("i1", Address("127.0.0.1", 8081), {"main": MAIN}, {"main": 100})
BOTH = replace(ALONE, backends={"main": MAIN, "second": SECOND})


def targets(route: Route) -> dict[str, int]:
    action = split_of(route)["routes"][0]["route"]
    return {each["name"]: each["weight"] for each in action["weighted_clusters"]["clusters"]}


def test_weights_touch_the_split_alone() -> None:
    shifted = replace(BOTH, weights={"main": 75, "second": 25})
    assert clusters_of(shifted) == clusters_of(BOTH)
    assert listener_name(shifted) == listener_name(BOTH)
    assert split_of(shifted) != split_of(BOTH)


def test_a_second_backend_leaves_the_cluster_of_the_first_as_it_is() -> None:
    first = clusters_of(ALONE)[0]
    assert first in clusters_of(BOTH)
    assert [each["name"] for each in clusters_of(BOTH)] == [
        "i1/main",
        "i1/second",
        "i1/main~",
        "i1/second~",
    ]


def test_what_has_no_weight_is_never_reached() -> None:
    assert targets(BOTH) == {"i1/main": 100}
    assert targets(replace(BOTH, weights={"main": 1, "second": 3})) == {
        "i1/main~": 1,
        "i1/second~": 3,
    }


def test_a_mirror_is_counted_apart() -> None:
    mirrored = replace(BOTH, mirrors=("second",))
    assert "i1/second!" in [each["name"] for each in clusters_of(mirrored)]
    action = split_of(mirrored)["routes"][0]["route"]
    assert [each["cluster"] for each in action["request_mirror_policies"]] == ["i1/second!"]


def test_only_what_was_never_sent_is_sent_again() -> None:
    action = split_of(BOTH)["routes"][0]["route"]
    assert set(action["retry_policy"]["retry_on"].split(",")) == {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }


def test_equal_files_have_equal_versions() -> None:
    one, other = clusters_of(BOTH), list(reversed(clusters_of(BOTH)))
    assert discovery(CLUSTER, one) == discovery(CLUSTER, other)
    assert discovery(CLUSTER, one)["version_info"] != discovery(CLUSTER, one[1:])["version_info"]
