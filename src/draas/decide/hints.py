"""What was probably meant by a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from itertools import islice

MOST = 10
"""Names of one document that are looked for: whoever has more faults mends these first."""
_COMPARED = 100
_LONGEST = 128
"""Names among which one is looked for, and how long it may be: it takes the product of all."""


class Hints:
    """Finds what was meant by the first few unknown names of a document."""

    def __init__(self) -> None:
        self._left = MOST

    def nearest(self, word: str, known: Collection[str], cutoff: float = 0.6) -> str:
        """`; did you mean 'port'?`, or nothing."""
        if not self._left or len(word) > _LONGEST:
            return ""
        self._left -= 1
        close = difflib.get_close_matches(word, list(islice(known, _COMPARED)), 1, cutoff)
        return f"; did you mean {close[0]!r}?" if close else ""
