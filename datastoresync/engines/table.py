"""The objects of a branch that is still a table: a sorted mapping that asks an engine, and makes objects on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import attrs
from sortedcontainers import SortedDict

from datastoresync.diffing.engine import Engine
from datastoresync.engines.relation import Page, Relation
from datastoresync.engines.watched import watch, watched
from datastoresync.syncers.records import Columns

__all__ = ["TableObjects"]

_FIRST = 128
"""Rows of the first page: enough for a look, and few enough to be found without sorting everything."""


class TableObjects(Mapping[Any, Any]):
    """Objects by key, made when they are asked for.

    What was changed, put in or taken out lies over the table: in ``changed`` and ``gone``. Objects that a comparison
    made are kept until the next one (``recent``; and in ``absent`` what it did not find), so that whoever has an action
    and whoever asks for its object get the same one.

    Args:
        relation: The rows.
        layout: What to make of them.
        attach: Lets objects know their branch.
        engine: Compares it with others.
    """

    def __init__(
        self, relation: Relation, layout: Any, attach: Callable[[Collection[Any]], None], engine: Engine
    ) -> None:
        self.relation = relation
        self.plain_layout = layout
        self.layout = attrs.evolve(layout, cls=watched(layout.cls))
        self._plain = layout
        self.engine = engine
        self.changed: SortedDict = SortedDict()
        self.gone: set[Any] = set()
        self.recent: dict[Any, Any] = {}
        self.absent: set[Any] = set()
        self._there: set[Any] = set()
        self._sample: dict[str, Any] | None = None
        self._attach = attach

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

    def made(self, columns: Columns) -> tuple[Sequence[Any], list[Any]]:
        """Return the keys and the objects of a chunk of rows, as an import makes them."""
        names = self.relation.columns
        converted = [self._converted(name, column) for name, column in zip(names, columns, strict=True)]
        parts = [converted[names.index(name)] for name in self.layout.identifiers]
        keys: Sequence[Any] = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        objects: list[Any] = self._plain.make(names, converted, len(keys))
        watch(objects, self.layout.cls)
        self._attach(objects)
        return keys, objects

    def _of(self, chunks: Iterator[Columns]) -> Iterator[tuple[Any, Any]]:
        for columns in chunks:
            yield from zip(*self.made(columns), strict=True)

    # A mapping.

    def __len__(self) -> int:
        new = sum(key not in self._there for key in self.changed)
        return self.relation.count - len(self.gone) + new

    def __contains__(self, key: object) -> bool:
        if key in self.changed:
            return True
        if key in self.gone or key in self.absent:
            return False
        return key in self.recent or bool(self.relation.present([key]))

    def __getitem__(self, key: Any) -> Any:
        if not self.changed and not self.gone and key in self.recent:
            return self.recent[key]
        found = self.many([key])
        if not found:
            raise KeyError(key)
        return found[key]

    def many(self, keys: Collection[Any]) -> dict[Any, Any]:
        """Return the objects of several keys, as far as they are there, in one question."""
        found: dict[Any, Any] = {}
        asked = []
        for key in keys:
            if key in self.changed:
                found[key] = self.changed[key]
            elif key in self.recent:
                if key not in self.gone:
                    found[key] = self.recent[key]
            elif key not in self.gone and key not in self.absent:
                asked.append(key)
        if asked:
            made = dict(self._of(self.relation.find(asked)))
            self.recent.update(made)
            found |= made
        return found

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are, in one question."""
        known = {key for key in keys if key in self.changed or (key in self.recent and key not in self.gone)}
        asked = [key for key in keys if key not in known and key not in self.gone and key not in self.absent]
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
        mine = (
            (key, self.recent.get(key, item)) for key, item in rows if key not in self.gone and key not in self.changed
        )
        if not self.changed:
            return mine
        over = [
            (key, self.changed[key])
            for key in self.changed.irange(start, stop, inclusive=(True, False), reverse=backwards)
        ]
        return _merged(mine, over, backwards=backwards)

    def _rest(self, page: Page) -> Iterator[tuple[Any, Any]]:
        yield from self._of(self.relation.rows(page))

    # Changes.

    def __setitem__(self, key: Any, item: Any) -> None:
        if key in self.gone:
            self.gone.discard(key)
            self._there.add(key)
        elif key not in self.changed and key not in self.absent and self._in_table(key):
            self._there.add(key)
        self.changed[key] = item

    def _in_table(self, key: Any) -> bool:
        return key in self.recent or bool(self.relation.present([key]))

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
        if key not in self.changed and key not in self.gone and self.recent.get(key, item) is item:
            self._there.add(key)
            self.changed[key] = item

    def recall(self, recent: dict[Any, Any], absent: Collection[Any] = ()) -> None:
        """Keep objects that a comparison made, and what it found not to be there, until the next one."""
        self.recent, self.absent = recent, set(absent)

    def over(self, relation: Relation) -> TableObjects:
        """Return some of the rows, which are kept elsewhere, as a table of their own."""
        return TableObjects(relation, self.plain_layout, self._attach, self.engine)

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
    one: Iterator[tuple[Any, Any]], other: list[tuple[Any, Any]], *, backwards: bool
) -> Iterator[tuple[Any, Any]]:
    """Merge two sorted streams without a key in common."""
    waiting = iter(other)
    ahead = next(waiting, None)
    for pair in one:
        while ahead is not None and (ahead[0] > pair[0] if backwards else ahead[0] < pair[0]):
            yield ahead
            ahead = next(waiting, None)
        yield pair
    if ahead is not None:
        yield ahead
    yield from waiting
