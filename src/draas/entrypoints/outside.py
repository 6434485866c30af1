"""Wires what a daemon asks of the world besides the control plane."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import aiohttp

from draas.adapters.candidates.probe import probe
from draas.adapters.candidates.smoke_tests import smoke_test
from draas.adapters.prometheus import Prometheus, Queries
from draas.contract.urls import base_urls
from draas.decide.health import Probed
from draas.model.slots import Slot
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.outside import Outside
from draas.reconciliation.slot_options import CounterSource
from draas.reconciliation.smoke_tests import read_smoke_tests
from draas.settings.loopback import is_loopback


def outside_of(settings: DaemonSettings, session: aiohttp.ClientSession) -> Outside:
    """All that the settings ask for, over one session."""
    options = settings.analysis
    queries = Queries(options.requests_query, options.errors_query, options.latency_query)
    by_prometheus = options.source is CounterSource.PROMETHEUS
    prometheus = Prometheus(session, options.prometheus_url, queries)
    tests = read_smoke_tests(settings.blue_green.smoke_tests)
    planes = [urlsplit(url).hostname or "" for url in base_urls(settings.control_plane_url)]
    on_its_machine = all(map(is_loopback, planes))

    async def ask(instance_id: str, slot: Slot) -> Probed | None:
        if is_loopback(slot.host) and not on_its_machine:
            return None
        return await probe(session, instance_id, slot)

    return Outside(
        probe=ask,
        smoke_test=partial(smoke_test, session, tests),
        counters=prometheus.counters if by_prometheus else None,
    )
