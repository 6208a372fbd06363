"""Keys that a database takes for one although they are spelled differently, as a collation or a type may have it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs
import sqlalchemy as sa

V = TypeVar("V")

Key = tuple[Any, ...]
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


def comparisons(
    columns: Sequence[sa.ColumnElement[Any]],
    among: Callable[[Sequence[sa.ColumnElement[Any]], Sequence[Key]], sa.ColumnElement[bool]],
    keys: Collection[Key],
) -> Iterator[tuple[Sequence[Key], sa.Select[Any]]]:
    """Yield some of the keys at a time, and what selects the keys in the table, and for each of these if it is one."""
    waiting = list(keys)
    for start in range(0, len(waiting), _COMPARED):
        some = waiting[start : start + _COMPARED]
        flags = [sa.case((_equals(columns, key), 1), else_=0).label(f"is_{number}") for number, key in enumerate(some)]
        yield some, sa.select(*columns, *flags).where(among(columns, some))


def _equals(columns: Sequence[sa.ColumnElement[Any]], key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(column == sa.bindparam(None, value, type_=column.type) for column, value in zip(columns, key, strict=True))
    )


def shown(key: Key) -> str:
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
