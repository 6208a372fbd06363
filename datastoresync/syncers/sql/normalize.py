"""What a database makes of a value.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.errors import UnfitValueError, refusal_of
from datastoresync.syncers.sql.types import column_type, stored_type
from datastoresync.syncers.sql.values import encode_json_text, encoder

_NUL = re.compile("\0")
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


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
        encoded = encoder(kind, dialect)(value)
        if isinstance(kind, sa.JSON):
            text = encode_json_text(value)
            _check_text(text, dialect, _NUL_IN_JSON)
            return json.loads(text, parse_float=_numeric if dialect == "postgresql" else float)
        if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and dialect not in ("sqlite", "snowflake"):
            return Decimal(encoded)  # large integers among them
        if isinstance(encoded, str):
            _check_text(encoded, dialect, _NUL)
    except (UnfitValueError, UnicodeEncodeError, OverflowError) as error:
        raise refusal_of(error, f"a value cannot be held by {database.name}", database.secrets) from None
    decode = stored_type(kind, dialect).result_processor(database.engine.dialect, None) if dialect == "sqlite" else None
    return encoded if decode is None else decode(encoded)


def _check_text(text: str, dialect: str, nul: re.Pattern[str]) -> None:
    text.encode()
    if dialect == "postgresql" and nul.search(text):
        message = "PostgreSQL has no text with the character NUL"
        raise UnfitValueError(message)


def _numeric(text: str) -> int | float:
    """Return a number as PostgreSQL writes it, without an exponent: ``1e16`` as an integer."""
    exact = Decimal(text)
    return int(exact) if int(exact.as_tuple().exponent) >= 0 else float(text)
