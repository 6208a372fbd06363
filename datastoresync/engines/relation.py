"""Rows that stay where they are: in a file, a database, a cluster. What every engine's tables have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import attrs

from datastoresync.conversion.key_forms import Forms
from datastoresync.conversion.schema import Schema
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.table_layout import Table

CHUNK = 8192
"""Rows that are handed on at a time."""
DISTINCT = 10_000
"""Different values of an attribute that are converted in Python so that they can be compared in SQL."""


class CannotPushDown(Exception):  # noqa: N818 - a signal between engines, which never reaches the user
    """An engine cannot do as the in-memory one does; the message says why in a few words, for `explain`."""


@attrs.frozen(eq=False, repr=False)
class BranchDescription:
    """What an import and the engines know of a branch.

    Args:
        name: Its full name, for messages: ``source.users``.
        object_class: The class of its objects.
        schema_of: Returns the schema of a class; it is asked late, when the annotations of the class can be resolved.
        attach: Tells objects that they are in the branch.
        table: Where a syncer keeps the objects.
        engine: Which engine is wanted; see `engines.select`.
        forms_of: Returns the forms of its keys and of its values that name objects; asked as late as the schema.
        written: Whether changes are written to the store it is read from, so that what that held must be known.
    """

    name: str
    object_class: type[Any]
    schema_of: Callable[[type[Any]], Schema]
    attach: Callable[[Iterable[Any]], None]
    table: Table
    engine: Any = "auto"
    forms_of: Callable[[], Forms] = Forms
    written: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the description of the copy of the branch."""
        attach, forms_of = copy.deepcopy((self.attach, self.forms_of), memo)
        return attrs.evolve(self, attach=attach, forms_of=forms_of)

    @property
    def schema(self) -> Schema:
        """The schema of the objects."""
        return self.schema_of(self.object_class)

    @property
    def columns(self) -> list[str] | None:
        """The attributes that a store is asked for: those declared, or None for all."""
        fields = self.schema.fields
        return None if fields is None else list(fields)


@attrs.frozen(eq=False, repr=False)
class Page:
    """Which rows are wanted, by key: those that are at least ``start``, or ``after`` a key, and less than ``stop``.

    Args:
        start: The first key; None for no limit.
        stop: The key behind the last one; None for no limit.
        after: A key that the first one follows; None for no limit.
        limit: The number of rows; None for all of them.
        backwards: Whether the last ones come first.
    """

    start: Any = None
    stop: Any = None
    after: Any = None
    limit: int | None = None
    backwards: bool = False


class Relation(Protocol):
    """The rows of one branch, unconverted, each with a key of its own.

    Values are what the in-memory way would be given: text from a CSV file, what the driver of a database gives. Keys
    are those of the objects: converted, and a tuple where several fields make up the idnumber.
    """

    engine: str
    """The name of its engine, as `explain` gives it."""
    location: Hashable
    """Relations of one location can be compared where they are."""
    columns: tuple[str, ...]
    """The attributes that there are, in the order of the columns of every chunk."""
    count: int
    """How many rows there are."""

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns in the order of the keys; in any order, which is quicker, if ``page`` is None."""
        ...

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of those keys that there are, in any order."""
        ...

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        ...

    def differing(self, other: Relation, work: Work) -> DifferingRows:
        """Compare with a relation of an equal location; what is given back may name too many rows and misses none."""
        ...

    def close(self) -> None:
        """Let go of files and connections; nothing is asked afterwards."""
        ...


@runtime_checkable
class ComparedApart(Protocol):
    """A relation that can be compared with one of its engine in another location."""

    def differing_apart(self, other: Any, work: Work) -> DifferingRows:
        """Compare with a relation of the same engine in another location."""
        ...


class SourceEngine:
    """What an engine registers in `engines.select`: which sources it takes, and how they are opened."""

    name: str
    """What `explain` calls it."""
    asked: str
    """What a user calls it, as ``engine=…`` of a branch or a tree."""
    options: type[Any] | None = None
    """The class of its options, which may be given in the place of its name."""
    example: str = ""
    """How these are written, for messages."""
    sources: tuple[type[Any], ...] = ()
    """Types of the sources that it takes, or of the source infos of records that it takes."""
    frames: str = ""
    """The beginning of the names of the modules whose classes called ``DataFrame`` it takes."""

    def takes(self, source: Any) -> bool:
        """Say whether the engine is for a source, without importing anything."""
        if isinstance(source.source_info if isinstance(source, Records) else source, self.sources):
            return True
        return bool(self.frames) and any(
            cls.__name__ == "DataFrame" and cls.__module__.startswith(self.frames) for cls in type(source).__mro__
        )

    def is_large(self, source: Any, schema: Schema) -> bool:  # noqa: ARG002 - most say it without a look
        """Say whether objects would cost more than a table, or `relation` says whether they would."""
        return True

    def relation(self, source: Any, branch: BranchDescription, options: Any, *, automatic: bool) -> Relation | None:
        """Return the rows of a source as a relation; None if there are few of them.

        Args:
            source: A source that the engine takes.
            branch: The branch that is imported.
            options: Options of the engine, or None.
            automatic: Whether no engine was asked for.

        Raises:
            CannotPushDown: with the reason why it must become objects.
        """
        raise NotImplementedError

    def records(self, source: Any) -> Any:
        """Return what an import row by row reads instead of a source."""
        return source


Rows = Iterator[Columns]


@attrs.frozen(eq=False, repr=False)
class Work:
    """What is to be compared.

    Args:
        attributes: The names of the attributes, all of them columns of both relations.
        left: How the source's values are converted, by attribute, with the identifiers: see `conversion.converters`.
        right: How the destination's are.
        identical: Columns of both relations whose values must be the same, not just equal.
    """

    attributes: Sequence[str]
    left: Mapping[str, Any]
    right: Mapping[str, Any]
    identical: Sequence[str] = ()


@attrs.frozen(eq=False, repr=False)
class DifferingRows:
    """What an engine found.

    Args:
        left: The rows of the source that have no equal in the destination: chunks of all of its columns, in the order
            of their keys.
        right: The rows of the destination that have no equal in the source.
        reason: Why it was done so, in a few words, for `explain`.
    """

    left: Rows
    right: Rows
    reason: str
