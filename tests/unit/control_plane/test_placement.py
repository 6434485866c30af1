"""Where slots listen, what they may not share, and that nobody outside notices."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.contract.slots import MAIN, SECOND
from draas.control_plane.placement import Listener, listeners, losses, obstacles, placed, unplaced
from draas.control_plane.records import SERVER, Place

HTTP: dict[str, Any] = {"kind": "http", "id": "orders", "host": "127.0.0.1", "port": 9000}
MOCK: dict[str, Any] = {"kind": "mock", "id": "noise"}
POSTGRES: dict[str, Any] = {"kind": "postgres", "id": "shop", "database": "d", "slotName": "mine"}
SSE: dict[str, Any] = {"kind": "sse", "id": "live", "queries": ["q"], "ssePath": "/live"}
LOG: dict[str, Any] = {"kind": "log", "id": "told", "queries": ["q"]}


def document(*components: dict[str, Any], **members: Any) -> dict[str, Any]:
    sources = [each for each in components if each["kind"] in ("http", "mock", "postgres", "grpc")]
    return {
        "host": "0.0.0.0",
        "port": 8081,
        "sources": sources,
        "queries": [],
        "reactions": [each for each in components if each not in sources],
        **members,
    }


def test_every_address_that_a_document_tells_is_a_listener() -> None:
    found = listeners(document(HTTP, MOCK, SSE, LOG, {**HTTP, "id": "env", "port": "${PORT}"}))
    assert found == [
        Listener(SERVER, "0.0.0.0", 8081),
        Listener("sources/orders", "127.0.0.1", 9000),
        Listener("reactions/live", "0.0.0.0", 8080),
    ]


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        pytest.param([HTTP, MOCK, POSTGRES, SSE, LOG], None, id="all that can"),
        pytest.param([{**HTTP, "port": "${PORT}"}], "source 'orders' listens", id="by reference"),
        pytest.param([{"kind": "grpc", "id": "g"}], "source 'g' of kind 'grpc'", id="source"),
        pytest.param([{"kind": "mail", "id": "m"}], "reaction 'm' of kind 'mail'", id="reaction"),
        pytest.param(
            [{**POSTGRES, "slotName": "n" * 57}],
            "source 'shop': slotName of its second slot",
            id="name above 63 characters",
        ),
    ],
)
def test_what_two_copies_may_not_share_is_named(
    components: list[dict[str, Any]], reason: str | None
) -> None:
    found = obstacles(document(*components))
    assert (found == []) if reason is None else (len(found) == 1 and found[0].startswith(reason))


def test_queries_over_sources_that_bring_nothing_along_begin_empty() -> None:
    queries = [
        {"id": "kept", "sources": [{"sourceId": "orders"}]},
        {"id": "lost", "sources": [{"sourceId": "orders"}, {"sourceId": "shop"}]},
    ]
    found = losses(document(HTTP, POSTGRES, queries=queries))
    assert [(each.query, "shop" in each.reason) for each in found] == [("lost", True)]
    with_bootstrap = {**POSTGRES, "bootstrapProvider": {"kind": "postgres"}}
    assert losses(document(HTTP, with_bootstrap, queries=queries)) == []


def test_what_a_server_does_not_hand_over_is_lost_unless_its_source_loads_it() -> None:
    queries = [{"id": "q", "sources": [{"sourceId": "orders"}]}]
    found = losses(document(HTTP, queries=queries), hands_over=False)
    assert [(each.query, "'http'" in each.reason) for each in found] == [("q", True)]
    loading = {**HTTP, "bootstrapProvider": {"kind": "scriptfile"}}
    assert losses(document(loading, queries=queries), hands_over=False) == []
    assert obstacles(document({"kind": "mail", "id": "m"}), hands_over=False) == []


def test_a_slot_listens_inside_and_reads_under_names_of_its_own() -> None:
    placement = {
        SERVER: Place("0.0.0.0", 8081, 20000),
        "sources/orders": Place("127.0.0.1", 9000, 20001),
    }
    found = placed(document(HTTP, MOCK, POSTGRES), placement, SECOND)
    assert found["sources"] == [
        {**HTTP, "port": 20001},
        MOCK,
        {**POSTGRES, "slotName": "mine_second", "publicationName": "drasi_publication_second"},
    ]
    assert placed(document(POSTGRES), placement, MAIN)["sources"] == [POSTGRES]


@st.composite
def placements(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Place]]:
    picked = draw(st.lists(st.sampled_from([HTTP, MOCK, POSTGRES, SSE, LOG]), unique_by=str))
    found = document(*(dict(each) for each in picked))
    ports = {
        each.part: Place(each.host, each.port, 20000 + n) for n, each in enumerate(listeners(found))
    }
    return found, ports


@given(placements(), st.sampled_from([MAIN, SECOND]))
def test_what_is_placed_is_seen_as_it_was_configured(
    world: tuple[dict[str, Any], dict[str, Place]], slot: str
) -> None:
    configuration, placement = world
    assert (
        unplaced(placed(configuration, placement, slot), configuration, placement, slot)
        == configuration
    )


def test_what_was_changed_behind_our_back_stays_seen() -> None:
    placement = {SERVER: Place("h", 1, 20000), "sources/orders": Place("127.0.0.1", 9000, 20001)}
    seen = placed(document(HTTP), placement, MAIN)
    seen["sources"][0]["port"] = 9999
    seen["sources"].append(MOCK)
    found = unplaced(seen, document(HTTP), placement, MAIN)
    assert [each.get("port") for each in found["sources"]] == [9999, None]
