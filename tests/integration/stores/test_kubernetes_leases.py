"""The contract of leases over Lease objects: of a fake API server, and of a real one if given."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from lightkube import AsyncClient, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from draas.adapters.clock import SystemClock
from draas.adapters.kubernetes.leases import KubernetesLeases
from draas.reconciliation.leases import Leases
from draas.reconciliation.store import StoreError
from tests.contract_suites.leases import LONG, A, B, LeasesContract
from tests.support.fake_kubernetes import FakeKubernetes, kubeconfig


@pytest.fixture
async def fake() -> FakeKubernetes:
    return FakeKubernetes()


@pytest.fixture
async def on_fake(fake: FakeKubernetes, tmp_path: Path) -> AsyncIterator[KubernetesLeases]:
    async with fake.serving() as url:
        config = KubeConfig.from_file(kubeconfig(tmp_path, url, "fleet"))
        made = KubernetesLeases(AsyncClient(config), SystemClock())
        yield made
        await made.close()


class TestOnAFakeServer(LeasesContract):
    @pytest.fixture
    def leases(self, on_fake: Leases) -> Leases:
        return on_fake


@pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="KUBECONFIG leads to no cluster")
class TestOnARealServer(LeasesContract):
    @pytest.fixture
    async def leases(self) -> AsyncIterator[Leases]:
        name = f"draas-test-{uuid4().hex[:12]}"
        client = AsyncClient(namespace=name)
        await client.create(Namespace(metadata=ObjectMeta(name=name)))
        yield KubernetesLeases(client, SystemClock())
        await client.delete(Namespace, name)
        await client.close()


async def test_what_others_keep_in_the_namespace_is_left_alone(
    fake: FakeKubernetes, on_fake: KubernetesLeases
) -> None:
    theirs = {
        "metadata": {"name": "theirs", "namespace": "fleet", "resourceVersion": "7"},
        "spec": {"holderIdentity": "somebody"},
    }
    fake.leases["fleet", "theirs"] = theirs
    await on_fake.beat(A, LONG)
    await on_fake.acquire("a", ["shard/07"])
    await on_fake.leave("a")
    assert fake.leases["fleet", "theirs"] is theirs
    assert set(fake.leases) == {("fleet", "theirs"), ("fleet", "draas-lease-shard-07")}


async def test_a_lease_shows_its_holder_and_its_transitions(
    fake: FakeKubernetes, on_fake: KubernetesLeases
) -> None:
    for member in (A, B):
        await on_fake.beat(member, LONG)
        await on_fake.acquire(member.id, ["fleet"])
        lease = fake.leases["fleet", "draas-lease-fleet"]["spec"]
        assert lease["holderIdentity"] == member.id
        await on_fake.release(member.id, ["fleet"])
    assert lease["leaseTransitions"] == 1


async def test_a_server_that_fails_is_an_error_of_the_store(
    fake: FakeKubernetes, on_fake: KubernetesLeases
) -> None:
    fake.broken = True
    for call in (on_fake.beat(A, LONG), on_fake.acquire("a", ["x"]), on_fake.leave("a")):
        with pytest.raises(StoreError, match="broken on purpose"):
            await call


async def test_an_unreachable_server_is_an_error_of_the_store(tmp_path: Path) -> None:
    config = KubeConfig.from_file(kubeconfig(tmp_path, "http://127.0.0.1:1", "fleet"))
    leases = KubernetesLeases(AsyncClient(config), SystemClock())
    with pytest.raises(StoreError, match="leases"):
        await leases.beat(A, LONG)
    await leases.close()
