"""JSON Patch (RFC 6902) on a configuration: all of it or nothing (B-79)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
import jsonpointer

from draas.model import names
from draas.model.canonical import Configuration, canonical
from draas.model.faults import ConfigurationError, Fault
from draas.model.json_value import copied, encoded
from draas.model.secrets import mask, masked

_MEMBERS = {
    "add": ("path", "value"),
    "replace": ("path", "value"),
    "test": ("path", "value"),
    "remove": ("path",),
    "move": ("path", "from"),
    "copy": ("path", "from"),
}
_OPS = ", ".join(_MEMBERS)
MOST_OPERATIONS = 2_000
"""How many operations a patch may have: each may look at the whole document."""
MOST_COPIED = 8 * 1024 * 1024
"""How many bytes all `copy` of a patch may add: each could double the document."""
_SPREAD = ("add", "replace", "test")
SERVER = ("host", "port", "logLevel")
"""The settings that the server part has, and nothing else."""
_NESTED = "serverConfiguration"

Operation = dict[str, Any]


class PatchError(ValueError):
    """A patch that was not applied; the document is as it was."""


class PatchMalformed(PatchError):  # noqa: N818 - named by what happened
    """The patch itself is wrong: no array, an unknown op, a missing member, a bad pointer."""


class PatchPathMissing(PatchError):  # noqa: N818 - named by what happened
    """An operation names a place that the document does not have."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class PatchTestFailed(PatchError):  # noqa: N818 - named by what happened
    """A `test` found another value, or nothing; `actual` has its secrets masked, `expected` too."""

    def __init__(self, path: str, expected: Any, actual: Any = None, found: str = "") -> None:
        found = found or encoded(actual)
        super().__init__(f"{path}: the test expected {encoded(expected)} but found {found}")
        self.path = path
        self.expected = expected
        self.actual = actual


def apply_patch(document: Mapping[str, Any], operations: Any) -> Configuration:
    """The canonical document after all `operations`; neither argument is changed.

    Pointers may use any spelling that documents may: any case, `/serverConfiguration/port`,
    `/queries/0/queryText`. The result is canonical, not validated. Raises `PatchError`s, and
    `ConfigurationError` where the patched document has lost its form.
    """
    return _patched(document, _read(operations))


def apply_server_patch(document: Mapping[str, Any], operations: Any) -> Configuration:
    """As `apply_patch`, where host, port and logLevel are all that there is.

    Pointers begin there, `""` is an object of the three, and any other place is missing.
    """
    read = _read(operations, base=[names.NESTED_SERVER])
    places = {f"/{name}" for name in (*SERVER, _NESTED)}  # as a whole it is only tested
    for operation in read:
        for path in (operation[member] for member in ("path", "from") if member in operation):
            if path not in places:
                reason = "the server part has host, port and logLevel; PATCH the configuration"
                raise PatchPathMissing(path, reason)
    return _patched(document, read)


def _patched(document: Mapping[str, Any], operations: list[Operation]) -> Configuration:
    config = canonical(document)
    try:
        return canonical(_all_applied(config, operations))
    except RecursionError:
        raise PatchMalformed("the patch nests the document too deep") from None


def _read(operations: Any, base: Sequence[str] = ()) -> list[Operation]:
    """The checked operations, copied, with canonical pointers, which begin at `base`."""
    if not isinstance(operations, list | tuple):
        raise PatchMalformed("a JSON Patch must be an array of operations (RFC 6902)")
    if len(operations) > MOST_OPERATIONS:
        raise PatchMalformed(
            f"{len(operations)} operations are more than {MOST_OPERATIONS}: send several patches,"
            " or PUT the whole configuration"
        )
    faults: list[Fault] = []
    plain = copied(operations, "", faults)
    if faults:
        raise PatchMalformed(str(faults[0]))
    return [part for n, item in enumerate(plain) for part in _spread(n, item, base)]


def _spread(n: int, item: Any, base: Sequence[str]) -> list[Operation]:
    """One operation as those on canonical places: the nested server object has three of them."""
    item = _defined(n, item)
    pointers = {
        member: _tokens(n, item[member], base) for member in ("path", "from") if member in item
    }
    if not any(_is_nested(tokens) for tokens in pointers.values()):
        return [item | {member: _pointer(tokens) for member, tokens in pointers.items()}]
    if item["op"] not in _SPREAD or not isinstance(item["value"], dict):
        raise PatchMalformed(
            f"operation {n}: serverConfiguration as a whole can only be added, replaced or tested"
            " with an object; name /host, /port or /logLevel instead"
        )
    canonical({_NESTED: item["value"]})  # raises where it says one thing in two ways
    given = {_pointer(_canonical_tokens([key])): value for key, value in item["value"].items()}
    if item["op"] == "test":
        whole = {path.removeprefix("/"): value for path, value in given.items()}
        return [{"op": "test", "path": f"/{_NESTED}", "value": whole}]
    return [{"op": "add", "path": path, "value": value} for path, value in given.items()]


def _defined(n: int, item: Any) -> Operation:
    """The members that the operation defines; others are ignored (RFC 6902, 4)."""
    if not isinstance(item, dict):
        raise PatchMalformed(f"operation {n}: must be an object with op and path")
    op = _member(n, item, "op")
    if not isinstance(op, str) or op not in _MEMBERS:
        raise PatchMalformed(f"operation {n}: op {encoded(op)} is none of {_OPS}")
    found = {"op": op}
    for name in _MEMBERS[op]:
        found[name] = _member(n, item, name)
        if found[name] is None and name not in map(str.lower, item):
            raise PatchMalformed(f"operation {n}: {op} needs the member {name!r}")
    return found


def _member(n: int, item: Mapping[str, Any], name: str) -> Any:
    """The member in whatever case, `None` if there is none."""
    given = [value for key, value in item.items() if key.lower() == name]
    if len(given) > 1:
        raise PatchMalformed(f"operation {n}: has {name} in two spellings: keep one")
    return given[0] if given else None


def _tokens(n: int, pointer: Any, base: Sequence[str]) -> list[str]:
    try:
        if not isinstance(pointer, str):
            raise TypeError(f"{encoded(pointer)} is not text")
        tokens = jsonpointer.JsonPointer(pointer).parts
        return _canonical_tokens([*([] if _is_nested(tokens[:1]) else base), *tokens])
    except (jsonpointer.JsonPointerException, TypeError) as error:
        raise PatchMalformed(f"operation {n}: bad JSON pointer: {error}") from error


def _canonical_tokens(tokens: list[str]) -> list[str]:
    if len(tokens) > 1 and _is_nested(tokens[:1]):
        tokens = tokens[1:]
    places: list[names.Names | None] = [names.ROOT]
    renamed: list[str] = []
    for token in tokens:
        table = places[len(renamed)] if len(renamed) < len(places) else None
        renamed.append(table.get(names.folded(token), token) if table else token)
        if len(renamed) == 1 and renamed[0] in names.COMPONENTS:
            places += [None, names.COMPONENTS[renamed[0]]]
        if len(renamed) == 3 and (renamed[0], renamed[2]) == ("queries", "sources"):
            places += [None, names.SUBSCRIPTION]
    return renamed


def _is_nested(tokens: list[str]) -> bool:
    return len(tokens) == 1 and names.folded(tokens[0]) == names.NESTED_SERVER


def _pointer(tokens: list[str]) -> str:
    return str(jsonpointer.JsonPointer.from_parts(tokens).path)


def _all_applied(config: Configuration, operations: list[Operation]) -> Configuration:
    bytes_copied = 0
    for operation in operations:
        if operation["op"] == "copy":
            bytes_copied += _size(config, operation["from"])
            if bytes_copied > MOST_COPIED:
                raise PatchMalformed(f"the patch copies more than {MOST_COPIED} bytes in all")
        config = _applied(config, operation)
    return config


def _size(config: Configuration, path: str) -> int:
    found = jsonpointer.resolve_pointer(config, path, None)
    return 0 if isinstance(found, jsonpointer.EndOfList) else len(encoded(found))


def _applied(config: Configuration, operation: Operation) -> Configuration:
    path = operation["path"]
    if isinstance(operation.get("value"), dict | list):
        operation = operation | {"value": _canonical_value(path, operation["value"])}
    if operation["op"] == "test":
        _test(config, path, operation["value"])
        return config
    if operation["op"] == "move" and path.startswith(f"{operation['from']}/"):
        raise PatchPathMissing(path, f"{operation['from']} cannot be moved into itself")
    try:
        after: Configuration = jsonpatch.JsonPatch([operation]).apply(config, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, LookupError) as error:
        # The library's own text quotes the document, and with it its secrets.
        place = path if "from" not in operation else f"{operation['from']} or {path}"
        raise PatchPathMissing(place, f"the document has no place to {operation['op']}") from error
    return after


def _canonical_value(path: str, value: Any) -> Any:
    """The value as the document will have it at this place.

    What it brings may be spelled in any way, and the next pointer expects canonical names. What has
    lost its form stays as it is: the document is refused for it, if it is still there at the end.
    """
    try:
        match jsonpointer.JsonPointer(path).parts:
            case []:
                return canonical(value)
            case [part] if part in names.COMPONENTS:
                return canonical({part: value})[part]
            case [part, _] if part in names.COMPONENTS:
                return canonical({part: [value]})[part][0]
            case ["queries", _, "sources"]:
                return canonical({"queries": [{"sources": value}]})["queries"][0]["sources"]
            case ["queries", _, "sources", _]:
                return canonical({"queries": [{"sources": [value]}]})["queries"][0]["sources"][0]
    except ConfigurationError:
        pass
    return value


def _test(config: Configuration, path: str, expected: Any) -> None:
    if path == f"/{_NESTED}":
        config = {_NESTED: {name: config[name] for name in SERVER if name in config}}
    pointer = jsonpointer.JsonPointer(path)
    try:
        actual = pointer.resolve(config)
    except (jsonpointer.JsonPointerException, LookupError):
        actual = jsonpointer.EndOfList(config)
    if isinstance(actual, jsonpointer.EndOfList):
        raise PatchTestFailed(path, masked(expected, pointer.parts), found="nothing there")
    if encoded(actual) != encoded(expected):
        shown = pointer.resolve(mask(config))
        secret = encoded(shown) != encoded(actual)
        raise PatchTestFailed(path, "***" if secret else mask(expected), shown)
