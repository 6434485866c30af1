"""JSON as .NET's configuration reads it: with comments and trailing commas; leaves with lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_DEEPEST = 64  # .NET's JsonReaderOptions.MaxDepth
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+|//[^\n]*|/\*.*?\*/)"
    r'|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))"
    r"|(?P<word>(?:true|false|null)\b)"
    r"|(?P<mark>[{}\[\]:,])",
    re.DOTALL,
)


class JsonLeaf(NamedTuple):
    """One value that holds no others: `text` is None for null and "" for an empty list."""

    path: tuple[str, ...]
    text: str | None
    line: int


class JsonSyntaxError(ValueError):
    """The text is not JSON; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, problem: str) -> None:
        self.line = line
        self.column = column
        self.problem = problem
        super().__init__(f"line {line}, column {column}: {problem}")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def read_leaves(text: str) -> list[JsonLeaf]:
    """All leaves of the object that `text` holds, list items under their index.

    Raises JsonSyntaxError, also for two keys that differ only in case and nesting beyond 64.
    """
    return list(_Reader(text).leaves())


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._scan()
        self._next = next(self._tokens)

    def leaves(self) -> Iterator[JsonLeaf]:
        if self._next.text != "{":
            raise self._error(self._next, "expected { at the start")
        yield from self._value(())
        if self._next.kind != "end":
            raise self._error(self._next, "expected nothing more after the closing }")

    def _scan(self) -> Iterator[_Token]:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(_Token("bad", "", position), "not JSON here")
            if match.lastgroup != "blank":
                yield _Token(match.lastgroup or "", match.group(), position)
            position = match.end()
        yield _Token("end", "", position)

    def _error(self, token: _Token, problem: str) -> JsonSyntaxError:
        before = self._text[: token.position]
        column = token.position - (before.rfind("\n") + 1) + 1
        return JsonSyntaxError(before.count("\n") + 1, column, problem)

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _value(self, path: tuple[str, ...]) -> Iterator[JsonLeaf]:
        token = self._take()
        line = self._text.count("\n", 0, token.position) + 1
        if len(path) > _DEEPEST:
            raise self._error(token, f"nested deeper than {_DEEPEST}")
        if token.text == "{":
            yield from self._object(path)
        elif token.text == "[":
            if self._next.text == "]":
                yield JsonLeaf(path, "", line)
            yield from self._list(path)
        elif token.kind == "string":
            yield JsonLeaf(path, self._string(token), line)
        elif token.kind in ("number", "word"):
            yield JsonLeaf(path, None if token.text == "null" else token.text, line)
        else:
            raise self._error(token, "expected a value")

    def _object(self, path: tuple[str, ...]) -> Iterator[JsonLeaf]:
        seen: set[str] = set()
        while self._next.text != "}":
            key = self._take()
            if key.kind != "string":
                raise self._error(key, "expected a key in double quotes or }")
            name = self._string(key)
            if name.casefold() in seen:
                raise self._error(key, "this key stands here twice (case does not matter)")
            seen.add(name.casefold())
            if self._take_mark(":", "expected : after the key"):
                yield from self._value((*path, *name.split(":")))
            if self._next.text != "}":
                self._take_mark(",", "expected , or }")
        self._take()

    def _list(self, path: tuple[str, ...]) -> Iterator[JsonLeaf]:
        index = 0
        while self._next.text != "]":
            yield from self._value((*path, str(index)))
            index += 1
            if self._next.text != "]":
                self._take_mark(",", "expected , or ]")
        self._take()

    def _take_mark(self, mark: str, problem: str) -> bool:
        token = self._take()
        if token.text != mark:
            raise self._error(token, problem)
        return True

    def _string(self, token: _Token) -> str:
        try:
            text = json.loads(token.text)
        except ValueError:
            raise self._error(token, "bad escape in this text") from None
        return str(text)
