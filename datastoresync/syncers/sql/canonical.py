"""The one form that a column has for several values, so that both sides can be compared in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.errors import SyncerError
from datastoresync.printing.text import shortened
from datastoresync.syncers.changes import Table
from datastoresync.syncers.sql.catalog import Catalogue, Target
from datastoresync.syncers.sql.column_forms import ColumnForm, Mode, would_give_back
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import dialect_of
from datastoresync.syncers.sql.references import meaning_of
from datastoresync.syncers.sql.translate_errors import DATABASE_ERRORS, concerns_store, reason_of
from datastoresync.syncers.sql.values import UnfitValueError

_REMEMBERED = 10_000


def canonical_forms(
    database: Database, table: Table, attributes: Iterable[str], identifiers: Sequence[str]
) -> dict[str, Callable[[Any], Any]]:
    """Return what makes the forms of values, as `SQLSyncer.canonical` describes.

    Raises:
        SyncerError: The table, a column or a link table is not there.
    """
    mode: Mode = "normalized" if database.normalize else "kept"
    with database.reading() as connection, database.translated_errors(f"cannot read table {table.name!r} of"):
        target = Target(Catalogue(connection, database.name, indexes=False, mode=mode), table)
        found: dict[str, Callable[[Any], Any]] = {}
        keys = {*identifiers, *table.references}
        for name in dict.fromkeys((*identifiers, *attributes)):
            if name in target.links:
                link = target.links[name]
                stored, column = meaning_of(link.stored, link.member)
                form = stored.encoders[column.name]
                make: Callable[[Any], Any] = form.canonical_members
            else:
                stored, column = meaning_of(target.stored, target.column(name))
                form = stored.encoders[column.name]
                form = attrs.evolve(form, mode="exact") if name in keys else form
                make = form.canonical
            if form.printed is not None:
                make = _printing(database, form.printed)
            if form.mode == "normalized" or (form.mode == "exact" and not form.trivial):
                found[name] = make
    return found


def _printing(database: Database, kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    """Return what makes of a text what the database prints of it in a column; one that it refuses stays as it is."""

    @lru_cache(_REMEMBERED)
    def make(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            with database.reading() as connection, database.translated_errors("cannot ask"):
                return database.dialect.printed(connection, kind, [value])[value]
        except SyncerError:
            return value

    return make


def printed_texts(
    connection: sa.Connection, name: str, form: ColumnForm, values: Sequence[Any], secrets: Iterable[str]
) -> Sequence[Any]:
    """Return texts as the database prints them in a column.

    Args:
        connection: Where to ask.
        name: What messages call the column.
        form: That of the column.
        values: The texts, and None.
        secrets: What reasons must not hold.

    Raises:
        UnfitValueError: The database refuses the one text there is, or would print another one and that matters.
    """
    asked = {value for value in values if value is not None}
    if form.mode not in ("kept", "normalized") or not asked:
        return values
    try:
        found = dialect_of(connection.dialect).printed(connection, form.printed, list(asked))
    except DATABASE_ERRORS as error:
        if concerns_store(error) or len(asked) > 1:
            raise
        message = f"column {name} cannot hold {shortened(*asked)}: {reason_of(error, secrets)}"
        raise UnfitValueError(message) from None
    other = next((value for value in values if found.get(value, value) != value), None)
    if other is not None and form.mode == "kept":
        message = f"column {name} cannot hold {shortened(other)}: {would_give_back(found[other])}"
        raise UnfitValueError(message)
    return [found.get(value, value) for value in values]
