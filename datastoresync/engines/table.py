"""The objects of a branch that is still a table: made when asked for, one live object a key, changes tracked."""

from __future__ import annotations

import copy
import operator
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, compress, count, repeat
from threading import RLock
from typing import Any, Self
from weakref import ref

import attrs
from sortedcontainers import SortedDict

from datastoresync.conversion.scalars import instants
from datastoresync.conversion.schema import Schema
from datastoresync.diffing.side import Engine
from datastoresync.engines.relation import BranchDescription, CannotPushDown, Page, Relation
from datastoresync.syncers.records import Columns


def tracked_class(cls: Any, changed: Callable[[Any, Any], None]) -> Any:
    """Return a class like this one whose objects tell when one of their attributes is set or deleted.

    Others need not pay for that: objects in memory are the only ones there are of their key.

    Args:
        cls: The class.
        changed: Called with the key and the object.

    Raises:
        CannotPushDown: if the class does something of its own when a class is derived from it, or its objects take no
            weak references.
    """
    _check_derivable(cls)

    def set_and_tell(self: Any, name: str, value: Any) -> None:
        key = _key(self)
        cls.__setattr__(self, name, value)
        tell(self, key, name)

    def delete_and_tell(self: Any, name: str) -> None:
        key = _key(self)
        cls.__delattr__(self, name)
        tell(self, key, name)

    def tell(item: Any, key: Any, name: str) -> None:
        if key is not None and name != "__branch__":
            changed(key, item)

    def copied(self: Any) -> Any:
        made = object.__new__(cls)
        for name in _stored(self):
            object.__setattr__(made, name, getattr(self, name))
        return made

    def deeply_copied(self: Any, memo: dict[int, Any]) -> Any:
        made = copied(self)
        for name in _stored(self):
            value = getattr(self, name)
            # An object that is copied alone has the branch of before; with its branch, it has the branch's copy.
            value = memo.get(id(value), value) if name == "__branch__" else copy.deepcopy(value, memo)
            object.__setattr__(made, name, value)
        return made

    def made_plain(_: Any, *arguments: Any, **attributes: Any) -> Any:
        return cls(*arguments, **attributes)

    def reduced(self: Any, _: Any) -> Any:
        made = copied(self)
        with suppress(AttributeError):
            object.__delattr__(made, "__branch__")  # the rows cannot go with it
        return _blank, (cls,), made.__getstate__()

    namespace = {
        "__slots__": () if cls.__weakrefoffset__ else ("__weakref__",),
        "__new__": made_plain,
        "__setattr__": set_and_tell,
        "__delattr__": delete_and_tell,
        "__copy__": copied,
        "__deepcopy__": deeply_copied,
        "__reduce_ex__": reduced,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    # Past the metaclass, which would make an attrs class of it once more.
    return type.__new__(type(cls), cls.__name__, (cls,), namespace)


def _check_derivable(cls: Any) -> None:
    if "__init_subclass__" in {name for base in cls.__mro__[:-1] for name in vars(base)}:
        reason = f"{cls.__name__} has an __init_subclass__"
        raise CannotPushDown(reason)
    if not cls.__weakrefoffset__ and not hasattr(cls, "__attrs_attrs__"):
        reason = f"objects of {cls.__name__} take no weak references"
        raise CannotPushDown(reason)


def track(objects: Sequence[Any], cls: Any) -> None:
    """Make objects of a class those of the class that `tracked_class` gave for it."""
    deque(map(object.__dict__["__class__"].__set__, objects, repeat(cls)), maxlen=0)


def key_of(item: Any) -> Any:
    """Return the key that an object has in its branch; a field of the object may be called `idnumber` too.

    Raises:
        AttributeError: if a part of it was taken away.
    """
    parts = tuple(getattr(item, name) for name in item._identifiers)
    return parts if len(parts) > 1 else parts[0]


def _blank(cls: Any) -> Any:
    """Return an object without anything, as one is made of what `__reduce_ex__` gave."""
    return object.__new__(cls)


def _key(item: Any) -> Any:
    """Return the key of an object that may not have one yet, or not any more."""
    try:
        return key_of(item)
    except AttributeError:
        return None


def _stored(item: Any) -> list[str]:
    slots = [name for base in type(item).__mro__ for name in getattr(base, "__slots__", ())]
    names = [*slots, *getattr(item, "__dict__", ())]
    return [name for name in dict.fromkeys(names) if name != "__weakref__" and hasattr(item, name)]


_FEW = 16_384
"""References from which on dead ones are looked for."""


class IdentityMap:
    """The live object of each key, held weakly, and the last objects that were looked up.

    It costs two passes in C a chunk of rows. Dead references are removed together, once they are half of all.
    """

    def __init__(self) -> None:
        self._references: dict[Any, ref[Any]] = {}
        self._most = _FEW
        self._lock = RLock()
        self._held: deque[Any] = deque(maxlen=1024)

    def get(self, key: Any) -> Any:
        """Return the live object of a key, or None."""
        found = self._references.get(key)
        return None if found is None else found()

    def replace_live(self, keys: Sequence[Any], objects: list[Any]) -> bool:
        """Replace new objects by live ones of the same key; say whether there was one."""
        found = False
        with self._lock:
            if self._references:
                known = list(map(self._references.get, keys))
                for index in compress(count(), known):
                    item = known[index]()  # type: ignore[misc]  # `compress` leaves out those that are None
                    if item is not None:
                        objects[index] = item
                        found = True
            self._references.update(zip(keys, map(ref, objects), strict=True))
            if len(self._references) > self._most:
                self._references = {key: held for key, held in self._references.items() if held() is not None}
                self._most = 2 * len(self._references) + _FEW
        return found

    def hold(self, objects: Collection[Any]) -> None:
        """Keep objects that were looked up alive until many others were: they may be looked up once more."""
        self._held.extend(objects)


class ReadAhead:
    """Decides how many rows to read at a look-up: more than one if keys are looked up in order."""

    _FIRST = 128
    _MOST = 65_536
    _ENOUGH = 8
    """Look-ups in order, from which on it is tried."""

    def __init__(self) -> None:
        self.answered = 0
        """Look-ups since the last one that had to read."""
        self._rows = 1
        self._run = 0
        self._last: Any = None

    def rows(self, key: Any) -> int:
        """Return how many rows to read from a key on."""
        follows = self._follows(key)
        if self._rows > 1:
            used = follows and self.answered * 2 >= self._rows
            self._rows = min(self._rows * 2, self._MOST) if used else 1
            self._run = 0
        else:
            self._run = self._run + 1 if follows else 0
            self._rows = self._FIRST if self._run >= self._ENOUGH else 1
        self.answered, self._last = 0, key
        return self._rows

    def _follows(self, key: Any) -> bool:
        if type(key) is not type(self._last) or key is None:
            return False
        try:
            return bool(key > self._last)
        except TypeError:  # parts of several types
            return False


_FIRST = 128
"""Rows of the first page: enough for a look, and few enough to be found without sorting everything."""


class TableObjects(Mapping[Any, Any]):
    """Objects by key, made when they are asked for.

    What was changed, put in or taken out lies over the table, in ``changed`` and ``deleted``. A key that has a live
    object gives that one. Objects that a comparison made are kept until the next one, in ``recent``, and the keys that
    it did not find in ``absent``.

    Args:
        relation: The rows.
        branch: The branch that has the objects.
        engine: Compares it with others.
        whole: The table that these are some rows of, if they are kept apart.
    """

    def __init__(
        self, relation: Relation, branch: BranchDescription, engine: Engine, *, whole: TableObjects | None = None
    ) -> None:
        self.relation = relation
        self.plain_schema: Schema = branch.schema
        self.schema: Schema = self.tracked_schema() if whole is None else whole.schema
        self.engine = engine
        self.changed: SortedDict = SortedDict()
        self.deleted: set[Any] = set()
        self.recent: dict[Any, Any] = {}
        self.absent: set[Any] = set()
        self._overlaid: set[Any] = set()
        self._page: dict[Any, Any] = {}
        self._sample: dict[str, Any] | None = None
        self.branch = branch
        self.identity_map: IdentityMap = IdentityMap() if whole is None else whole.identity_map
        self._read_ahead = ReadAhead()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same rows, which nothing changes, for a copy of the branch."""
        made = object.__new__(type(self))
        memo[id(self)] = made
        vars(made).update(vars(self))
        vars(made).update(
            recent={},
            identity_map=IdentityMap(),
            _ahead=ReadAhead(),
            _page={},
            _overlaid=set(self._overlaid),
            deleted=set(self.deleted),
            absent=set(self.absent),
            branch=copy.deepcopy(self.branch, memo),
            schema=made.tracked_schema(),
        )
        made.changed = copy.deepcopy(self.changed, memo)  # objects that have the copy of the branch
        return made

    def tracked_schema(self) -> Schema:
        """Return a schema whose objects tell this table of changes, and do not keep it alive."""
        table = ref(self)

        def changed(key: Any, item: Any) -> None:
            if (alive := table()) is not None:
                alive.keep(key, item)

        return attrs.evolve(self.plain_schema, cls=tracked_class(self.plain_schema.cls, changed))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table and of changed objects, which are those of an open class's objects."""
        changed = (name for item in self.changed.values() for name in getattr(item, "__dict__", ()))
        return tuple(dict.fromkeys((*self.relation.columns, *(name for name in changed if not name.startswith("__")))))

    @property
    def sample(self) -> Mapping[str, Any]:
        """A value of each attribute that has one, which tells the type of all of them."""
        if self._sample is None:
            found = getattr(self.relation, "sample", None)
            raw = next(self.relation.rows(), []) if found is None else [[value] for value in found.values()]
            self._sample = {}
            for name, column in zip(self.relation.columns, raw, strict=False):
                value = next((value for value in column if value is not None), None)
                if value is not None:
                    self._sample[name] = self._converted(name, [value])[0]
        return self._sample

    @property
    def sample_key(self) -> Any:
        """A key that tells the type of all of them; None if there is none."""
        parts = [self.sample.get(name) for name in self.schema.identifiers]
        return parts[0] if len(parts) == 1 else tuple(parts)

    # From rows to objects.

    def _converted(self, name: str, column: Sequence[Any]) -> Sequence[Any]:
        fields = self.schema.fields
        converter = None if fields is None else fields[name].converter
        return instants(column) if converter is None or converter.identity else converter.column(column)

    def make_objects(self, columns: Columns) -> tuple[Sequence[Any], list[Any], list[Sequence[Any]] | None]:
        """Return the keys of a chunk of rows, their objects, live or new, and the values of their columns.

        These are None if an object was live, or if the class may give other values than it got.
        """
        names = self.relation.columns
        converted = self._convert(columns)
        parts = [converted[names.index(name)] for name in self.schema.identifiers]
        keys: Sequence[Any] = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        if self.schema.open:  # of a class whose attributes are set one by one, which others need not be told
            objects: list[Any] = self.plain_schema.make(names, converted, len(keys))
            track(objects, self.schema.cls)
        else:
            objects = self.schema.make(names, converted, len(keys))
        self.branch.attach(objects)
        had = self.identity_map.replace_live(keys, objects)
        return keys, objects, None if had or not self._transparent else converted

    def transient_objects(self, columns: Columns) -> list[Any]:
        """Return new objects of a chunk of rows, whose changes are not tracked."""
        objects: list[Any] = self.plain_schema.make(self.relation.columns, self._convert(columns), len(columns[0]))
        self.branch.attach(objects)
        return objects

    def passing(self) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
        """Yield keys and objects in chunks, in any order; those of rows are new, and their changes not tracked."""
        dirty = self.dirty
        for columns in self.relation.rows():
            objects = self.transient_objects(columns)
            pairs = [(key, item) for item in objects if (key := key_of(item)) not in dirty]
            yield [key for key, _ in pairs], [item for _, item in pairs]
        yield list(self.changed), list(self.changed.values())

    def values_of(self, name: str) -> Iterator[Any]:
        """Yield the values of a column, in any order; rows become objects only where these may have others."""
        if self.dirty or name not in self.relation.columns or not self._transparent:
            return (getattr(item, name) for _, items in self.passing() for item in items)
        index = self.relation.columns.index(name)
        return chain.from_iterable(self._converted(name, columns[index]) for columns in self.relation.rows())

    def _convert(self, columns: Columns) -> list[Sequence[Any]]:
        return [self._converted(name, column) for name, column in zip(self.relation.columns, columns, strict=True)]

    @property
    def _transparent(self) -> bool:
        """Whether objects give back what they got."""
        cls: Any = self.plain_schema.cls
        return cls.__setattr__ is object.__setattr__ and cls.__getattribute__ is object.__getattribute__

    def _of(self, chunks: Iterator[Columns]) -> Iterator[tuple[Any, Any]]:
        for columns in chunks:
            keys, objects, _ = self.make_objects(columns)
            yield from zip(keys, objects, strict=True)

    # A mapping.

    def __len__(self) -> int:
        new = sum(key not in self._overlaid for key in self.changed)
        return self.relation.count - len(self.deleted) + new

    def __contains__(self, key: object) -> bool:
        if key in self.changed:
            return True
        if key in self.deleted or key in self.absent:
            return False
        return self._in_table(key)

    def __getitem__(self, key: Any) -> Any:
        if key in self.changed:
            return self.changed[key]
        if key in self.deleted or key in self.absent:
            raise KeyError(key)
        found = self.identity_map.get(key)
        if found is not None:
            self._read_ahead.answered += 1
            return found
        rows = self._read_ahead.rows(key)
        chunks = self.relation.find([key]) if rows == 1 else self.relation.rows(Page(start=key, limit=rows))
        made = dict(self._of(chunks))
        if rows == 1:
            self.identity_map.hold(made.values())
        self._page = made if rows > 1 else {}
        return made[key]

    def get_many(self, keys: Collection[Any]) -> dict[Any, Any]:
        """Return the objects of those keys that there are, in one query, under their own keys."""
        found: dict[Any, Any] = {}
        asked = []
        for key in keys:
            if key in self.changed:
                own, item = self.changed.peekitem(self.changed.index(key))
                found[own] = item
            elif key not in self.deleted and key not in self.absent:
                item = self.identity_map.get(key)
                if item is None:
                    asked.append(key)
                else:
                    found[key_of(item)] = item
        if asked:
            made = dict(self._of(self.relation.find(asked)))
            self.identity_map.hold(made.values())
            found |= made
        return found

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are, in one query."""
        asked = [key for key in keys if not (key in self.changed or key in self.deleted or key in self.absent)]
        known = {key for key in asked if self.identity_map.get(key) is not None}
        asked = [key for key in asked if key not in known]
        known |= {key for key in keys if key in self.changed}
        return known | self.relation.present(asked) if asked else known

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._pages())

    def __reversed__(self) -> Iterator[Any]:
        return (key for key, _ in self._pages(backwards=True))

    def pairs(self, start: Any = None, stop: Any = None) -> Iterator[tuple[Any, Any]]:
        """Yield keys and objects in order, from a key up to another one."""
        return self._pages(start=start, stop=stop)

    def items(self) -> Any:
        """Return the keys and objects, in order; each iteration asks anew."""
        return _Items(self)

    def values(self) -> Any:
        """Return the objects, in the order of their keys."""
        return _Values(self)

    def _pages(self, *, start: Any = None, stop: Any = None, backwards: bool = False) -> Iterator[tuple[Any, Any]]:
        """Yield a first page, which is found quickly, and then all the rest in one sorted stream."""
        limits = {"start": start, "stop": stop, "backwards": backwards}
        first = list(self._of(self.relation.rows(Page(**limits, limit=_FIRST))))
        rows: Iterator[tuple[Any, Any]] = iter(first)
        if len(first) == _FIRST:
            edge = first[-1][0]
            rest = {**limits, "stop": edge} if backwards else {**limits, "start": None, "after": edge}
            rows = chain(first, self._rest(Page(**rest)))
        over = list(self.changed.irange(start, stop, inclusive=(True, False), reverse=backwards))
        return self._now(rows, over, backwards=backwards)

    def _now(self, rows: Iterator[tuple[Any, Any]], over: list[Any], *, backwards: bool) -> Iterator[tuple[Any, Any]]:
        """Lay what was changed over the rows; what is changed or taken out while they pass by counts too."""
        changed, gone, before = self.changed, self.deleted, set(over)
        if over:
            unchanged = ((key, item) for key, item in rows if key not in before)
            rows = _merged(unchanged, ((key, None) for key in over), backwards=backwards)
        return (
            (key, changed.get(key, item)) for key, item in rows if key in changed or not (key in gone or key in before)
        )

    def _rest(self, page: Page) -> Iterator[tuple[Any, Any]]:
        yield from self._of(self.relation.rows(page))

    # Changes.

    def __setitem__(self, key: Any, item: Any) -> None:
        self._check_sortable(key)
        if key in self.deleted:
            self.deleted.discard(key)
            self._overlaid.add(key)
        elif key not in self.changed and key not in self.absent and self._in_table(key):
            self._overlaid.add(key)
        self.changed[key] = item

    def _check_sortable(self, key: Any) -> None:
        """Raise `TypeError` unless a key can be sorted among the others."""
        other = self.sample_key if self.relation.count else next(iter(self.changed), key)
        if len(self.schema.identifiers) == 1:
            operator.lt(key, other)
        else:
            deque(map(operator.lt, key, other), maxlen=0)

    def _in_table(self, key: Any) -> bool:
        return self.identity_map.get(key) is not None or bool(self.relation.present([key]))

    def pop(self, key: Any, default: Any = None) -> Any:
        """Take an object out and return it; the default if it is not there."""
        found = self.get_many([key]).get(key, default)
        if key in self.changed:
            del self.changed[key]
            if key in self._overlaid:
                self._overlaid.discard(key)
                self.deleted.add(key)
        elif found is not default:
            self.deleted.add(key)
        return found

    def keep(self, key: Any, item: Any) -> None:
        """Note that an object differs from its row by now."""
        if key not in self.changed and key not in self.deleted and self.identity_map.get(key) is item:
            self._overlaid.add(key)
            self.changed[key] = item

    def remember(self, recent: dict[Any, Any], absent: Collection[Any] = ()) -> None:
        """Keep the objects that a comparison made, and the keys that it did not find, until the next one."""
        self.recent, self.absent = recent, set(absent)

    def subset(self, relation: Relation) -> TableObjects:
        """Return some of the rows, which are stored elsewhere, as a table with the same live objects."""
        return TableObjects(relation, self.branch, self.engine, whole=self)

    @property
    def dirty(self) -> set[Any]:
        """The keys whose objects are not as the table has them."""
        return self.deleted | set(self.changed)

    def objects(self) -> SortedDict:
        """Return all objects; from here on, they are in memory."""
        return SortedDict(dict(self.items()))

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return SortedDict, (dict(self.items()),)

    def _check(self) -> None:
        """Assert what must always hold."""
        self.changed._check()
        assert not self.deleted & set(self.changed)
        assert self._overlaid <= set(self.changed)


class _View:
    def __init__(self, table: TableObjects) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)


class _Items(_View):
    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._table.pairs()


class _Values(_View):
    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in self._table.pairs())


def _merged(
    rows: Iterator[tuple[Any, Any]], overlay: Iterator[tuple[Any, Any]], *, backwards: bool
) -> Iterator[tuple[Any, Any]]:
    """Merge two sorted streams without a key in common."""
    waiting = next(overlay, None)
    for pair in rows:
        while waiting is not None and (waiting[0] > pair[0] if backwards else waiting[0] < pair[0]):
            yield waiting
            waiting = next(overlay, None)
        yield pair
    if waiting is not None:
        yield waiting
    yield from overlay
