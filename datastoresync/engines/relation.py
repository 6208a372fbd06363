"""Rows that stay where they are: in a file, a database, a cluster. What every engine's tables have in common."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from datastoresync.syncers.records import Columns

CHUNK = 8192
"""Rows that are handed on at a time."""
DISTINCT = 10_000
"""Different values of an attribute that are converted in Python so that they can be compared in SQL."""


class CannotPushDown(Exception):  # noqa: N818 - a signal between engines, which never reaches the user
    """An engine cannot do as the in-memory one does; the message says why in a few words, for `explain`."""


@attrs.frozen
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
    """What `explain` calls it: ``duckdb``, ``postgresql``, ``spark``."""
    place: Hashable
    """Relations of equal places can be compared where they are."""
    columns: tuple[str, ...]
    """The attributes that there are, in the order of the columns of every chunk."""
    count: int
    """How many rows there are."""

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns in the order of the keys; in any order, which is quicker, if ``page`` is None."""
        ...

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys, as far as they are there, in any order."""
        ...

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        ...

    def differing(self, other: Relation, work: Work) -> Compared:
        """Compare with a relation of an equal place; what is given back may name too many rows and misses none."""
        ...

    def close(self) -> None:
        """Let go of files and connections; nothing is asked afterwards."""
        ...


Rows = Iterator[Columns]


@attrs.frozen(eq=False)
class Work:
    """What is to be compared.

    Args:
        attributes: The names of the attributes, all of them columns of both relations.
        left: How the source's values are converted, by attribute, with the identifiers: see `importing.convert`.
        right: How the destination's are.
    """

    attributes: Sequence[str]
    left: Mapping[str, Any]
    right: Mapping[str, Any]


@attrs.frozen(eq=False)
class Compared:
    """What an engine found.

    Args:
        left: The rows of the source that have no equal in the destination: chunks of all of its columns, in the order
            of their keys.
        right: The rows of the destination that have no equal in the source.
        why: Why it was done so, in a few words, for `explain`.
    """

    left: Rows
    right: Rows
    why: str
