"""Actions: the single steps of a diff, as frozen values, and their counts and stat line."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Final

import attrs

from datastoresync.diffing.equality import equal
from datastoresync.masking import MASK

VERBS = ("new", "update", "add", "remove", "old")
"""All verbs, in the order in which they are counted and shown."""

_INVERSE = {"new": "old", "old": "new", "add": "remove", "remove": "add", "update": "update"}


@attrs.frozen(repr=False, eq=False)
class Action:
    """One step that makes the destination more like the source.

    Args:
        verb: ``new`` and ``old`` concern the whole object, ``update`` an attribute, ``add`` and ``remove`` a member of
            one.
        branch: The branch's name.
        idnumber: The idnumber of the object.
        attr: The attribute, or ``""``.
        value: The source's value, or the member; None for ``new`` and ``old``, whose values are in the objects.
        old_value: The destination's value, for ``update``.
        source: The source's object, or None if it has none. Not compared by ``==``.
        dest: The destination's object, or None if it has none. Not compared by ``==``.

    >>> Action("update", "users", "1", "name", "Ann", "Anna")
    Action('update', 'users', '1', attr='name', value='Ann', old_value='Anna')
    >>> print(Action("update", "users", "1", "name", "Ann", "Anna").message)
    update_name(idnumber='1', attr='name', value='Ann')
    """

    verb: str
    branch: str
    idnumber: Any
    attr: str = ""
    value: Any = None
    old_value: Any = None
    source: Any = None
    dest: Any = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Action):
            return NotImplemented
        return self._key == other._key and equal(self.value, other.value) and equal(self.old_value, other.old_value)

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.verb, self.branch, self.idnumber, self.attr

    @property
    def method(self) -> str:
        """The name of the template method that would carry out the action."""
        if self.verb == "update":
            return f"update_{self.attr}"
        if self.verb == "add":
            return f"add_{self.attr}_to_{self.branch}"
        if self.verb == "remove":
            return f"remove_{self.attr}_from_{self.branch}"
        return f"{self.verb}_{self.branch}"

    @property
    def message(self) -> str:
        """The action as one line that reads like a call of its method."""
        if not self.attr:
            return f"{self.method}(idnumber={self.idnumber!r})"
        return f"{self.method}(idnumber={self.idnumber!r}, attr={self.attr!r}, value={self._shown(self.value)})"

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The attributes that the class of either object declares as ``_sensitive``."""
        of_source, of_dest = getattr(type(self.source), "_sensitive", ()), getattr(type(self.dest), "_sensitive", ())
        return tuple(dict.fromkeys((*of_source, *of_dest))) if of_source or of_dest else ()

    @property
    def sensitive_values(self) -> list[Any]:
        """Their values, which no message may hold."""
        values = [getattr(item, name, None) for item in (self.source, self.dest) for name in self.sensitive]
        return [*values, self.value, self.old_value] if self.attr in self.sensitive else values

    def _shown(self, value: Any) -> str:
        return MASK if self.attr in self.sensitive else repr(value)

    def inverse(self) -> Action:
        """Return the action that undoes this one."""
        value, old_value = self.value, self.old_value
        if self.verb == "update":
            value, old_value = old_value, value
        return Action(
            _INVERSE[self.verb], self.branch, self.idnumber, self.attr, value, old_value, self.dest, self.source
        )

    def __repr__(self) -> str:
        parts = [repr(self.verb), repr(self.branch), repr(self.idnumber)]
        if self.attr:
            parts.append(f"attr={self.attr!r}")
        parts += [
            f"{name}={self._shown(value)}"
            for name, value in (("value", self.value), ("old_value", self.old_value))
            if value is not None
        ]
        shown = f"Action({', '.join(parts)})"
        return f"<{shown}>" if self.attr in self.sensitive else shown


_SETTERS: Final[Sequence[Callable[[Any, Any], None]]] = [
    getattr(Action, field.name).__set__ for field in attrs.fields(Action)
]


def actions_of(
    verb: str,
    branch: str,
    keys: Sequence[Any],
    *,
    names: Iterable[str] = repeat(""),
    values: Iterable[Any] = repeat(None),
    old_values: Iterable[Any] = repeat(None),
    sources: Iterable[Any] = repeat(None),
    dests: Iterable[Any] = repeat(None),
) -> list[Action]:
    """Return actions of one verb and branch from columns of their other fields, each as long as ``keys``.

    One pass in C a field costs a fifth of calling `Action` for each.
    """
    actions: list[Action] = list(map(object.__new__, repeat(Action, len(keys))))
    columns = (repeat(verb), repeat(branch), keys, names, values, old_values, sources, dests)
    for setter, column in zip(_SETTERS, columns, strict=True):
        deque(map(setter, actions, column), maxlen=0)
    return actions


def counts_of(actions: Iterable[Action]) -> Counter[str]:
    """Return the number of actions of each verb; zeros included."""
    found = Counter(action.verb for action in actions)
    return Counter({verb: found[verb] for verb in VERBS})


def stat_of(actions: Iterable[Action]) -> str:
    """Return every verb with its count on one line, always in the same order."""
    return stat_line(counts_of(actions))


def stat_line(counts: Counter[str]) -> str:
    """Return the counts of all verbs on one line."""
    return " ".join([*(f"{verb}={count}" for verb, count in counts.items()), f"total={counts.total()}"])
