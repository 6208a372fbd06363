"""The rows that a diff is exported as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datastoresync.diffing.action import Action
from datastoresync.masking import MASK

COLUMNS = ("branch", "idnumber", "change", "attribute", "old", "new")
"""A row is a value that changes; ``change`` is the verb of its action. See `rows_of`."""

Row = tuple[Any, ...]


def rows_of(action: Action, values: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of an action: one, or for ``new`` and ``old`` one for each attribute of the object.

    A new object has its values in ``new`` and None in ``old``, an old one the other way round; a member that is added
    is in ``new``, one that is removed in ``old``. An object without attributes is a row whose attribute is None.

    Args:
        action: The action.
        values: The values of its object by attribute, for ``new`` and ``old``.
    """
    start, hidden = (action.branch, action.idnumber, action.verb), action.sensitive
    had, has = action.verb not in ("new", "add"), action.verb not in ("old", "remove")
    if action.attr:  # what is removed is the value of its action
        old_value = action.value if action.verb == "remove" else action.old_value
        changes: Iterable[tuple[str | None, Any, Any]] = [(action.attr, old_value, action.value)]
    else:
        changes = [(name, value, value) for name, value in values.items()] or [(None, None, None)]
    for name, old, new in changes:
        old_value, value = (MASK, MASK) if name in hidden else (old, new)
        yield (*start, name, old_value if had else None, value if has else None)
