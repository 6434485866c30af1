"""Choosing ports and asking the machine for them."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.adapters.machine.ports import bind_fault, can_bind
from draas.control_plane.port_allocation import PortsExhaustedError, choose_port

PORTS = range(8080, 9001)


@given(st.sets(st.integers(8080, 8090)), st.sets(st.integers(8080, 8090)))
def test_the_lowest_free_port_or_none(taken: set[int], in_use: set[int]) -> None:
    ports = range(8080, 8091)
    free = sorted(set(ports) - taken - in_use)
    if free:
        assert choose_port(ports, taken, lambda port: port not in in_use) == free[0]
    else:
        with pytest.raises(PortsExhaustedError):
            choose_port(ports, taken, lambda port: port not in in_use)


def test_released_ports_are_used_again() -> None:
    for _ in range(3000):
        assert choose_port(PORTS, (), lambda _: True) == 8080


def test_the_range_is_never_left() -> None:
    taken: list[int] = []
    for _ in PORTS:
        taken.append(choose_port(PORTS, taken, lambda _: True))
    assert sorted(taken) == list(PORTS)
    with pytest.raises(PortsExhaustedError) as exhausted:
        choose_port(PORTS, taken, lambda _: True)
    assert str(exhausted.value).startswith(
        "no port of 8080-9000 is free: 921 belong to instances and 0 are in use"
    )


def test_taken_ports_are_never_tried() -> None:
    tried: list[int] = []

    def refuse(port: int) -> bool:
        tried.append(port)
        return False

    with pytest.raises(PortsExhaustedError, match="1 belong to instances and 1 are in use"):
        choose_port(range(1, 3), [1], refuse)
    assert tried == [2]


@pytest.mark.parametrize("listener", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("wanted", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_in_use_is_noticed_and_one_released_is_free(listener: str, wanted: str) -> None:
    with socket.create_server((listener, 0)) as server:
        port = server.getsockname()[1]
        assert not can_bind(wanted, port)
        assert bind_fault(wanted, port) == (
            f"port {port} on {wanted} is in use; choose another port or end the program that "
            "holds it"
        )
    assert can_bind(wanted, port)


def test_connections_that_linger_keep_nobody_out() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = server.accept()
    accepted.close()
    client.close()
    server.close()
    assert bind_fault("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param("192.0.2.1", "no address of this machine", id="documentation address"),
        pytest.param("no such host", "cannot be resolved", id="no name"),
    ],
)
def test_hosts_that_cannot_be(host: str, reason: str) -> None:
    assert reason in (bind_fault(host, 9999) or "")
