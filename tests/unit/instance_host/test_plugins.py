"""Components that plugins run, on a stand-in for an engine that has loaded some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from draas.adapters.clock import SystemClock
from draas.instance_host.change_log import ChangeLog
from draas.instance_host.engine import Engine, PluginError, Run
from draas.instance_host.errors import ApiError
from draas.instance_host.journal import Journal
from draas.instance_host.query_set import QuerySet
from draas.instance_host.reaction_set import ReactionSet
from draas.instance_host.registry import Registry
from draas.instance_host.source_set import SourceSet
from draas.instance_host.surroundings import Surroundings


class PluginEngine:
    """Holds what it is given, as an engine with a source and a reaction plugin would."""

    source_kinds = ("postgres",)
    reaction_kinds = ("storedproc",)

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self.started: set[str] = set()

    async def add_plugin_source(self, kind: str, source_id: str, config: Any, boot: Any) -> str:
        if config.get("host") == "bad":
            raise PluginError(f"bad host, password is {config['password']}")
        self.components[source_id] = (kind, config, boot)
        return source_id

    async def start_source(self, engine_id: str) -> None:
        if self.components[engine_id][1].get("host") == "down":
            raise PluginError("connection refused")
        self.started.add(engine_id)

    async def remove_source(self, engine_id: str) -> None:
        del self.components[engine_id]

    async def add_query(
        self,
        query: Any,
        sources: Any,
        deliver: Callable[[Any], None],
        fail: Callable[[str], None],
    ) -> Run:
        self.components[query["id"]] = sources
        return Run(query["id"], {})

    async def remove_query(self, run: Run) -> None:
        del self.components[run.engine_id]

    async def add_plugin_reaction(self, kind: str, id: str, queries: Any, config: Any) -> str:
        self.components[id] = (kind, queries, config)
        return id

    async def latest(self, engine_id: str) -> int:
        return 0

    async def query_statuses(self) -> dict[str, str]:
        return dict.fromkeys(self.components, "Running")

    async def remove_reaction(self, engine_id: str) -> None:
        del self.components[engine_id]


class World:
    """The three sets over one stand-in."""

    def __init__(self) -> None:
        self.engine = PluginEngine()
        self.registry = Registry()
        clock = SystemClock()
        engine = cast("Engine", self.engine)
        around = Surroundings(engine, self.registry, Journal(clock), clock, {"PW": "secret"})
        self.sources = SourceSet(around, ChangeLog("first"))
        self.queries = QuerySet(around)
        self.reactions = ReactionSet(around, self.queries)


DATABASE = {"kind": "postgres", "id": "db", "host": "h", "password": "${PW}"}
QUERY = {
    "id": "q",
    "query": "MATCH (n) RETURN n",
    "sources": [{"sourceId": "db"}],
    "autoStart": True,
}
PROCEDURE = {"kind": "storedproc", "id": "p", "queries": ["q"], "command": "CALL x"}


async def test_a_plugin_source_gets_its_resolved_properties_and_its_bootstrap() -> None:
    world = World()
    bootstrap = {"kind": "postgres"}
    source = await world.sources.add({**DATABASE, "bootstrapProvider": bootstrap})
    await world.sources.start(source)
    config = {"host": "h", "password": "secret"}
    assert world.engine.components == {"db": ("postgres", config, bootstrap)}
    assert world.engine.started == {"db"}
    assert source.config["password"] == "${PW}"


async def test_a_plugin_source_is_neither_stopped_nor_replaced() -> None:
    world = World()
    source = await world.sources.add(DATABASE)
    await world.sources.start(source)
    with pytest.raises(ApiError, match="would not hear it again"):
        await world.sources.stop(source)
    with pytest.raises(ApiError, match="delete it and its queries"):
        await world.sources.replace({**DATABASE, "host": "other"})
    assert source.status == "Running"
    await world.sources.remove(source)
    assert world.engine.components == {}


async def test_a_plugin_that_fails_is_an_error_envelope_and_leaves_nothing_behind() -> None:
    world = World()
    with pytest.raises(ApiError) as caught:
        await world.sources.add({**DATABASE, "host": "bad"})
    assert (caught.value.code, caught.value.status) == ("SOURCE_CREATE_FAILED", 500)
    assert caught.value.message.endswith("plugin: … host, password is …")
    assert world.registry.sources == {}
    source = await world.sources.add({**DATABASE, "host": "down"})
    with pytest.raises(ApiError, match="connection refused"):
        await world.sources.start(source)
    assert source.status == "Error"


PUSHED = [
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None, id="taken"),
    pytest.param(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n", 400, id="refused"),
    pytest.param(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", 500, id="failed"),
    pytest.param(b"HTTP/1.1 302 No\r\ncontent-length: 0\r\n\r\n", 500, id="sent elsewhere"),
    pytest.param(b"", 500, id="no answer"),
]


@pytest.mark.parametrize(("answer", "status"), PUSHED)
async def test_a_push_to_a_plugin_source_is_what_that_answers(
    answer: bytes, status: int | None
) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)
        writer.close()

    world = World()
    world.engine.source_kinds = ("http",)
    async with await asyncio.start_server(take, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        await world.sources.add({"kind": "http", "id": "in", "host": "127.0.0.1", "port": port})
        if status is None:
            await world.sources.push("in", {})
            return
        with pytest.raises(ApiError) as caught:
            await world.sources.push("in", {})
    assert caught.value.status == status


async def test_a_plugin_reaction_enters_the_engine_while_it_runs() -> None:
    world = World()
    await world.sources.add(DATABASE)
    await world.queries.add(QUERY)
    reaction = await world.reactions.add(PROCEDURE)
    await world.reactions.start(reaction)
    assert world.engine.components["p"] == ("storedproc", ["q"], {"command": "CALL x"})
    with pytest.raises(ApiError, match="stop reaction 'p'"):
        await world.queries.stop(world.registry.queries["q"])
    await world.reactions.stop(reaction)
    assert "p" not in world.engine.components
    await world.queries.stop(world.registry.queries["q"])
    with pytest.raises(ApiError, match="not running"):
        await world.reactions.start(reaction)
    assert reaction.status == "Error"


async def test_a_plugin_reaction_is_out_of_the_engine_while_it_is_held() -> None:
    world = World()
    await world.sources.add(DATABASE)
    await world.queries.add(QUERY)
    reaction = await world.reactions.add(PROCEDURE)
    world.reactions.held = True
    await world.reactions.start(reaction)
    assert (reaction.status, "p" in world.engine.components) == ("Running", False)
    await world.reactions.release()
    assert "p" in world.engine.components
    await world.reactions.hold()
    assert (reaction.status, "p" in world.engine.components) == ("Running", False)
