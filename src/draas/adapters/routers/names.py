"""Names that every router takes, one to one with any text."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import quote

_LONGEST = 100


def encoded(text: str) -> str:
    """A name of letters, digits, `-` and `_` for any text, at most 100 characters long.

    What is not a letter, a digit or `-` becomes `_` and its hexadecimal bytes: `.` and `:` would
    split or change the names of statistics, `/` those of files. What gets too long is cut and
    ends in `_x` and a hash; `_x` stands for nothing else.
    """
    name = quote(text, safe="", errors="surrogatepass")
    for kept in "_.~":
        name = name.replace(kept, f"%{ord(kept):02X}")
    name = name.replace("%", "_")
    if len(name) > _LONGEST:
        digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name[:60]}_x{digest[:36]}"
    return name
