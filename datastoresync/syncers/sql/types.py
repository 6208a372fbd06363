"""The types of the columns that a new table is given, and what is loaded of the values that they take."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.conversion.scalars import SCALARS, scalar_of
from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import Dialect
from datastoresync.syncers.sql.translate_errors import refusal_of
from datastoresync.syncers.sql.values import LARGEST, UnfitValueError, encode_json_text

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
    types_by_value = dialect.column_types(aware=True in zones)
    as_text = found is dict or (found in SCALARS and SCALARS[found].to_text)
    kind = types_by_value.get(found, types_by_value[str] if as_text else None)
    if kind is None:
        message = f"column {name!r} would hold {found.__name__}, which has no column type: create the table first"
        raise SyncerError(message)
    return kind


def normalized(value: Any, database: Database) -> Any:
    """Return what is loaded of a value that was dumped, as `SQLSyncer.normalized` describes.

    Raises:
        SyncerError: The database cannot hold it.
    """
    if value is None:
        return None
    dialect = database.dialect
    kind = column_type("value", [value], dialect)
    try:
        encoded = dialect.encoder(kind)(value)
        if isinstance(kind, sa.JSON):
            text = encode_json_text(value)
            dialect.check_json(text)
            return json.loads(text, parse_float=dialect.parse_json_number)
        if isinstance(encoded, str):
            dialect.check_text(encoded)
        return dialect.loaded(kind, encoded, database.engine.dialect)
    except (UnfitValueError, UnicodeEncodeError, OverflowError) as error:
        raise refusal_of(error, f"a value cannot be held by {database.name}", database.secrets) from None


def _family(value: Any) -> type:
    """Return the type that decides about a new column; a subclass counts as the type above it."""
    if isinstance(value, (dict, set, frozenset, list, tuple)):
        return dict
    scalar = scalar_of(value)
    return type(value) if scalar is None else scalar.cls
