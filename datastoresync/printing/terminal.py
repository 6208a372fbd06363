"""Colours on a terminal: whether it wants them, and which."""

from __future__ import annotations

import os
import sys
from typing import IO

__all__ = ["paint", "wants_colour"]

_RESET = "\x1b[0m"
# Select Graphic Rendition, ECMA-48 8.3.117.
_BOLD, _DIM, _RED, _GREEN, _YELLOW, _MAGENTA = "1", "2", "31", "32", "33", "35"
_TERMINALS_ON_WINDOWS = ("WT_SESSION", "TERM", "ANSICON", "ConEmuANSI")


def wants_colour(stream: IO[str]) -> bool:
    """Say whether text for this stream should be coloured.

    ``NO_COLOR`` (https://no-color.org) is heard first, then ``FORCE_COLOR`` (https://force-color.org), then
    ``TERM=dumb``; without them a terminal wants colours, and a file or a pipe does not.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream, "isatty", None)  # what stands in for a stream may only write
    if os.environ.get("TERM") == "dumb" or isatty is None or not isatty():
        return False
    # The old console of Windows would print the escapes; the newer ones give themselves away.
    return sys.platform != "win32" or any(os.environ.get(name) for name in _TERMINALS_ON_WINDOWS)


def paint(text: str, kind: str) -> str:
    r"""Return the text in the colour of its kind: that of an outline, or ``note``. Unknown kinds have none.

    The text must be visible already: escapes in it would be obeyed.

    >>> paint("new_users", "new")
    '\x1b[32mnew_users\x1b[0m'
    """
    code = _code(kind)
    return f"\x1b[{code}m{text}{_RESET}" if code and text else text


def _code(kind: str) -> str:
    match kind:
        case "new" | "add" | "succeeded":
            return _GREEN
        case "update" | "warning" | "unhandled":
            return _YELLOW
        case "old" | "remove" | "failed" | "refused":
            return _RED
        case "conflict":
            return _MAGENTA
        case "note" | "skipped" | "pending":
            return _DIM
        case "datastore" | "tree" | "branch" | "object" | "diff" | "report" | "stat" | "heading":
            return _BOLD
        case _:
            return ""
