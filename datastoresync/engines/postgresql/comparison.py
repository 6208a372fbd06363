"""Comparisons in PostgreSQL: of relations of one database by a join, of those of two by checksums of their rows.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from itertools import compress, islice
from types import MappingProxyType
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.engines.checksum.comparison import Served, differing_by_ranges
from datastoresync.engines.postgresql.keys import Keys
from datastoresync.engines.postgresql.source import SnapshotRelation, Source
from datastoresync.engines.postgresql.types import Form, StoredColumn, counterpart, form_of
from datastoresync.engines.relation import CannotPushDown, DifferingRows, Work
from datastoresync.syncers.records import Columns

_ROWS = 10_000
_SENT = 1000
"""Rows that come in one piece."""


@attrs.frozen(eq=False)
class Part:
    """One side of a comparison in the database, under a name of its own.

    Args:
        selectable: Where its columns are.
        columns: The columns.
        keys: Its key.
        converters: How its values are converted, by attribute.
    """

    selectable: sa.FromClause
    columns: Mapping[str, StoredColumn]
    keys: Keys
    converters: Mapping[str, Any]

    @classmethod
    def of(cls, source: Source, identifiers: Sequence[str], converters: Mapping[str, Any], name: str | None) -> Part:
        """Return a source as a part; None for the name that it has.

        Raises:
            CannotPushDown: A part of the key has no counterpart.
        """
        selectable = source.selectable if name is None else source.selectable.alias(name)
        columns = {column.attribute: column for column in source.columns_of(selectable)}
        forms = [form_of(columns[name], converters.get(name)) for name in identifiers]
        plain = [
            columns[name].column if columns[name].kind == "text" and form.family == "text" else None
            for name, form in zip(identifiers, forms, strict=True)
        ]
        return cls(selectable, columns, Keys(forms, plain), converters)


def differing_rows(left: Part, right: Part, attributes: Sequence[str]) -> sa.Select[Any]:
    """Return the statement: all columns of the left side and then of the right, NULL where one has no such row.

    One pass over both, joined by a hash; rows travel only if they are on one side alone or differ, in the order of the
    keys.

    Raises:
        CannotPushDown: Values of an attribute, or of the key, are equal elsewhere in the database than in Python.
    """
    pairs = [counterpart("the key", one, other) for one, other in zip(left.keys.forms, right.keys.forms, strict=True)]
    values = []
    for name in attributes:
        forms = (form_of(part.columns[name], part.converters.get(name)) for part in (left, right))
        values.append(counterpart(name, *forms))
    alone = [part.keys.values[0].is_(None) for part in (left, right)]
    differs = [one.is_distinct_from(other) for one, other in values]
    joined = left.selectable.join(right.selectable, sa.and_(*(one == other for one, other in pairs)), full=True)
    wanted = [
        column.column.label(f"{name}{place}")
        for name, part in (("left", left), ("right", right))
        for place, column in enumerate(part.columns.values())
    ]
    order = [sa.func.coalesce(one, other) for one, other in pairs]
    return sa.select(*wanted).select_from(joined).where(sa.or_(*alone, *differs)).order_by(*order)


def side_by_side(
    chunks: Iterator[Columns], width: int, keys: tuple[int, int]
) -> tuple[Iterator[Columns], Iterator[Columns]]:
    """Split chunks with the columns of both sides in two streams; what one of them is ahead is kept for the other.

    Args:
        chunks: What `differing_rows` gives.
        width: The number of the left side's columns.
        keys: The places of a column that is None where there is no left, and no right row.
    """
    waiting: tuple[deque[Columns], deque[Columns]] = (deque(), deque())

    def stream(side: int) -> Iterator[Columns]:
        while True:
            while waiting[side]:
                yield waiting[side].popleft()
            columns = next(chunks, None)
            if columns is None:
                return
            for number, part in enumerate((columns[:width], columns[width:])):
                there = [value is not None for value in columns[keys[number]]]
                if any(there):
                    kept = part if all(there) else [list(compress(column, there)) for column in part]
                    waiting[number].append(kept)

    return stream(0), stream(1)


def streamed(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[Columns]:
    """Yield the rows of a statement as they come, in chunks of columns; until the end, they keep the connection busy.

    The values are psycopg's, which SQLAlchemy would give as they are, too.
    """
    compiled = statement.compile(connection)
    raw: Any = connection.connection.dbapi_connection
    with closing(raw.cursor()) as cursor, closing(_sent(cursor, str(compiled), compiled.params)) as rows:
        while chunk := list(islice(rows, _ROWS)):
            yield list(zip(*chunk, strict=True))


def _sent(cursor: Any, statement: str, parameters: Mapping[str, Any]) -> Any:
    try:
        many = import_module("psycopg").capabilities.has_stream_chunked()
    except AttributeError:  # since psycopg 3.2, and with libpq 17
        many = False
    return cursor.stream(statement, parameters, **({"size": _SENT} if many else {}))


def refuse_other_names(left: Sequence[str], right: Sequence[str], attributes: Sequence[str]) -> None:
    """Raise `CannotPushDown` unless both sides have all of the attributes."""
    for name in attributes:
        if name not in left or name not in right:
            message = f"{name} is no column of both sides"
            raise CannotPushDown(message)


_TYPES: Final[Mapping[str, TypeEngine[Any]]] = MappingProxyType(
    {
        "bool": sa.Boolean(),
        "bytea": sa.LargeBinary(),
        "date": sa.Date(),
        "float": sa.Double(),
        "int": sa.BigInteger(),
        "numeric": sa.Numeric(),
        "text": sa.Text(),
        "time": sa.Time(),
        "timestamp": sa.DateTime(),
        "timestamptz": sa.DateTime(timezone=True),
        "uuid": sa.Uuid(),
    }
)


def differing_far_apart(left: SnapshotRelation, right: SnapshotRelation, work: Work) -> DifferingRows:
    """Compare tables of two databases, or of two states of one, of which little more travels than what differs.

    Args:
        left: The source.
        right: The destination.
        work: What is compared; the identifiers need not be among its attributes.

    Raises:
        CannotPushDown: A type cannot be told by its checksum, or so much differs that reading everything is quicker.
        SyncerError: A table was changed since, or a database ended the snapshot; while rows are read, too.
    """
    if left.identifiers != right.identifiers:
        message = "the keys have different names"
        raise CannotPushDown(message)
    refuse_other_names(left.columns, right.columns, work.attributes)
    sides = (_served(left, work.left), _served(right, work.right))
    return differing_by_ranges(*sides, [name for name in work.attributes if name not in left.identifiers])


def _served(relation: SnapshotRelation, converters: Mapping[str, Any]) -> Served:
    columns = relation.source.columns
    forms = {name: form_of(column, converters.get(name)) for name, column in columns.items()}
    changed = {name: form.value for name, form in forms.items() if not _plain(columns[name], form)}
    if odd := next((name for name in relation.identifiers if name in changed), None):
        message = f"{odd} is {columns[odd].kind} in the database, and another type here"
        raise CannotPushDown(message)
    return Served(
        connect=relation.reading,
        source=relation.source.selectable,
        columns={name: column.column for name, column in columns.items()},
        kinds={name: _TYPES[form.family] for name, form in forms.items()},
        key=relation.identifiers,
        count=relation.count,
        meant=changed,
    )


def _plain(column: StoredColumn, form: Form) -> bool:
    """Say whether a column is compared as it is, and not converted before."""
    whole = column.kind.startswith("int") and form.family == "int"
    return whole or column.kind == form.family or (column.kind, form.family) == ("float8", "float")
