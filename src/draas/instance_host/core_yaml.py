"""YAML as drasi-server reads and needs it: the core schema of YAML 1.2.

PyYAML knows the types of YAML 1.1, where `on`, `no`, `1_000` and `12:34` are no texts and `8e12` is
one. Import it only where there is YAML: it costs milliseconds of every start.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # a PyYAML without libyaml, ten times slower
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_MERGE = "tag:yaml.org,2002:merge"
_DIGITS = "-+0123456789"
_CORE = (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_INT, r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)", list(_DIGITS)),
    (
        _FLOAT,
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list(_DIGITS + "."),
    ),
    (_MERGE, r"<<", ["<"]),
)
"""Tag, the plain texts that it is meant by, and how they begin. `0777` is a text."""
DEPTH_LIMIT = 128
"""Nodes in one another, as many as drasi-server takes."""
_BASES = {"0x": 16, "0o": 8, "0b": 2}


class _Loader(_SafeLoader):
    """The safe loader with the types of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way
    depth = 0

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Called for each node on the way down, on libyaml's stack, which has an end."""
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise yaml.YAMLError("nested too deeply")

    def ascend_resolver(self) -> None:
        """Called on the way up again."""
        self.depth -= 1


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which quotes what either version takes for something else than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written out: nobody wants to read `&id001 []`."""
        return True


for _tag, _pattern, _first in _CORE:
    for _taught in (_Loader, _Dumper):
        _taught.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


def load(text: bytes) -> Any:
    """The one document of `text`, None if there is none; `yaml.YAMLError` names place and fault.

    A key that is used twice is a fault.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_twice(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def dump(document: Any) -> str:
    """`document` in blocks, with its keys in their order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _refuse_twice(root: yaml.Node) -> None:
    nodes, visited = [root], set()
    while nodes:
        node = nodes.pop()
        if id(node) in visited or isinstance(node, yaml.ScalarNode):
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
            continue
        keys = set()
        for key, value in node.value:
            nodes += (key, value)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    fault = f"the key `{key.value}` is used twice"
                    raise yaml.MarkedYAMLError(problem=fault, problem_mark=key.start_mark)
                keys.add((key.tag, key.value))


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    return sign * int(digits, _BASES.get(digits[:2], 10))


_Loader.add_constructor(_INT, _whole)
