"""From any accepted spelling of a document to the one in which it is stored and sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from draas.model import defaults, names
from draas.model.faults import ConfigurationError, Fault, Faults
from draas.model.json_value import copied, encoded, join
from draas.model.secrets import masked

Configuration = dict[str, Any]
"""The desired document of one Drasi server: plain JSON, flat, known names in camelCase."""

LISTS = ("sources", "queries", "reactions")
_LINE_END = re.compile(r"(?<!\r)\r+\n")


def canonical(document: Mapping[str, Any]) -> Configuration:
    """The document in its stored form: a deep copy, flat, known names in camelCase.

    Accepts names in any case and snake_case, host, port and logLevel nested in
    `serverConfiguration` (B-78) and `queryText` for `query`. The three lists are always there;
    a query always says `autoStart` and `queryLanguage`, and its lines end with LF alone, as the
    engine refuses a text of Windows's. Null of a known property is absence;
    unknown properties stay as they are (B-14). Defaults are not filled in, see `normal_form`.

    Raises `ConfigurationError` with every fault of form; meaning is checked by `validate`.
    """
    faults = Faults()
    if not isinstance(document, Mapping):
        raise ConfigurationError(
            [Fault("", type(document).__name__, "the configuration must be a JSON object")]
        )
    plain = copied(document, "", faults)
    config = _renamed(_flattened(plain, faults), names.ROOT, "", faults)
    for part in LISTS:
        config[part] = [
            _renamed(item.items(), names.COMPONENTS[part], f"{part}[{n}]", faults)
            for n, item in _objects(config.get(part, []), part, faults)
        ]
    for n, query in enumerate(config["queries"]):
        _complete(query, f"queries[{n}]", faults)
    if faults:
        raise ConfigurationError(faults)
    return config


def _flattened(plain: Configuration, faults: list[Fault]) -> Iterable[tuple[str, Any]]:
    for key, value in plain.items():
        if names.folded(key) != names.NESTED_SERVER:
            yield key, value
        elif isinstance(value, dict):
            yield from value.items()
        elif value is not None:
            faults.append(_fault(key, value, "must be an object with host, port and logLevel"))


def _renamed(
    members: Iterable[tuple[str, Any]], table: names.Names, path: str, faults: list[Fault]
) -> Configuration:
    """The members under their canonical names; two spellings of one name must agree."""
    result: Configuration = {}
    for key, value in members:
        name = table.get(names.folded(key))
        if name is None:
            name = key
        elif value is None:
            continue
        if name in result and encoded(result[name]) != encoded(value):
            message = f"{name} is given twice, in two spellings with two values: keep one"
            faults.append(_fault(join(path, name), value, message))
        result.setdefault(name, value)
    return result


def _objects(value: Any, path: str, faults: list[Fault]) -> Iterable[tuple[int, Configuration]]:
    if not isinstance(value, list):
        faults.append(_fault(path, value, "must be a list of objects"))
        return
    for n, item in enumerate(value):
        if isinstance(item, dict):
            yield n, item
        else:
            faults.append(_fault(f"{path}[{n}]", item, "must be an object"))


def _complete(query: Configuration, path: str, faults: list[Fault]) -> None:
    query.setdefault("autoStart", defaults.QUERY["autoStart"])
    query.setdefault("queryLanguage", defaults.QUERY["queryLanguage"])
    for name, spellings in defaults.EXACT_SPELLINGS.items():
        value = query.get(name)
        if isinstance(value, str):
            query[name] = next((s for s in spellings if s.lower() == value.lower()), value)
    if isinstance(query.get("query"), str):
        query["query"] = _LINE_END.sub("\n", query["query"])
    if "sources" in query:
        query["sources"] = [
            _renamed(item.items(), names.SUBSCRIPTION, f"{path}.sources[{n}]", faults)
            for n, item in _objects(query["sources"], f"{path}.sources", faults)
        ]


def _fault(path: str, value: Any, message: str) -> Fault:
    return Fault(path, masked(value, path.replace("[", ".").split(".")), message)


def for_launch(configuration: Mapping[str, Any], *, instance_id: str) -> Configuration:
    """The document as a Drasi server wants it in its file.

    `id` is the document's own or else `instance_id`; every component says `autoStart`; the server
    does not rewrite the file (`persistConfig` false) unless the document asks for it. Raises
    `ConfigurationError` as `canonical` does.
    """
    launch: Configuration = {"id": instance_id, "persistConfig": False}
    launch |= canonical(configuration)
    for part in LISTS:
        for component in launch[part]:
            component.setdefault("autoStart", True)
    return launch
