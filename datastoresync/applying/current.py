"""What is in a template's system now, held against what the import had: what changed since is a conflict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import attrs

from datastoresync.applying.report import Result
from datastoresync.conversion.converters import converter
from datastoresync.conversion.scalars import SCALARS
from datastoresync.diffing.action import Action
from datastoresync.diffing.equality import equal, is_membership, members_of
from datastoresync.diffing.side import Side

Standing = Literal["to do", "done", "conflict"]

_MISSING = object()


@attrs.frozen
class Finding:
    """How an action stands, given what is there.

    Args:
        standing: ``"to do"`` if what is there is what was imported, ``"done"`` if it is what the action makes of it.
        reason: Of a conflict, what is there.
    """

    standing: Standing
    reason: str = ""

    def result(self, reason: str) -> Result | None:
        """Return the result of the action; None if it is to do."""
        if self.standing == "to do":
            return None
        return Result("succeeded", reason) if self.standing == "done" else Result("conflict", self.reason)


_DELETED = Finding("conflict", "no longer there: it was deleted since the import")


def compare(action: Action, found: Any, side: Side | None, *, asked: bool) -> Finding:
    """Hold what ``current`` returned for an action against what the import had.

    Args:
        action: The action.
        found: A mapping or an object with what is there now, or None if nothing is; for an update, an addition and a
            removal perhaps just the value of the attribute.
        side: The destination; None if it is not known.
        asked: Whether the system was asked to carry out the action, and it is not known if it did.
    """
    if callable(getattr(found, "keys", None)) and not isinstance(found, Mapping):
        found = dict(found)  # a row of a database
    nothing = found is None or found is False or (isinstance(found, (Mapping, list, tuple)) and not found)
    if action.verb == "new":
        return _compare_new(action, found, side, nothing=nothing, asked=asked)
    if action.verb == "old":
        return _compare_old(action, found, side, nothing=nothing, asked=asked)
    value = _value(found, action)
    if action.verb in ("add", "remove"):
        if found is None:
            return _DELETED
        is_there = any(equal(member, action.value) for member in members_of(value))
        return Finding("done" if is_there is (action.verb == "add") else "to do")
    if _same(value, action.value):
        return Finding("done")
    if _same(value, _expected(action, side)):
        return Finding("to do")
    if found is None:
        return _DELETED
    shown = repr(value) if side is None else side.shown(action.attr, value)
    return Finding("conflict", f"changed since the import: {action.attr} is now {shown}")


def _compare_new(action: Action, found: Any, side: Side | None, *, nothing: bool, asked: bool) -> Finding:
    if nothing:
        return Finding("to do")
    if asked:
        names = dict.fromkeys(
            (*(() if side is None else side.attributes), *(found if isinstance(found, Mapping) else ()))
        )
        other = _differing(found, names, lambda name: getattr(action.source, name, _MISSING))
        return Finding("conflict", f"there now, but with another {', '.join(other)}") if other else Finding("done")
    values = found if isinstance(found, Mapping) else {}
    held = ", ".join(f"{name} {value!r}" for name, value in values.items() if name not in action.sensitive)
    return Finding("conflict", f"already there, though the import did not have it{held and f': it holds {held}'}")


def _compare_old(action: Action, found: Any, side: Side | None, *, nothing: bool, asked: bool) -> Finding:
    if nothing:
        return Finding("done") if asked else _DELETED
    changed = []
    if side is not None:
        changed = _differing(found, side.attributes, lambda name: side.read(action.idnumber, action.dest, name))
    return Finding("conflict", f"changed since the import: {', '.join(changed)}") if changed else Finding("to do")


def _differing(found: Any, names: Iterable[str], expected: Callable[[str], Any]) -> list[str]:
    """Return the names of those attributes that what was found has, with another value than is expected."""
    pairs = ((name, _attribute(found, name), expected(name)) for name in names)
    return [name for name, value, other in pairs if value is not _MISSING is not other and not _same(value, other)]


def _expected(action: Action, side: Side | None) -> Any:
    """Return the value that the destination has in memory, where a membership changes as its members are folded."""
    if side is None or action.dest is None or not is_membership(action.old_value):
        return action.old_value
    return side.read(action.idnumber, action.dest, action.attr)


def _same(value: Any, expected: Any) -> bool:
    if is_membership(expected) and isinstance(value, (tuple, frozenset, set, list)):
        value = type(expected)(value)
    return equal(value, expected) or equal(_converted(value, type(expected)), expected)


def _converted(value: Any, kind: type) -> Any:
    """Return a value as the import of a branch takes it where a type is declared, such as a day as JSON has it."""
    if type(value) is kind or kind not in SCALARS or value is None:
        return value
    try:
        return converter(kind).one(value)
    except (ValueError, TypeError):
        return value


def _value(found: Any, action: Action) -> Any:
    """Return the value of an action's attribute, which may be all that was found."""
    value = _attribute(found, action.attr)
    if value is not _MISSING:
        return value
    is_row = isinstance(found, Mapping) and not isinstance(action.old_value, Mapping)
    return None if is_row else found  # many services leave out what is empty


def _attribute(found: Any, name: str) -> Any:
    """Return an attribute of what was found, if it is a mapping or an object that declares its attributes."""
    if isinstance(found, Mapping):
        return found.get(name, _MISSING)
    marks = ("__attrs_attrs__", "__dataclass_fields__", "model_fields", "_fields")
    declares = any(hasattr(type(found), mark) for mark in marks) or name in getattr(found, "__dict__", ())
    return getattr(found, name, _MISSING) if declares else _MISSING
