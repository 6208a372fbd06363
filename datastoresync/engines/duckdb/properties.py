"""Properties of tables: which rows may differ in them, and their values as further columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from datastoresync.engines.duckdb.join import JoinedRelation
from datastoresync.engines.duckdb.parquet import ColumnarRelation, ParquetStore, arrow_libraries
from datastoresync.engines.duckdb.types import IDENTICAL, Kind
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.table import TableObjects
from datastoresync.syncers.records import Columns


def follow_columns(tables: Sequence[TableObjects], relations: Sequence[JoinedRelation], names: Sequence[str]) -> bool:
    """Say whether two rows cannot differ in some properties unless a column of them differs.

    A property depends on the object's own attributes. So it has one value wherever the class is one and all columns
    are identical, not just equal.

    Args:
        tables: The source's table and the destination's.
        relations: Their rows, where the embedded engine reads them.
        names: The properties.
    """
    (cls, other), (left, right) = [table.plain_schema.cls for table in tables], relations
    return (
        cls is other
        and all(isinstance(getattr(cls, name, None), property) for name in names)
        and set(left.columns) == set(right.columns)
        and all(left.kinds[name] == right.kinds[name] and left.kinds[name] in IDENTICAL for name in left.columns)
        and not any(_reaches_beyond(table, names) for table in tables)
    )


def _reaches_beyond(table: TableObjects, names: Sequence[str]) -> bool:
    """Say whether a property asks an object for its branch, as one sees by an object that has none."""
    columns, sample = table.relation.columns, table.sample
    (item,) = table.plain_schema.make(columns, [[sample.get(name)] for name in columns], 1)
    for name in names:
        try:
            getattr(item, name)
        except Exception as error:  # noqa: BLE001 - it may not like the values, which are of several rows
            if getattr(error, "name", None) == "__branch__":
                return True
    return False


def with_properties(table: TableObjects, relation: JoinedRelation, names: Sequence[str]) -> ColumnarRelation:
    """Return the rows of a table with further columns: the values of properties.

    Args:
        table: Whose objects have the properties.
        relation: Its rows.
        names: The properties.

    Raises:
        CannotPushDown: if one raises, or gives values that are not of one plain type; or if it is no property.
    """
    other = [name for name in names if not isinstance(getattr(table.plain_schema.cls, name, None), property)]
    if other:
        message = f"{', '.join(other)} is no column"
        raise CannotPushDown(message)
    columns = (*relation.columns, *names)
    width = len(relation.columns)
    store = ParquetStore(relation.duckdb, columns)
    for batch in _batches(relation):
        objects = table.transient_objects(relation.given([column.to_pylist() for column in batch.columns]))
        values = _values(table, names, objects)
        store.write_arrays([*batch.columns, *store.arrays(values, width)])
    store.done()
    if isinstance(relation, ColumnarRelation):
        own = [kind.scanned for kind in relation.kinds_given]
    else:
        own = [Kind(relation.kinds[name], frozenset()) for name in relation.columns]
    parts = [attrs.evolve(part, kinds=(*own, *part.kinds[width:])) for part in store.parts]
    kinds = (*own, *store.kinds[width:])
    wide = ColumnarRelation(relation.duckdb, parts, columns, kinds, table.schema, plain=names, store=store)
    wide.count, wide.python_only_values = relation.count, relation.python_only_values
    return wide


def _batches(relation: JoinedRelation) -> Iterator[Any]:
    """Yield the columns as batches of Arrow, as SQL gives them."""
    pyarrow, _ = arrow_libraries()
    query = f"SELECT {', '.join(map(relation.raw, relation.columns))} FROM {relation.scan()}"  # noqa: S608 - names are ours
    relation.unchanged()
    with relation.duckdb.connected() as connection, relation.duckdb.translated_errors("read the rows"):
        yield from pyarrow.RecordBatchReader.from_stream(connection.sql(query))
    relation.unchanged()


def _values(table: TableObjects, names: Sequence[str], objects: list[Any]) -> Columns:
    cls = table.plain_schema.cls
    found = []
    for name in names:
        try:
            found.append(list(map(getattr(cls, name).fget, objects)))
        except Exception as error:  # which object it is, and what to do, the in-memory engine says
            message = f"{name} of {cls.__name__} raises {type(error).__name__}"
            raise CannotPushDown(message) from error
    return found
