"""Relations of two databases that are compared by checksums of their rows.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.engines.checksum.comparison import Served, differing_by_ranges
from datastoresync.engines.postgresql.comparison import refuse_other_names
from datastoresync.engines.postgresql.types import Form, StoredColumn, form_of
from datastoresync.engines.relation import CannotPushDown, Compared, Work

if TYPE_CHECKING:
    from datastoresync.engines.postgresql.relation import StoredRelation

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


def differing_far_apart(left: StoredRelation, right: StoredRelation, work: Work) -> Compared:
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


def _served(relation: StoredRelation, converters: Mapping[str, Any]) -> Served:
    columns = relation.source.columns
    forms = {name: form_of(column, converters.get(name)) for name, column in columns.items()}
    changed = {name: form.value for name, form in forms.items() if not _plain(columns[name], form)}
    if odd := next((name for name in relation.identifiers if name in changed), None):
        message = f"{odd} is {columns[odd].kind} in the database, and another type here"
        raise CannotPushDown(message)
    return Served(
        connect=relation.asked,
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
