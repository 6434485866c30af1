"""What can be set: frozen dataclasses described by the metadata of their fields."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from draas.settings.timespan import LONGEST


def setting(
    default: Any,
    *,
    minimum: Any = None,
    maximum: Any = None,
    choices: tuple[str, ...] = (),
    form: str = "",
    secret: bool = False,
    help: str = "",
) -> Any:
    """A field of a settings class; bounds include their ends, a `secret` is never shown.

    `form` says in words what a text must be, where the class sees to that itself.
    `default` is the value itself; a mapping is copied for each object. A time span without a
    `maximum` is bounded all the same: a hundred years are for ever.
    """
    if maximum is None and isinstance(default, timedelta):
        maximum = LONGEST
    metadata = {
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "form": form,
        "secret": secret,
        "help": help,
    }
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set; `kind` is the type of the value or of each item."""

    path: tuple[str, ...]
    kind: type
    shape: Literal["one", "list", "map"]
    default: Any
    minimum: Any = None
    maximum: Any = None
    choices: tuple[str, ...] = ()
    form: str = ""
    secret: bool = False
    help: str = ""

    @property
    def key(self) -> str:
        """The name as users write it: `Reconciliation:MaxRetries`."""
        return ":".join(self.path)


def pascal(name: str) -> str:
    """`retry_delay` → `RetryDelay`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def sections(cls: type) -> Iterator[tuple[str, type]]:
    """The fields of the settings class `cls` that are settings classes, with those."""
    for name, kind in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield name, kind


def describe(cls: type, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Everything that can be set in the settings class `cls`, in the order of its fields.

    A field made by `dataclasses.field` with the same metadata, or none, is as good.
    """
    hints = typing.get_type_hints(cls)
    nested = dict(sections(cls))
    for each in dataclasses.fields(cls):
        here = (*path, pascal(each.name))
        if each.name in nested:
            yield from describe(nested[each.name], here)
            continue
        kind, shape = _shape(hints[each.name])
        default = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        yield Setting(here, kind, shape, default, **each.metadata)


def narrowed(
    settings: Iterable[Setting], choices: Mapping[str, Sequence[str]] | None
) -> Iterator[Setting]:
    """The same, some of them narrowed to values that only the caller knows, by key."""
    by_key = {key.casefold(): tuple(names) for key, names in (choices or {}).items()}
    for each in settings:
        yield dataclasses.replace(each, choices=by_key.get(each.key.casefold(), each.choices))


def _shape(hint: Any) -> tuple[type, Literal["one", "list", "map"]]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return arguments[0], "list"
    if origin is not None and issubclass(origin, Mapping):
        return arguments[1], "map"
    return hint, "one"
