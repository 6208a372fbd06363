"""The objects of a branch: what an import replaces, and what applied actions are folded into."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import attrs
from sortedcontainers import SortedDict

from datastoresync.conversion.key_forms import Form
from datastoresync.conversion.scalars import by_instant
from datastoresync.conversion.schema import Schema
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.diffing.action import Action
from datastoresync.diffing.equality import equal, is_membership
from datastoresync.diffing.side import spelling
from datastoresync.engines.lines import LineObjects
from datastoresync.engines.relation import BranchDescription
from datastoresync.errors import ComparisonError
from datastoresync.importing.importer import ImportReport
from datastoresync.importing.index import Indexes
from datastoresync.printing.text import counted
from datastoresync.runtime import uninterrupted

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects


_IMMUTABLE = frozenset(
    {str, int, float, bool, complex, bytes, date, datetime, time, timedelta, Decimal, UUID, type(None)}
)
"""Types whose values need no copies."""


_SETTLING = RLock()
"""Held while noted actions are taken in, by the first reader. An object set is copied, so it has no lock of its own."""

_MANY = 16
"""The part of all objects, as one of so many, from which on those that go are not taken out one by one."""


@attrs.frozen(eq=False, repr=False)
class _Noted:
    """Creations or deletions that were carried out.

    Args:
        keys: Of which objects.
        columns: The source's values of each attribute, copied; None for deletions.
    """

    keys: Sequence[Any]
    columns: Mapping[str, Sequence[Any]] | None


class ObjectSet:
    """The objects of a branch, sorted by key, and what is known beside them.

    ``overrides`` are values that stand before the objects' own, by key and attribute: what an action set and a property
    without a setter could not take. ``columns`` are those that an open class had and no object has any more.
    ``stale`` says that so much was carried out that the branch must be imported again to know of it.
    ``stored`` is what the store has, by key and attribute, where the objects have something else; see `Side`.
    ``value_format`` is how the source of the import writes values as text.
    ``rejected`` counts the rows that were refused here and in the branches this one is derived from; ``empty_parts``
    names the files and branches that had no rows, where others had, and ``absent`` the fields that no row had.
    ``noted`` are creations and deletions that were carried out and not read since; `settle` takes them in.
    ``compared`` are the objects as a comparison takes them, which need not all be made.
    ``indexes`` find them by the value of an attribute; None if the objects do not tell this set of changes any more.

    Args:
        branch: The branch that has them; the objects are told.
        objects: By key, in any order; or a table of them.
        reason: Why they are in memory, if they might be a table.

    Raises:
        TypeError: if the keys cannot be sorted.
    """

    __slots__ = (
        "absent",
        "branch",
        "column_forms",
        "columns",
        "compared",
        "empty_parts",
        "indexes",
        "noted",
        "overrides",
        "reason",
        "rejected",
        "report",
        "settling",
        "stale",
        "stored",
        "value_format",
    )

    def __init__(
        self, branch: BranchDescription, objects: Mapping[Any, Any] | None = None, *, reason: str = ""
    ) -> None:
        self.branch = branch
        self.reason = reason
        given = hasattr(objects, "relation") or isinstance(objects, LineObjects)
        self.compared: SortedDict | TableObjects | LineObjects = objects if given else SortedDict(objects or {})
        self.overrides: dict[Any, dict[str, Any]] = {}
        self.stored: dict[Any, dict[str, Any]] = {}
        self.column_forms: Mapping[str, Form] = {}
        self.columns: set[str] = set()
        self.noted: list[_Noted] = []
        self.settling = False
        self.rejected = 0
        self.value_format: ValueFormat | None = None
        self.empty_parts: tuple[str, ...] = ()
        self.absent: frozenset[str] = frozenset()
        self.stale = False
        self.report: ImportReport | None = None
        self.indexes: Indexes | None = Indexes()
        if objects and isinstance(self.compared, SortedDict):
            branch.attach(objects.values())

    @property
    def objects(self) -> SortedDict | TableObjects:
        """The objects by key; those that are still lines are made."""
        if type(self.compared) is not SortedDict and isinstance(self.compared, LineObjects):  # which takes longer
            self.compared = self.compared.all()
        return self.compared

    @objects.setter
    def objects(self, objects: SortedDict | TableObjects) -> None:
        self.compared = objects

    @property
    def schema(self) -> Schema:
        """The class of the objects, as it is filled."""
        return self.branch.schema

    def key(self, idnumber: Any) -> Any:
        """Return an idnumber in the one form in which objects are kept here; any other value as it is."""
        idnumber = by_instant(idnumber)
        form = self.branch.forms_of().key
        if form is None:
            return idnumber
        try:
            return form(idnumber)
        except Exception:  # noqa: BLE001 - what has no form is no idnumber of this branch
            return idnumber

    def spelling(self, key: Any) -> Any:
        """Return a key as the store spells it."""
        return spelling(self.stored, self.schema.identifiers, key)

    def indexed(self, name: str, value: Any) -> Mapping[Any, Any]:
        """Return the objects that may have a value in an indexed attribute, by key; none that has it is missing."""
        found = None if self.indexes is None else self.indexes.find(name, value, self.objects, self.read)
        return self.objects if found is None else found

    def read(self, key: Any, item: Any, name: str) -> Any:
        """Return what an object has in an attribute; None if it has none."""
        held = self.overrides.get(key, {})
        return held[name] if name in held else getattr(item, name, None)

    def note(self, keys: Iterable[Any]) -> None:
        """Note for the indexes that objects were put in, taken out or changed."""
        if self.indexes is not None:
            self.indexes.note(keys)

    def put(self, key: Any, item: Any) -> None:
        """Put an object under its key; costs a look-up.

        Raises:
            ComparisonError: if the key cannot be sorted among the others.
        """
        key = by_instant(key)
        try:
            self.objects[key] = item
        except TypeError:
            message = f"idnumber {key!r} cannot be sorted among the others in {self.branch.name}"
            raise ComparisonError(message) from None
        self.branch.attach((item,))
        self.overrides.pop(key, None)
        self.stored.pop(key, None)
        self.note((key,))

    def between(self, start: Any = None, stop: Any = None) -> Iterator[tuple[Any, Any]]:
        """Yield keys and objects from a key up to another one, in order."""
        start, stop = by_instant(start), by_instant(stop)
        if isinstance(self.objects, SortedDict):
            keys = self.objects.irange(start, stop, inclusive=(True, False))
            return ((key, self.objects[key]) for key in keys)
        return self.objects.pairs(start, stop)

    def expire(self) -> None:
        """Note that so much was carried out that it must be imported again."""
        self.stale = True

    def explain(self) -> str:
        """Return whether the objects are in memory or still rows somewhere, and why."""
        if not hasattr(self.compared, "relation"):
            return f"{counted(len(self.compared), 'object')} in memory{self.reason and ': '}{self.reason}"
        rows = counted(self.compared.relation.count, "row")
        return f"a table of {rows} ({self.compared.relation.engine}); only what is asked for becomes an object"

    def drop(self, key: Any) -> None:
        """Take an object out, if it is there."""
        item = self.objects.pop(key, None)
        self.overrides.pop(key, None)
        self.stored.pop(key, None)
        self.note((key,))
        # An open class still has the columns of its last object that had them.
        self.columns.update(getattr(item, "__dict__", ()))

    def fold(self, action: Action, values: Mapping[str, Any], made: Any = None) -> None:
        """Note an action that was carried out, without asking a store.

        Args:
            action: What was done.
            values: The source's values: all for ``new``, the whole membership for ``add`` and ``remove``.
            made: For ``new``: the object itself, if the code that created it returned it.
        """
        key = action.idnumber
        if action.verb == "old":
            self.drop(key)
        elif made is not None:
            self.put(key, made)
        elif action.verb == "new":
            parts = key if len(self.schema.identifiers) > 1 else (key,)
            self.put(key, self.schema.blank(dict(zip(self.schema.identifiers, parts, strict=True))))
            for name, value in values.items():
                self._set(key, name, copy.copy(value))
        elif key in self.objects:
            self._note_written(action)
            held = self.overrides.get(key, {})
            self._set(key, action.attr, _folded(action, self.objects[key], held, values))

    def fold_all(self, verb: str, actions: Sequence[Action], columns: Mapping[str, Sequence[Any]]) -> bool:
        """Note many actions of one verb, which is no member's, as `fold` does; or say that nothing was noted.

        Creations and deletions may wait until `settle` is called: a run that ends with its sync need not wait for
        them. Objects are updated at once, since the user may hold some.

        Args:
            verb: ``new``, ``update`` or ``old``.
            actions: What was done, each to another object or attribute.
            columns: For ``new``: the source's values of each attribute.
        """
        if hasattr(self.compared, "relation") or self.overrides:
            return False
        keys = [action.idnumber for action in actions]
        if verb == "update":
            return self._update_all(keys, actions)
        if verb == "new" and not all(map(self.schema.takes, (*self.schema.identifiers, *columns))):
            return False
        for key in keys if self.stored else ():
            self.stored.pop(key, None)
        noted = _Noted(keys, {name: _copied(column) for name, column in columns.items()} if verb == "new" else None)
        others = islice(self.compared, 1) if isinstance(self.compared, SortedDict) else [self.compared.sample_key]
        texts = {*map(type, keys), *map(type, others)} == {str}
        if texts and not self._calls(noted):  # nothing about it can fail later
            self.noted.append(noted)
            return True
        self.settle()
        if verb == "new" and not texts and not self._sortable(keys):
            return False
        self._take_in(noted)
        return True

    def settle(self) -> None:
        """Take in what was noted; the branch calls it before its objects are read."""
        if not self.noted:
            return
        with _SETTLING, uninterrupted():
            if self.settling:  # what is called in the course of it, by a signal, say, finds what is there so far
                return
            self.settling = True
            try:
                while self.noted:  # until it is empty, other threads wait
                    self._take_in(self.noted[0])
                    del self.noted[0]
            finally:
                self.settling = False

    def _calls(self, noted: _Noted) -> bool:
        """Say whether a field's default is made by a function for each new object."""
        fields = (self.schema.fields or {}).values() if noted.columns is not None else ()
        own = {*self.schema.identifiers, *(noted.columns or ())}
        return any(field.default is not None and not field.constant and field.name not in own for field in fields)

    def _take_in(self, noted: _Noted) -> None:
        objects: Any = self.objects
        self.note(noted.keys)
        if noted.columns is None:
            found = _taken_out(objects, noted.keys)
            if self.schema.open:
                self.columns.update(*{tuple(getattr(item, "__dict__", ())) for item in found})
            return
        identifiers = self.schema.identifiers
        parts = zip(*noted.keys, strict=True) if len(identifiers) > 1 else (noted.keys,)
        made = self.schema.blanks({**dict(zip(identifiers, parts, strict=True)), **noted.columns}, len(noted.keys))
        self.branch.attach(made)
        objects.update(zip(noted.keys, made, strict=True))

    def _sortable(self, keys: Sequence[Any]) -> bool:
        try:
            sorted([*self.objects, *keys])
        except TypeError:  # putting them in one by one tells which it is
            return False
        return True

    def _update_all(self, keys: Sequence[Any], actions: Sequence[Action]) -> bool:
        if any(not set(keys).isdisjoint(noted.keys) for noted in self.noted):
            self.settle()
        objects: Any = self.compared
        attributes = [action.attr for action in actions]
        if not all(map(self.schema.takes, set(attributes))):
            return False
        for action in actions if self.stored else ():
            self._note_written(action)
        values = _copied([action.value for action in actions])
        some = getattr(objects, "some", None)
        items = map(objects.get, keys) if some is None else some(keys)
        for item, name, value in zip(items, attributes, values, strict=True):
            if item is not None:
                object.__setattr__(item, name, value)
        return True

    def _note_written(self, action: Action) -> None:
        """Forget what the store had before a change."""
        held = self.stored.get(action.idnumber, {})
        if action.verb == "update":
            held.pop(action.attr, None)
        elif action.verb == "remove" and action.attr in held and is_membership(held[action.attr]):
            form = self.branch.forms_of().attributes.get(action.attr, _same)
            kept = [member for member in held[action.attr] if form(member) != action.value]
            held[action.attr] = type(held[action.attr])(kept)

    def _set(self, key: Any, name: str, value: Any) -> None:
        try:
            item = self.objects[key]
            object.__setattr__(item, name, value)
            if not isinstance(self.objects, SortedDict):
                self.objects.keep(key, item)
        except Exception:  # noqa: BLE001 - a property without a setter, or one that refuses what was written already
            self.overrides.setdefault(key, {})[name] = value
            self.note((key,))

    def check(self) -> None:
        """Assert what must always hold."""
        self.objects._check()
        cls: Any = self.schema.cls
        for key, item in self.objects.items():
            assert isinstance(item, cls)
            assert item.__key__ == key
        assert self.overrides.keys() <= self.objects.keys()


def _taken_out(objects: SortedDict, keys: Sequence[Any]) -> list[Any]:
    """Take objects out, and return them; None for one that is not there."""
    if len(keys) * _MANY < len(objects):
        return [objects.pop(key, None) for key in keys]
    found = list(map(objects.get, keys))  # so many that it is quicker to put the others in again
    gone = set(keys)
    rest = [(key, item) for key, item in dict.items(objects) if key not in gone]
    try:
        objects.clear()
        objects.update(rest)
    except BaseException:  # a signal's handler may raise anywhere, and the others must not be lost
        objects.clear()
        objects.update(rest)
        raise
    return found


def settle_all(contents: Iterable[ObjectSet]) -> None:
    """Take in what was noted in several branches."""
    for one in contents:
        one.settle()


def _folded(action: Action, item: Any, held: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Return what an attribute holds once an action on it was carried out.

    A container that is the object's own is changed in place, so that many members do not cost many copies.

    Args:
        action: An ``update``, ``add`` or ``remove``.
        item: The destination's object.
        held: Values that stand before the object's own.
        values: The source's membership, for ``add`` and ``remove``.
    """
    if action.verb == "update":
        return copy.copy(action.value)
    own = action.attr not in held and not isinstance(getattr(type(item), action.attr, None), property)
    members = held[action.attr] if action.attr in held else getattr(item, action.attr, None)
    members = [] if members is None else members
    if own and type(members) is set and action.value == action.value:
        (members.add if action.verb == "add" else members.discard)(action.value)
        return members
    if own and type(members) is list and action.verb == "add":
        members.append(copy.copy(action.value))
        return members
    if own and type(members) is list and not values and action.value in members:
        members.remove(action.value)
        return members
    both_lists = isinstance(members, list) and isinstance(values.get(action.attr), list)
    return _with_member(members, action.verb, copy.copy(action.value), once=both_lists)


def _with_member(members: Any, verb: str, member: Any, *, once: bool) -> Any:
    """Return a new container with one member more or less; removed ``once``, or as often as it stands there."""
    changed = list(members)
    if verb == "add":
        changed.append(member)
    elif once:
        index = next((index for index, held in enumerate(changed) if equal(held, member)), None)
        if index is not None:
            del changed[index]
    else:
        changed = [one for one in changed if not equal(one, member)]
    return type(members)(changed)


def _copied(values: Sequence[Any]) -> Sequence[Any]:
    """Return copies of the values that can be changed, so that no two objects share one."""
    return values if set(map(type, values)) <= _IMMUTABLE else list(map(copy.copy, values))


def _same(value: Any) -> Any:
    return value


T = TypeVar("T")


_COMPLETED = 1_000
"""The most idnumbers that a REPL is given to complete one from."""


class ObjectMapping(Mapping[Any, T], Generic[T]):
    """What ``contents`` hold, sorted by idnumber. Views show what it holds at the time, after another import too."""

    contents: ObjectSet

    def __iter__(self) -> Iterator[Any]:
        return iter(self.contents.objects)

    def _ipython_key_completions_(self) -> list[Any]:
        return list(islice(self, _COMPLETED))

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self.contents.objects))

    def __len__(self) -> int:
        return len(self.contents.objects)

    def __contains__(self, idnumber: object) -> bool:
        contents = self.contents
        return contents.key(idnumber) in contents.objects

    def range(self, start: Any = None, stop: Any = None) -> Iterator[T]:
        """Yield the objects whose idnumbers are at least ``start`` and less than ``stop``; costs one look-up."""
        return (item for _, item in self.contents.between(start, stop))

    def prefix(self, start: str) -> Iterator[T]:
        """Yield the objects whose idnumbers, texts, begin with ``start``; costs one look-up."""
        for key, item in self.contents.between(start):
            if not key.startswith(start):
                return
            yield item

    def items(self) -> ItemsView[Any, T]:
        """Return a view of the idnumbers with their objects."""
        return _Items(self)

    def values(self) -> ValuesView[T]:
        """Return a view of the objects."""
        return _Values(self)


class _Items(ItemsView[Any, T]):
    _mapping: ObjectMapping[T]

    def __iter__(self) -> Iterator[tuple[Any, T]]:
        return iter(self._mapping.contents.objects.items())


class _Values(ValuesView[T]):
    _mapping: ObjectMapping[T]

    def __iter__(self) -> Iterator[T]:
        return iter(self._mapping.contents.objects.values())

    def __contains__(self, item: object) -> bool:
        return any(one is item or one == item for one in self)


# Their reprs are those of any other mapping.
_Items.__name__, _Values.__name__ = "ItemsView", "ValuesView"
