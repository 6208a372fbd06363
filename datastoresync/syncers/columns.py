"""Which columns of a source are taken, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from datastoresync.errors import ColumnError, DeclarationError

__all__ = ["choose_columns"]


def choose_columns(
    names: Sequence[str], columns: Mapping[str, str] | Sequence[str] | None, *, where: str = ""
) -> tuple[list[int], list[str]]:
    """Return the places of the columns that are taken, and their new names.

    Args:
        names: All columns there are.
        columns: The names to take, or a mapping from them to new names; None for all.
        where: Where the names stand, for messages.

    Raises:
        DeclarationError: if ``columns`` is one text, or empty.
        ColumnError: if a column is not there, or if two would have one name.

    >>> choose_columns(["id", "name", "age"], {"age": "years", "id": "idnumber"})
    ([2, 0], ['years', 'idnumber'])
    """
    if columns is None:
        return list(range(len(names))), list(names)
    if isinstance(columns, str) or not columns:
        message = f"columns must be a list of names, or a mapping from names to new names (got {columns!r})"
        raise DeclarationError(message)
    renamed = columns if isinstance(columns, Mapping) else dict.fromkeys(columns)
    places = {name: place for place, name in enumerate(names)}
    unknown = [name for name in renamed if name not in places]
    if unknown:
        near = get_close_matches(unknown[0], names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, names[:20]))}"
        message = f"there is no column {', '.join(map(repr, unknown))}: {hint}"
        raise ColumnError(message, where=where, columns=unknown)
    chosen = [new or name for name, new in renamed.items()]
    counts = Counter(chosen if isinstance(columns, Mapping) else columns)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ColumnError(f"columns names {', '.join(map(repr, twice))} twice", where=where, columns=twice)
    return [places[name] for name in renamed], chosen
