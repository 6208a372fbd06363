"""The types of the columns that a new table is given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.types import TypeEngine

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.dialects import Dialect
from datastoresync.syncers.sql.values import LARGEST

_EXACT = 2.0**53


def column_type(name: str, values: Iterable[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return the type of a new column that is to hold these values; None fits everywhere.

    Raises:
        SyncerError: No type holds them all.
    """
    present = [value.value if isinstance(value, Enum) else value for value in values if value is not None]
    types = {_family(value) for value in present}
    if types == {int, Decimal} or (types == {int, float} and all(abs(value) <= _EXACT for value in present)):
        types.remove(int)
    if len(types) > 1:
        kinds = " and ".join(sorted(found.__name__ for found in types))
        message = f"column {name!r} would hold {kinds}: give its values one type, or create the table first"
        raise SyncerError(message)
    found = next(iter(types), str)
    zones = {getattr(value, "tzinfo", None) is not None for value in present}
    if len(zones) > 1:
        message = f"column {name!r} would hold {found.__name__} both with and without a time zone: choose one"
        raise SyncerError(message)
    if found is int and any(not -LARGEST <= value < LARGEST for value in present):
        return dialect.large_integer()
    made = dialect.column_types(aware=True in zones)
    kind = made.get(found, made[str] if found in (UUID, dict) else None)
    if kind is None:
        message = f"column {name!r} would hold {found.__name__}, which has no column type: create the table first"
        raise SyncerError(message)
    return kind


def _family(value: Any) -> type:
    """Return the type that decides about a new column; a subclass counts as the type above it."""
    families: tuple[tuple[type, ...], ...] = (
        (bool,),
        (int,),
        (float,),
        (datetime,),
        (date,),
        (dict, set, frozenset, list, tuple),
        (str,),
        (Decimal,),
        (time,),
        (UUID,),
        (bytes,),
    )
    return next((family[0] for family in families if isinstance(value, family)), type(value))
