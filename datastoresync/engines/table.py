"""The objects of a branch that is still a table: a sorted mapping that asks an engine, and makes objects on the way."""

from __future__ import annotations

import copy
import operator
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Self

import attrs
from sortedcontainers import SortedDict

from datastoresync.diffing.compare import Engine
from datastoresync.engines.living import LivingObjects, ReadAhead
from datastoresync.engines.relation import Page, Relation
from datastoresync.engines.watched import key_of, watch, watched
from datastoresync.syncers.records import Columns

__all__ = ["TableObjects"]

_FIRST = 128
"""Rows of the first page: enough for a look, and few enough to be found without sorting everything."""


class TableObjects(Mapping[Any, Any]):
    """Objects by key, made when they are asked for.

    What was changed, put in or taken out lies over the table: in ``changed`` and ``gone``. Whoever asks for a key gets
    the object of it that somebody has, if anybody has one. Those that a comparison made are kept until the next one
    (``recent``; and in ``absent`` what it did not find).

    Args:
        relation: The rows.
        layout: What to make of them.
        branch: Whose objects they are.
        engine: Compares it with others.
        living: The objects that somebody has of the same rows.
    """

    def __init__(
        self, relation: Relation, layout: Any, branch: Any, engine: Engine, *, living: LivingObjects | None = None
    ) -> None:
        self.relation = relation
        self.plain_layout = layout
        self.layout = attrs.evolve(layout, cls=watched(layout.cls))
        self.engine = engine
        self.changed: SortedDict = SortedDict()
        self.gone: set[Any] = set()
        self.recent: dict[Any, Any] = {}
        self.absent: set[Any] = set()
        self._there: set[Any] = set()
        self._page: dict[Any, Any] = {}
        self._sample: dict[str, Any] | None = None
        self._branch = branch
        self._living = LivingObjects() if living is None else living
        self._ahead = ReadAhead()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same rows, which nothing changes, for a copy of the branch."""
        made = copy.copy(self)
        memo[id(self)] = made
        vars(made).update(
            recent={},
            _living=LivingObjects(),
            _ahead=ReadAhead(),
            _page={},
            _there=set(self._there),
            gone=set(self.gone),
            absent=set(self.absent),
            _branch=copy.deepcopy(self._branch, memo),
        )
        made.changed = copy.deepcopy(self.changed, memo)  # objects that have the copy of the branch
        return made

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table, which are those of an open class's objects."""
        return self.relation.columns

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
        parts = [self.sample.get(name) for name in self.layout.identifiers]
        return parts[0] if len(parts) == 1 else tuple(parts)

    # From rows to objects.

    def _converted(self, name: str, column: Sequence[Any]) -> Sequence[Any]:
        fields = self.layout.fields
        converter = None if fields is None else fields[name].converter
        return column if converter is None or converter.identity else converter.column(column)

    def made(self, columns: Columns) -> tuple[Sequence[Any], list[Any], list[Sequence[Any]] | None]:
        """Return the keys and objects of a chunk of rows, those that somebody has or new ones, and what is in them.

        That is the values of their columns; None if somebody had one, or the class may give others than it got.
        """
        names = self.relation.columns
        converted = [self._converted(name, column) for name, column in zip(names, columns, strict=True)]
        parts = [converted[names.index(name)] for name in self.layout.identifiers]
        keys: Sequence[Any] = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        if self.layout.open:  # of a class whose attributes are set one by one, which others need not be told
            objects: list[Any] = self.plain_layout.make(names, converted, len(keys))
            watch(objects, self.layout.cls)
        else:
            objects = self.layout.make(names, converted, len(keys))
        self.layout.attach(objects, self._branch)
        had = self._living.unite(keys, objects)
        return keys, objects, None if had or not self._transparent else converted

    @property
    def _transparent(self) -> bool:
        """Whether objects give back what they got."""
        cls = self.plain_layout.cls
        return cls.__setattr__ is object.__setattr__ and cls.__getattribute__ is object.__getattribute__

    def _of(self, chunks: Iterator[Columns]) -> Iterator[tuple[Any, Any]]:
        for columns in chunks:
            keys, objects, _ = self.made(columns)
            yield from zip(keys, objects, strict=True)

    # A mapping.

    def __len__(self) -> int:
        new = sum(key not in self._there for key in self.changed)
        return self.relation.count - len(self.gone) + new

    def __contains__(self, key: object) -> bool:
        if key in self.changed:
            return True
        if key in self.gone or key in self.absent:
            return False
        return self._in_table(key)

    def __getitem__(self, key: Any) -> Any:
        if key in self.changed:
            return self.changed[key]
        if key in self.gone or key in self.absent:
            raise KeyError(key)
        found = self._living.get(key)
        if found is not None:
            self._ahead.answered += 1
            return found
        rows = self._ahead.rows(key)
        chunks = self.relation.find([key]) if rows == 1 else self.relation.rows(Page(start=key, limit=rows))
        made = dict(self._of(chunks))
        if rows == 1:
            self._living.hold(made.values())
        self._page = made if rows > 1 else {}
        return made[key]

    def many(self, keys: Collection[Any]) -> dict[Any, Any]:
        """Return the objects of several keys, as far as they are there, in one question, under their own keys."""
        found: dict[Any, Any] = {}
        asked = []
        for key in keys:
            if key in self.changed:
                own, item = self.changed.peekitem(self.changed.index(key))
                found[own] = item
            elif key not in self.gone and key not in self.absent:
                item = self._living.get(key)
                if item is None:
                    asked.append(key)
                else:
                    found[key_of(item)] = item
        if asked:
            made = dict(self._of(self.relation.find(asked)))
            self._living.hold(made.values())
            found |= made
        return found

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are, in one question."""
        asked = [key for key in keys if not (key in self.changed or key in self.gone or key in self.absent)]
        known = {key for key in asked if self._living.get(key) is not None}
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
        changed, gone, before = self.changed, self.gone, set(over)
        if over:
            mine = ((key, item) for key, item in rows if key not in before)
            rows = _merged(mine, ((key, None) for key in over), backwards=backwards)
        return (
            (key, changed.get(key, item)) for key, item in rows if key in changed or not (key in gone or key in before)
        )

    def _rest(self, page: Page) -> Iterator[tuple[Any, Any]]:
        yield from self._of(self.relation.rows(page))

    # Changes.

    def __setitem__(self, key: Any, item: Any) -> None:
        self._check_sortable(key)
        if key in self.gone:
            self.gone.discard(key)
            self._there.add(key)
        elif key not in self.changed and key not in self.absent and self._in_table(key):
            self._there.add(key)
        self.changed[key] = item

    def _check_sortable(self, key: Any) -> None:
        """Raise `TypeError` unless a key can be sorted among the others, whatever these are."""
        other = self.sample_key if self.relation.count else next(iter(self.changed), key)
        if len(self.layout.identifiers) == 1:
            operator.lt(key, other)
        else:
            deque(map(operator.lt, key, other), maxlen=0)

    def _in_table(self, key: Any) -> bool:
        return self._living.get(key) is not None or bool(self.relation.present([key]))

    def pop(self, key: Any, default: Any = None) -> Any:
        """Take an object out and return it; the default if it is not there."""
        found = self.many([key]).get(key, default)
        if key in self.changed:
            del self.changed[key]
            if key in self._there:
                self._there.discard(key)
                self.gone.add(key)
        elif found is not default:
            self.gone.add(key)
        return found

    def keep(self, key: Any, item: Any) -> None:
        """Note that an object that was made of a row is not as the row any more."""
        if key not in self.changed and key not in self.gone and self._living.get(key) is item:
            self._there.add(key)
            self.changed[key] = item

    def recall(self, recent: dict[Any, Any], absent: Collection[Any] = ()) -> None:
        """Keep objects that a comparison made, and what it found not to be there, until the next one."""
        self.recent, self.absent = recent, set(absent)

    def over(self, relation: Relation) -> TableObjects:
        """Return some of the rows, which are kept elsewhere, as a table of their own."""
        return TableObjects(relation, self.plain_layout, self._branch, self.engine, living=self._living)

    @property
    def touched(self) -> set[Any]:
        """The keys that are not as the table has them."""
        return self.gone | set(self.changed)

    def objects(self) -> SortedDict:
        """Return all objects; from here on, they are in memory."""
        return SortedDict(dict(self.items()))

    def _check(self) -> None:
        """Assert what must always hold."""
        self.changed._check()
        assert not self.gone & set(self.changed)
        assert self._there <= set(self.changed)


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
    one: Iterator[tuple[Any, Any]], other: Iterator[tuple[Any, Any]], *, backwards: bool
) -> Iterator[tuple[Any, Any]]:
    """Merge two sorted streams without a key in common."""
    ahead = next(other, None)
    for pair in one:
        while ahead is not None and (ahead[0] > pair[0] if backwards else ahead[0] < pair[0]):
            yield ahead
            ahead = next(other, None)
        yield pair
    if ahead is not None:
        yield ahead
    yield from other
