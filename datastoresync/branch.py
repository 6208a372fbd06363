"""Level 3: one kind of thing, a sorted mapping from idnumber to object."""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Self, TypeVar

from sortedcontainers import SortedDict

from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.side import Side
from datastoresync.diffing.values import equal
from datastoresync.errors import ComparisonError, DeclarationError, ImporterError
from datastoresync.importing.feed import Feed
from datastoresync.importing.importer import Importer, importer_of
from datastoresync.importing.report import ImportReport
from datastoresync.importing.store import StoreImporter
from datastoresync.object import Object, layout_of, side_of
from datastoresync.printing.html import html
from datastoresync.printing.outline import Grid, Outline
from datastoresync.printing.text import text
from datastoresync.printing.words import counted
from datastoresync.syncers.changes import Table

__all__ = ["Branch"]

T = TypeVar("T", bound=Object)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a million new objects again and again while they are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Branch(Mapping[Any, T], Generic[T]):
    """One kind of thing in a tree: objects of one class, sorted by idnumber.

    In a tree's class it is a declaration; each tree has branches of its own, made after it.

    Args:
        object_class: What the branch holds.
        importer: Where the rows come from: an `Importer` or its class, a function, a syncer, rows, or a dataframe.
        table: Where the tree's syncer keeps the objects, if not under the branch's name.

    >>> users = Branch(Object, importer=[{"idnumber": "2", "name": "Bob"}, {"idnumber": "1", "name": "Ann"}])
    >>> list(+users)
    ['1', '2']
    >>> users["1"]
    Object(idnumber='1', name='Ann')
    """

    def __init__(
        self,
        object_class: type[T] = Object,  # type: ignore[assignment]  # Object is the widest T
        *,
        importer: Any = None,
        table: str | Table | None = None,
    ) -> None:
        if not (isinstance(object_class, type) and issubclass(object_class, Object)):
            message = f"a branch holds objects: give it a subclass of datastoresync.Object (got {object_class!r})"
            raise DeclarationError(message)
        self.object_class: type[T] = object_class
        self.name = ""
        self._table = table
        self.importer: Importer | None = None if importer is None else importer_of(importer, store=StoreImporter)
        self.tree: Any = None
        self.imported: ImportReport | None = None
        self._objects: SortedDict = SortedDict()
        self._overrides: dict[Any, dict[str, Any]] = {}
        self._rejected = 0
        self._columns: set[str] = set()

    def bound(self, name: str, tree: Any) -> Branch[T]:
        """Return an empty branch like this one, for a tree of its own."""
        mine = copy.copy(self)
        mine.name, mine.tree = name, tree
        mine.imported, mine._rejected = None, 0  # noqa: SLF001 - it is of this class
        mine._objects, mine._overrides, mine._columns = SortedDict(), {}, set()  # noqa: SLF001
        return mine

    @property
    def table(self) -> Table:
        """Where a syncer keeps the objects."""
        if self._table is None:
            return Table(self.name)
        return self._table if isinstance(self._table, Table) else Table(self._table)

    @property
    def full_name(self) -> str:
        """The branch with its tree: ``source.users``."""
        return f"{self.tree.name}.{self.name}" if self.tree is not None else self.name or self.object_class.__name__

    # A mapping.

    def __getitem__(self, idnumber: Any) -> T:
        try:
            found: T = self._objects[idnumber]
        except KeyError:
            message = f"no {idnumber!r} in {self.full_name}"
            raise KeyError(message) from None
        return found

    def __iter__(self) -> Iterator[Any]:
        return iter(self._objects)

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self._objects))

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, idnumber: object) -> bool:
        return idnumber in self._objects

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def find(self, **attributes: Any) -> list[T]:
        """Return the objects whose attributes have these values, in the order of their idnumbers."""
        side = self.side()
        wanted = [name for name in attributes if name not in side.attributes and not self._carries(name)]
        if wanted and self._objects:
            message = f"{self.full_name} has no attribute {', '.join(wanted)}: there are {', '.join(side.attributes)}"
            raise ComparisonError(message)
        return [
            item
            for key, item in self._objects.items()
            if all(equal(side.read(key, item, name), value) for name, value in attributes.items())
        ]

    def _carries(self, name: str) -> bool:
        return any(hasattr(item, name) for item in self._objects.values())

    def range(self, start: Any = None, stop: Any = None) -> Iterator[T]:
        """Yield the objects whose idnumbers are at least ``start`` and less than ``stop``; costs one look-up."""
        return map(self._objects.__getitem__, self._objects.irange(start, stop, inclusive=(True, False)))

    def prefix(self, start: str) -> Iterator[T]:
        """Yield the objects whose idnumbers are texts that begin so; costs one look-up."""
        for key in self._objects.irange(start):
            if not key.startswith(start):
                return
            yield self._objects[key]

    def new(self, idnumber: Any = None, **attributes: Any) -> T:
        """Make an object, converted and checked as an imported row is, and put it in.

        Raises:
            ImporterError: if a value is refused, or the idnumber is there already.
        """
        identifiers = self.identifiers
        if idnumber is not None:
            parts = (idnumber,) if len(identifiers) == 1 else idnumber
            attributes = {**dict(zip(identifiers, parts, strict=True)), **attributes}
        fed = self._feed(importer_of([attributes], store=lambda _: Importer()).bound(self.tree, self))
        ((key, item),) = fed.objects.items()
        if key in self._objects:
            message = f"idnumber {key!r} is there already: change it, or remove it first"
            raise ImporterError(message, where=self.full_name)
        self._put(key, item)
        added: T = item
        return added

    def remove(self, idnumber: Any) -> T:
        """Take an object out and return it.

        Raises:
            KeyError: if it is not there.
        """
        found = self[idnumber]
        self._drop(idnumber)
        return found

    def _drop(self, key: Any) -> None:
        item = self._objects.pop(key, None)
        self._overrides.pop(key, None)
        # An open class still has the columns of its last object that had them.
        self._columns.update(getattr(item, "__dict__", ()))

    def _put(self, key: Any, item: Any) -> None:
        try:
            self._objects[key] = item
        except TypeError:
            message = f"idnumber {key!r} cannot be sorted among the others in {self.full_name}"
            raise ComparisonError(message) from None
        item.__branch__ = self
        self._overrides.pop(key, None)

    # The operators.

    def load(self) -> Self:
        """Replace the contents by what the importer reads; the same as ``+branch``.

        A branch without an importer stays as it is, and so does one whose import fails.

        Raises:
            ImporterError: if something that comes in is refused.
        """
        importer = self.importer
        if importer is None and getattr(self.tree, "syncer", None) is not None:
            importer = StoreImporter(self.tree.syncer)
        if importer is None:
            return self
        derived = [self.tree[name] for name in importer.after] if self.tree is not None else []
        started = time.perf_counter()
        with collector_paused():
            fed = self._feed(importer.bound(self.tree, self))
            try:
                self._objects = SortedDict(fed.objects)
            except TypeError as error:
                message = f"{self.full_name}: the idnumbers cannot be sorted: {error}"
                raise ImporterError(message) from error
            layout_of(self.object_class).attach(fed.objects.values(), self)
        self._overrides, self._columns = {}, set()
        self._rejected = len(fed.bad_rows) + sum(branch._rejected for branch in derived)  # noqa: SLF001 - of this class
        seconds = time.perf_counter() - started
        self.imported = ImportReport(self.full_name, fed.rows, len(fed.objects), fed.bad_rows, seconds)
        return self

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The fields that the idnumber is made of."""
        return layout_of(self.object_class).identifiers

    def columns(self) -> list[str] | None:
        """Return the attributes that a store is asked for: those declared, or None for all."""
        fields = layout_of(self.object_class).fields
        return None if fields is None else list(fields)

    def _feed(self, importer: Importer) -> Any:
        try:
            return Feed(layout_of(self.object_class), importer, name=self.full_name).run()
        except ImporterError as error:
            error.branch = error.branch or self.full_name
            raise

    def state(self) -> tuple[Any, ...]:
        """Return what an import replaces, so that a tree can put it back if a later branch fails."""
        return self._objects, self._overrides, self._columns, self._rejected, self.imported

    def restore(self, state: tuple[Any, ...]) -> None:
        """Put back what `state` gave."""
        self._objects, self._overrides, self._columns, self._rejected, self.imported = state

    def diff(self, other: Branch[Any], *, only: Filter = None, exclude: Filter = None) -> Diff:
        """Return what ``other`` must do to become this branch; the same as ``self - other``.

        Raises:
            SchemaMismatchError: if the two cannot be compared.
        """
        if self.name and other.name and self.name != other.name:
            message = f"{self.full_name} and {other.full_name} are different kinds of things"
            raise ComparisonError(message)
        with collector_paused():
            return Diff.between([(self.side(), other.side())]).filtered(only, exclude)

    def preview(
        self, other: Branch[Any], *, only: Filter = None, exclude: Filter = None, limits: Any = None
    ) -> Preview:
        """Print what ``other`` must do to become this branch; the same as ``self > other``."""
        return Preview.of(self.diff(other, only=only, exclude=exclude), limits=limits).show()

    def sync_to(self, other: Branch[Any], **options: Any) -> Report:
        """Make ``other`` like this branch through its tree's template or syncer; the same as ``self >> other``.

        ``options`` are those of `Tree.sync_to`.
        """
        if other.tree is None:
            message = "a branch without a tree has no template: write `source - dest | Template`"
            raise DeclarationError(message)
        report: Report = other.tree.apply(self.diff(other), **options)
        return report

    def __pos__(self) -> Self:
        return self.load()

    def __sub__(self, other: Branch[Any]) -> Diff:
        return self.diff(other) if isinstance(other, Branch) else NotImplemented

    def __gt__(self, other: Branch[Any]) -> Preview:
        return self.preview(other) if isinstance(other, Branch) else NotImplemented

    def __rshift__(self, other: Branch[Any]) -> Report:
        return self.sync_to(other) if isinstance(other, Branch) else NotImplemented

    def __or__(self, template: object) -> Any:
        message = "`>` binds less tightly than `|`: write (source > dest) | Template, or source - dest | Template"
        raise TypeError(message)

    def __neg__(self) -> Any:
        message = "a branch has no minus: the diff that undoes another is -(source - dest)"
        raise TypeError(message)

    # How the rest of the house sees it.

    def side(self) -> Side:
        """Return the branch as one side of a comparison."""
        return side_of(
            self.object_class,
            self._objects,
            tree=self.tree.name if self.tree is not None else "",
            branch=self.name,
            columns=self._columns,
            overrides=self._overrides,
            rejected=self._rejected,
            fold=self.fold,
        )

    def fold(self, action: Action, values: Mapping[str, Any]) -> None:
        """Note an action that was carried out, without asking a store.

        What the class cannot hold, because it is a property without a setter, is noted beside the object until the
        next import.
        """
        key = action.idnumber
        if action.verb == "old":
            self._drop(key)
            return
        if action.verb == "new":
            layout = layout_of(self.object_class)
            parts = key if len(layout.identifiers) > 1 else (key,)
            own = dict(zip(layout.identifiers, parts, strict=True))
            self._put(key, layout.blank(own))
            for name, value in values.items():
                self._set(key, name, copy.copy(value))
            return
        if key not in self._objects:
            return
        value = copy.copy(action.value)
        if action.verb in ("add", "remove"):
            held = self._overrides.get(key, {})
            members = held[action.attr] if action.attr in held else getattr(self._objects[key], action.attr)
            counted = isinstance(values.get(action.attr), list)
            value = _with_member(members, action.verb, action.value, counted=counted)
        self._set(key, action.attr, value)

    def _set(self, key: Any, name: str, value: Any) -> None:
        item = self._objects[key]
        try:
            object.__setattr__(item, name, value)
        except AttributeError:  # a property without a setter
            self._overrides.setdefault(key, {})[name] = value

    def _check(self) -> None:
        """Assert what must always hold; the tests call it after every step."""
        self._objects._check()
        for key, item in self._objects.items():
            assert isinstance(item, self.object_class)
            assert item.idnumber == key
            assert item.__branch__ is self
        assert self._overrides.keys() <= self._objects.keys()

    def __repr__(self) -> str:
        name = f" {self.full_name}" if self.name else ""
        return f"<Branch{name}: {counted(len(self), 'object')} of {self.object_class.__name__}>"

    def __outline__(self) -> Outline:
        """Describe the branch: a row an object."""
        side = self.side()
        identifiers = self.identifiers
        names = [*identifiers, *side.attributes]

        def rows() -> Iterator[list[Any]]:
            for key, item in self._objects.items():
                yield [*(getattr(item, name) for name in identifiers), *_cells(side, key, item)]

        note = counted(len(self), "object")
        if self.imported is not None and self.imported.bad_rows:
            note += f", {counted(len(self.imported.bad_rows), 'row')} refused"
        grid = Grid(names, rows, len(self)) if len(self) else None
        return Outline(self.name or self.object_class.__name__, "branch", note, grid=grid)

    def text(self, *, lines: int | None = 25, columns: int | None = 100) -> str:
        """Return the branch as a table in plain text."""
        return text(self.__outline__(), lines=lines, columns=columns)

    def _repr_html_(self) -> str:
        return html(self.__outline__())


def _cells(side: Side, key: Any, item: Any) -> Iterator[Any]:
    for name in side.attributes:
        try:
            yield side.read(key, item, name)
        except ComparisonError as error:
            yield str(error)


def _with_member(members: Any, verb: str, member: Any, *, counted: bool) -> Any:
    """Return a new container with one member more or less; unless members are counted, it is removed everywhere."""
    changed = list(members)
    if verb == "add":
        changed.append(member)
    elif counted:
        place = next((place for place, one in enumerate(changed) if equal(one, member)), None)
        if place is not None:
            del changed[place]
    else:
        changed = [one for one in changed if not equal(one, member)]
    return type(members)(changed)
