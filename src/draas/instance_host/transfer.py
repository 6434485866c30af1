"""All elements of an instance as lines of JSON: from a leader to its followers, and in a file.

    {"sequence": 7, "terms": [["…", 0]]}
    {"source": "orders", "element": {…}}
    {"end": 1}

The last line counts the elements, so that half a transfer is never taken for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from draas.instance_host.change_log import ChangeLog, Terms, line_of
from draas.instance_host.elements import Change
from draas.instance_host.errors import StartError
from draas.instance_host.parsing import parse_json
from draas.instance_host.registry import Registry

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """Where in the order of changes a transfer stands."""

    sequence: int
    terms: Terms


def export(log: ChangeLog, registry: Registry) -> Iterator[bytes]:
    """The transfer of this moment, whenever it is read, in chunks of whole lines."""
    elements = [(source.id, list(source.elements.replay())) for source in registry.sources.values()]
    lines = _lines(header_line(log), elements)
    return _chunks(lines)


def header_line(log: ChangeLog) -> bytes:
    """The first line: nothing but where the log stands."""
    return line_of({"sequence": log.sequence, "terms": log.terms})


def read_line(text: bytes) -> dict[str, Any]:
    """The document of a line; `ValueError` if it is none."""
    document = parse_json(text)
    if not isinstance(document, dict):
        raise ValueError("a line is not an object")
    return document


def read_header(document: dict[str, Any]) -> Header:
    """The first line's meaning; `ValueError` if it is another."""
    sequence, terms = document.get("sequence"), document.get("terms")
    if not isinstance(sequence, int) or not isinstance(terms, list) or not terms:
        raise ValueError("the first line must have `sequence` and `terms`")
    for term in terms:
        match term:
            case [str(), int()]:
                continue
        raise ValueError("`terms` must be pairs of an id and a number")
    return Header(sequence, [(term, start) for term, start in terms])


def read_element(document: dict[str, Any]) -> tuple[str, Change]:
    """Source id and element of a line; `ValueError` if it has none."""
    match document:
        case {"source": str(source_id), "element": {"id": str(), "labels": [*_]} as element}:
            return source_id, {**element, "op": "insert"}
    raise ValueError("a line must have `source` and `element`")


def read_file(path: Path) -> tuple[Header, list[tuple[str, Change]]]:
    """A transfer that was written to a file; `StartError` when it cannot be read or understood."""
    try:
        with path.open("rb") as file:
            return read_all(file)
    except OSError as error:
        raise StartError(f"--restore {path}: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"--restore {path}: {error}") from error


def read_all(lines: Iterable[bytes]) -> tuple[Header, list[tuple[str, Change]]]:
    """A whole transfer; `ValueError` names the number of the first bad line."""
    header: Header | None = None
    elements: list[tuple[str, Change]] = []
    number = 0
    for number, text in enumerate(lines, 1):
        try:
            document = read_line(text)
            if header is None:
                header = read_header(document)
            elif "end" in document:
                if document["end"] != len(elements):
                    raise ValueError(f"{len(elements)} elements before an end after another number")
                return header, elements
            else:
                elements.append(read_element(document))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    raise ValueError(f"it ends after line {number} without a line `end`")


def _lines(first: bytes, elements: list[tuple[str, list[Change]]]) -> Iterator[bytes]:
    yield first
    for source_id, known in elements:
        for element in known:
            yield line_of({"source": source_id, "element": element})
    yield line_of({"end": sum(len(known) for _, known in elements)})


def _chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    chunk, size = [], 0
    for text in lines:
        chunk.append(text)
        size += len(text)
        if size >= CHUNK:
            yield b"".join(chunk)
            chunk, size = [], 0
    yield b"".join(chunk)
