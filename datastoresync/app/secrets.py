"""Takes passwords out of what is shown."""

from __future__ import annotations

import traceback

from datastoresync.applying.result import reason_of

__all__ = ["hidden", "trace_of"]


def hidden(text: str) -> str:
    """Return the text without the passwords in it, be they in URLs or behind ``password=``.

    >>> hidden("cannot open postgresql://ann:secret@example.org/school?password=secret")
    'cannot open postgresql://ann:***@example.org/school?password=***'
    """
    return reason_of(Exception(text)).removeprefix("Exception: ") if text else text


def trace_of(error: BaseException) -> str:
    """Return an exception's traceback and those of its causes, the first cause first, without passwords."""
    pieces: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        pieces.append("".join(traceback.format_tb(current.__traceback__)) + reason_of(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return hidden("\nwhich led to:\n".join(reversed(pieces)))
