"""Makes smoke tests against a slot alone, before it serves anybody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

import aiohttp

from draas.adapters.candidates.address import Address, NoAnswerError, address
from draas.model.json_value import copied, encoded
from draas.model.secrets import mask
from draas.model.slots import Slot
from draas.reconciliation.smoke_tests import CommandTest, HttpTest, QueryTest, SmokeTest

LOOK_EVERY_SECONDS = 0.2
MOST_OUTPUT = 64 * 1024
TOLD = 200
"""So many characters of what a test answered are told."""


async def smoke_test(
    session: aiohttp.ClientSession, tests: tuple[SmokeTest, ...], instance_id: str, slot: Slot
) -> tuple[str, ...]:
    """What failed, each with its name and reason; all tests are made, one after the other."""
    there = address(session, slot)
    failed = []
    for test in tests:
        match test:
            case HttpTest():
                why = await _http(test, there)
            case CommandTest():
                why = await _command(test, there, instance_id, slot.name)
            case QueryTest():
                why = await _query(test, there, instance_id)
        if why:
            failed.append(f"{test.name}: {why}")
    return tuple(failed)


async def _http(test: HttpTest, there: Address) -> str:
    try:
        status, body = await there.get(test.path, test.timeout_seconds)
    except NoAnswerError as error:
        return f"GET {test.path}: {error}"
    if status != test.expect_status:
        return f"GET {test.path} answered {status} instead of {test.expect_status}"
    text = body.decode("utf-8", "replace")
    if test.expect_body is not None and test.expect_body not in text:
        return f"the answer to GET {test.path} does not hold {test.expect_body[:TOLD]!r}"
    return ""


async def _command(test: CommandTest, there: Address, instance_id: str, slot: str) -> str:
    put_in = {"{host}": there.host, "{port}": str(there.port)}
    words = [_filled(word, put_in) for word in test.command]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "DRAAS_INSTANCE": instance_id,
        "DRAAS_SLOT": slot,
        "DRAAS_HOST": there.host,
        "DRAAS_PORT": str(there.port),
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot be run: {error}"
    try:
        async with asyncio.timeout(test.timeout_seconds):
            output = await _output(process)
            code = await process.wait()
    except TimeoutError:
        return f"did not end in {test.timeout_seconds:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code == test.expect_exit:
        return ""
    said = output.decode("utf-8", "replace").strip()[-TOLD:]
    return f"ended with {code} instead of {test.expect_exit}" + (f": {said}" if said else "")


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """The last of what it writes; all of it is read, so that it never waits for a reader."""
    assert process.stdout is not None
    kept = b""
    while chunk := await process.stdout.read(MOST_OUTPUT):
        kept = (kept + chunk)[-MOST_OUTPUT:]
    return kept


async def _query(test: QueryTest, there: Address, instance_id: str) -> str:
    """A query may still be loading: it is asked again until its time is over."""
    path, why = f"/queries/{quote(test.query, safe='')}/results", "was not asked"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(test.timeout_seconds):
            while True:
                try:
                    why = _rows(test, await there.data(instance_id, path, test.timeout_seconds))
                except NoAnswerError as error:
                    why = str(error)
                if not why:
                    return ""
                await asyncio.sleep(LOOK_EVERY_SECONDS)
    return f"query {test.query!r} {why}"


def _rows(test: QueryTest, found: object) -> str:
    if not isinstance(found, list):
        return "answered no rows"
    if len(found) < test.minimum_rows:
        return f"has {len(found)} rows; expected are {test.minimum_rows} at least"
    if test.rows is None:
        return ""
    there, wanted = _counted(found), _counted(test.rows)
    if there == wanted:
        return ""
    why = f"has other rows ({len(found)}) than the {len(test.rows)} that are expected"
    told = [f"{_told(row)} is not expected" for row in list(there - wanted)[:1]]
    told += [f"{_told(row)} is missing" for row in list(wanted - there)[:1]]
    return "; ".join([why, *told])


def _counted(rows: Sequence[object]) -> Counter[str]:
    """How often there is which row; a number is the same whether or not it is written as whole."""
    return Counter(encoded(copied(row, "", [])) for row in rows)


def _told(row: str) -> str:
    return encoded(mask(json.loads(row)))[:TOLD]


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
