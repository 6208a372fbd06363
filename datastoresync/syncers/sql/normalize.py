"""What a database makes of a value."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.translate_errors import refusal_of
from datastoresync.syncers.sql.types import column_type
from datastoresync.syncers.sql.values import UnfitValueError, encode_json_text


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
