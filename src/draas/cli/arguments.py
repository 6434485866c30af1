"""Arguments that many commands take, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from draas.cli.output import Format

F = TypeVar("F", bound=StrEnum)


def require_id(given: str | None) -> str | None:
    """An instance's id, if one is given, that the path of a request can hold.

    Raises:
        BadParameter: it cannot.
    """
    if given is None:
        return None
    if "/" in given or not given.strip(".") or not given.isprintable():
        raise typer.BadParameter(f"{given!r} cannot be an instance's id")
    return given


Id = Annotated[str, typer.Argument(metavar="ID", help="The instance's id.", callback=require_id)]
MaybeId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The instance's id.", callback=require_id)
]


def _one_of(forms: type[F]) -> Callable[[str], F]:
    """Reads one of an enumeration; the library's own words for another are not for people."""

    def read(given: str) -> F:
        try:
            return forms(given)
        except ValueError:
            raise typer.BadParameter(f"{given!r} is none of {', '.join(forms)}") from None

    return read


def form_option(forms: type[F], said: str = "Form of the output.") -> Any:
    """The option `--output` with these forms."""
    return typer.Option(
        "--output", "-o", help=said, parser=_one_of(forms), metavar=f"<{'|'.join(forms)}>"
    )


Output = Annotated[Format, form_option(Format)]
