"""The connection to the cluster that the daemon runs in, or that the kubeconfig names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from lightkube import AsyncClient, ConfigError

from draas.adapters.kubernetes.leases import KubernetesLeases
from draas.model.clock import Clock
from draas.reconciliation.store import StoreError

SECONDS = 3.0
"""A call that takes longer is no use: leases live for six."""


@asynccontextmanager
async def connected(namespace: str, clock: Clock) -> AsyncIterator[KubernetesLeases]:
    """Leases in a namespace, an empty one for where the daemon belongs.

    Raises:
        StoreError: nothing says where the cluster is.
    """
    try:
        client = AsyncClient(namespace=namespace or None, timeout=httpx2.Timeout(SECONDS))
    except (ConfigError, OSError) as error:
        raise StoreError(f"no Kubernetes cluster is known here: {error}") from error
    leases = KubernetesLeases(client, clock)
    try:
        yield leases
    finally:
        await leases.close()
