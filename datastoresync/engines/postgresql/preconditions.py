"""What in a table of a database only an import row by row can judge.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from datastoresync.engines.postgresql.comparison import Part
from datastoresync.engines.postgresql.keys import KEYS
from datastoresync.engines.postgresql.source import Source
from datastoresync.engines.postgresql.types import form_of
from datastoresync.engines.relation import CannotPushDown


def converters_of(source: Source, layout: Any) -> dict[str, Any]:
    """Return how each attribute is converted.

    Raises:
        CannotPushDown: The class does not take these columns, or converts one of them by itself.
    """
    fields = layout.fields
    columns = source.columns
    if fields is None:
        missing, unknown = [name for name in layout.identifiers if name not in columns], []
    else:
        missing = [name for name, field in fields.items() if field.default is None and name not in columns]
        missing += [name for name in layout.identifiers if name not in columns]
        unknown = [name for name in columns if name not in fields]
    if missing or unknown:
        message = f"{(missing or unknown)[0]} is not both a column and a field"
        raise CannotPushDown(message)
    if fields is None:
        return dict.fromkeys(columns)
    own = next((name for name in columns if fields[name].converter is None), None)
    if own is not None:
        message = f"{own} has a converter of its own"
        raise CannotPushDown(message)
    return {name: fields[name].converter for name in columns}


def preconditions_of(source: Source, part: Part, layout: Any) -> Iterator[tuple[str, sa.ColumnElement[bool]]]:
    """Yield what would make an import refuse a row, or the driver fail: a reason, and when it is so.

    Raises:
        CannotPushDown: That cannot be told of some column.
    """
    for name, form in zip(layout.identifiers, part.keys.forms, strict=True):
        if form.family not in KEYS:
            message = f"{name} is {form.family}, whose order may be another one in the database"
            raise CannotPushDown(message)
        if form.family in ("text", "bytea"):
            empty = sa.literal("" if form.family == "text" else b"", KEYS[form.family][1])
            yield f"{name} is empty somewhere", form.value == empty
    for name, column in source.columns.items():
        converter = part.converters.get(name)
        form_of(column, converter)
        takes_none = converter is None or converter.identity or type(None) in converter.kinds
        if column.nullable and (name in layout.identifiers or not takes_none):
            yield f"{name} is NULL somewhere", column.column.is_(None)
        if column.unreadable is not None:
            yield f"{name} is somewhere what Python has no value for", column.unreadable
