"""The keys of a relation in a database, as the conditions of a query.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from math import isfinite
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from datastoresync.engines.postgresql.types import Form
from datastoresync.engines.relation import Page

__all__ = ["KEYS", "Keys"]

KEYS: Final[Mapping[str, tuple[type, TypeEngine[Any]]]] = MappingProxyType(
    {
        "bytea": (bytes, sa.LargeBinary()),
        "date": (date, sa.Date()),
        "int": (int, sa.BigInteger()),
        "numeric": (Decimal, sa.Numeric()),
        "text": (str, sa.Text()),
        "timestamp": (datetime, sa.DateTime()),
        "uuid": (UUID, sa.Uuid()),
    }
)
"""The families whose values are keys that the database orders as Python does."""

_BATCH = 10_000
_LARGEST = 2**63
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
_FIRST_BEHIND_SURROGATES = "\ue000"


@attrs.frozen(eq=False)
class Keys:
    """The key of a relation.

    Args:
        forms: How each of its parts is compared.
        indexed: For parts that are text: the column, which an index may be on, where its equality is no stricter.
    """

    forms: Sequence[Form]
    indexed: Sequence[sa.ColumnElement[Any] | None]

    @property
    def values(self) -> list[sa.ColumnElement[Any]]:
        """The parts, converted."""
        return [form.value for form in self.forms]

    def parts(self, key: Any) -> tuple[Any, ...] | None:
        """Return the parts of a key as the database can be asked for them, or None if it cannot be there."""
        parts = key if isinstance(key, tuple) and len(self.forms) > 1 else (key,)
        if len(parts) != len(self.forms):
            return None
        found = tuple(_asked(form.family, part) for form, part in zip(self.forms, parts, strict=True))
        return None if None in found else found

    def among(self, keys: Collection[Any]) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that together hold for these keys, each for many of them."""
        waiting = iter({parts for parts in map(self.parts, keys) if parts is not None})
        while batch := list(islice(waiting, _BATCH)):
            arrays = [
                sa.literal(list(column), ARRAY(KEYS[form.family][1]))
                for form, column in zip(self.forms, zip(*batch, strict=True), strict=True)
            ]
            if len(arrays) == 1:
                condition = self.values[0] == sa.any_(arrays[0])
                plain = self.indexed[0]
                yield condition if plain is None else sa.and_(plain == sa.any_(arrays[0]), condition)
            else:
                names = [f"part{place}" for place in range(len(arrays))]
                wanted = sa.func.unnest(*arrays).table_valued(*names).render_derived()
                yield sa.tuple_(*self.values).in_(sa.select(*wanted.columns))

    def within(self, page: Page) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that hold for the keys of a page, but for its limit.

        Raises:
            TypeError: A bound is of a type that no key here can be compared with.
        """
        for bound, below, strict in ((page.start, False, False), (page.after, False, True), (page.stop, True, True)):
            if bound is None:
                continue
            values, gap = self._bound(bound)
            if not values:  # the empty tuple is before all others
                if below:
                    yield sa.false()
                continue
            mine = sa.tuple_(*self.values[: len(values)]) if len(values) > 1 else self.values[0]
            theirs = sa.tuple_(*values) if len(values) > 1 else values[0]
            if below:
                yield mine <= theirs if gap > 0 else mine < theirs
            else:
                yield mine > theirs if gap > 0 or (strict and gap == 0) else mine >= theirs

    def _bound(self, bound: Any) -> tuple[list[sa.ColumnElement[Any]], int]:
        """Return values that a bound is at, and whether it is right behind (1) or before (-1) all keys with them.

        It is before those that it is a part of, and next to those that the database's texts can come to it.
        """
        parts = bound if isinstance(bound, tuple) and len(self.forms) > 1 else (bound,)
        values: list[sa.ColumnElement[Any]] = []
        for form, part in zip(self.forms, parts, strict=False):
            kind = KEYS[form.family][1]
            text, gap = part, 0
            if form.family == "text" and isinstance(part, str):
                text, gap = _storable(part)
            elif form.family in ("int", "numeric") and isinstance(part, (int, float, Decimal)):
                text = Decimal(part) if isinstance(part, float) else +part  # a truth value becomes its number
                if not isinstance(part, int) or not -_LARGEST <= part < _LARGEST:
                    kind = sa.Numeric()
            elif not isinstance(part, KEYS[form.family][0]) or (form.family == "date" and isinstance(part, datetime)):
                message = f"idnumbers here are {form.family}, and cannot be compared with {type(part).__name__}"
                raise TypeError(message)
            values.append(sa.literal(text, kind))
            if gap:
                return values, gap
        return values, -1 if len(values) < len(self.forms) else 0


def _asked(family: str, part: Any) -> Any:
    """Return a part of a key as a value of the database, or None if none can be equal to it."""
    if family == "text":
        return part if isinstance(part, str) and _storable(part)[1] == 0 else None
    if family in ("int", "numeric") and isinstance(part, (int, float, Decimal)):
        if not isfinite(part):
            return None
        if family == "numeric":
            return Decimal(part)
        return int(part) if part == int(part) and -_LARGEST <= part < _LARGEST else None
    if family == "date" and isinstance(part, datetime):
        return None
    if family == "timestamp" and getattr(part, "tzinfo", None) is not None:
        return None
    return part if isinstance(part, KEYS[family][0]) else None


def _storable(text: str) -> tuple[str, int]:
    """Return the part of a text that PostgreSQL holds, and whether the text is right behind (1) or before it (-1)."""
    found = _NOT_STORED.search(text)
    if found is None:
        return text, 0
    before = text[: found.start()]
    return (before, 1) if found[0] == "\0" else (before + _FIRST_BEHIND_SURROGATES, -1)
