"""Keys that a database takes for one although they are spelled differently, as a collation or a type may have it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, Generic, TypeVar

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql.dialects import Dialect
from datastoresync.syncers.sql.references import Joins

V = TypeVar("V")

Key = tuple[Any, ...]
Execute = Callable[[sa.Select[Any]], Iterable[Any]]
"""Asks the database, and gives the rows."""
_ASKED = 1_000
"""Keys that are looked for at once."""
_COMPARED = 50
"""Keys that are compared with each row at once: few enough for the columns that a statement may have."""


@attrs.frozen(eq=False)
class Found(Generic[V]):
    """What a database finds for keys.

    Args:
        exact: What is there under the very key, by key.
        spelled: The other keys, as they were read, that the database takes for one that was asked for, by that one.
    """

    exact: Mapping[Key, list[V]]
    spelled: Mapping[Key, list[Key]]


def found_for(
    keys: Collection[Key],
    match: Callable[[Iterable[Any]], Key],
    rows: Iterable[tuple[Key, V]],
    compare: Callable[[], Iterable[tuple[Key, Key]]],
) -> Found[V]:
    """Return what was found for keys.

    Args:
        keys: The keys that were asked for, as the matcher gives them.
        match: Maps keys as they are read to what is asked for.
        rows: What was found, each by its key as it was read.
        compare: Asks the database which key that was read it takes for which; called only where one was not asked for.
    """
    wanted = set(keys)
    exact: dict[Key, list[V]] = {}
    spelled: dict[Key, list[Key]] = {}
    foreign = False
    for raw, value in rows:
        key = match(raw)
        exact.setdefault(key, []).append(value)
        foreign = foreign or key not in wanted
    if foreign:
        for key, raw in compare():
            if match(raw) != key:
                spelled.setdefault(key, []).append(raw)
    return Found(exact, spelled)


def compared(
    execute: Execute, dialect: Dialect, columns: Sequence[sa.Column[Any]], keys: Collection[Key]
) -> Iterator[tuple[Key, Key]]:
    """Yield each of the keys with every key in the columns, as it is read, that the database takes for the same."""
    joins = Joins(columns[0].table)
    found = list(map(joins.column, columns))
    waiting = list(keys)
    for start in range(0, len(waiting), _COMPARED):
        some = waiting[start : start + _COMPARED]
        flags = [sa.case((_equals(found, key), 1), else_=0).label(f"is_{number}") for number, key in enumerate(some)]
        statement = sa.select(*found, *flags).select_from(joins.source).where(among(dialect, found, some))
        for row in execute(statement):
            raw, taken = tuple(row)[: len(columns)], tuple(row)[len(columns) :]
            yield from ((key, raw) for key in compress(some, taken))


def spelled_elsewhere(
    execute: Execute,
    dialect: Dialect,
    columns: Sequence[sa.Column[Any]],
    match: Callable[[Iterable[Any]], Key],
    keys: Collection[Key],
) -> Iterator[tuple[Key, Key]]:
    """Yield those of the keys that are not in the columns, each with every key there that is taken for the same."""
    joins = Joins(columns[0].table)
    found = list(map(joins.column, columns))
    texts = [isinstance(column.type, sa.String) for column in found]
    if not keys or not any(texts):  # only texts are compared by a collation
        return
    there = set(map(match, execute(sa.select(*found).select_from(joins.source))))
    missing = [key for key in keys if key not in there and [isinstance(value, str) for value in key] == texts]
    for start in range(0, len(missing), _ASKED):
        some = missing[start : start + _ASKED]
        asked = sa.select(*found).select_from(joins.source).where(among(dialect, found, some)).limit(1)
        if list(execute(asked)):
            yield from compared(execute, dialect, columns, some)


def among(dialect: Dialect, columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
    """Return the condition that columns have one of these keys."""
    if len(columns) > 1:
        return sa.tuple_(*columns).in_(sa.bindparam("keys", keys, expanding=True))
    return dialect.among(columns[0], [key[0] for key in keys])


def _equals(columns: Sequence[sa.ColumnElement[Any]], key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(column == sa.bindparam(None, value, type_=column.type) for column, value in zip(columns, key, strict=True))
    )


def key_text(key: Key) -> str:
    """Return a key as messages show it."""
    return repr(key[0] if len(key) == 1 else key)


def how_to_declare(key: Key, other: Key, where: str) -> str:
    """Return the advice for two keys that differ in how they are spelled, and that the store takes for one.

    Args:
        key: One.
        other: The other.
        where: Words for the class of the objects that have these keys.
    """
    form = _form_of(key, other)
    if form:
        return f"declare the one form of keys in {where}, as in _key = {form}"
    return (
        f"declare the one form of keys in {where}, as _key = …: a function that returns the same for both, such as one "
        "that leaves out the accents where the store ignores them"
    )


def _form_of(key: Key, other: Key) -> str:
    """Return the method of text that makes two keys one, as it is written in Python; empty if there is none."""
    texts = [tuple(str(value) for value in one) for one in (key, other)]
    stripped = {tuple(map(str.strip, one)) for one in texts}
    if len(stripped) == 1:
        return "str.strip"
    if len({tuple(map(str.casefold, one)) for one in texts}) == 1:
        return "str.casefold"
    return ""
