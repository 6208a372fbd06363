"""Counts, as a person writes them."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one.

    >>> counted(1, "object"), counted(28226, "object"), counted(2, "branch")
    ('1 object', '28,226 objects', '2 branches')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith(('ch', 's', 'x')) else 's'}"
