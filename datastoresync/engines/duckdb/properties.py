"""Properties as columns: computed for all rows in one pass, and kept beside them."""

from __future__ import annotations

import dis
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from types import CodeType, FunctionType
from typing import Any

import attrs

from datastoresync.engines.duckdb.parquet import ColumnarRelation
from datastoresync.engines.duckdb.parquet_store import ParquetStore, arrow_libraries
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.duckdb.types import Kind
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.table import TableObjects
from datastoresync.syncers.records import Columns

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW"})
_BEYOND = frozenset({"locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe", "stack", "__class__"})
"""Names with which code may get at a variable that it does not name."""


def attributes_read(cls: Any, names: Sequence[str]) -> set[str] | None:
    """Return all that some properties of a class read of an object: attributes; None if it is not sure.

    Every use of ``self`` must be the reading of an attribute.

    >>> class Person:
    ...     @property
    ...     def domain(self): return self.email.partition("@")[2]
    ...     @property
    ...     def shown(self): return repr(self)
    >>> attributes_read(Person, ["domain"]), attributes_read(Person, ["shown"])
    ({'email'}, None)
    """
    if cls.__getattribute__ is not object.__getattribute__:
        return None
    found: set[str] = set()
    asked, waiting = set(names), list(names)
    while waiting:
        get = getattr(getattr(cls, waiting.pop(), None), "fget", None)
        read = _read(get.__code__) if isinstance(get, FunctionType) else None
        if read is None:
            return None
        for name in read - asked:
            asked.add(name)
            if isinstance(getattr(cls, name, None), property):
                waiting.append(name)
            else:
                found.add(name)
    return found


def _read(code: CodeType) -> set[str] | None:
    plain = code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0x0C
    if not plain or _BEYOND & {*code.co_names, *code.co_freevars} or code.co_varnames[0] in code.co_cellvars:
        return None
    own = code.co_varnames[0]
    found = set()
    instructions = [one for one in dis.get_instructions(code) if one.opname not in ("CACHE", "EXTENDED_ARG")]
    for one, following in zip(instructions, [*instructions[1:], None], strict=True):
        if one.argval == own and one.opname not in _LOADS and "FAST" in one.opname:
            return None
        if isinstance(one.argval, tuple) and own in one.argval:
            return None
        if one.argval == own and one.opname in _LOADS:
            if following is None or following.opname != "LOAD_ATTR":
                return None
            found.add(following.argval)
    return found


_EXACT = frozenset({"str", "int", "bool", "date", "UUID", "bytes"})
"""Types whose equal values nothing can tell apart."""
_EXACT_KINDS = frozenset({"text", "int", "bool", "date", "uuid", "bytes"})


def read_alike(lefts: TableObjects, rights: TableObjects, names: Sequence[str]) -> list[str] | None:
    """Return the columns that some properties of both sides read, if these are equal where the columns are; else None.

    They are if one class has them, if they read nothing else of an object, and if equal values in the columns are the
    same.
    """
    if lefts.plain_schema.cls is not rights.plain_schema.cls:
        return None
    read = attributes_read(lefts.plain_schema.cls, names)
    if not read or any(not read <= set(table.relation.columns) for table in (lefts, rights)):
        return None
    return sorted(read) if all(_is_exact(lefts, rights, name) for name in read) else None


def _is_exact(lefts: TableObjects, rights: TableObjects, name: str) -> bool:
    fields = lefts.plain_schema.fields
    converter = None if fields is None else fields[name].converter
    if converter is not None and not converter.identity:
        return converter.describe.removesuffix(" | None") in _EXACT
    kinds = {getattr(table.relation, "kinds", {}).get(name) for table in (lefts, rights)}
    return len(kinds) == 1 and kinds <= _EXACT_KINDS


def check_properties(table: TableObjects, relation: LocalRelation, names: Sequence[str], read: Sequence[str]) -> None:
    """Compute properties of all rows, to see that none of them raises.

    Args:
        table: Whose objects have the properties.
        relation: Its rows.
        names: The properties.
        read: The columns that they read, and nothing else.

    Raises:
        CannotPushDown: if one raises.
    """
    for batch in _batches(relation, read):
        columns = [column.to_pylist() for column in batch.columns]
        _values(table, names, _with_attributes(table, relation, read, columns, batch.num_rows))


def derived(table: TableObjects, relation: LocalRelation, names: Sequence[str]) -> ColumnarRelation:
    """Return the rows of a table with further columns: the values of properties.

    Args:
        table: Whose objects have the properties.
        relation: Its rows.
        names: The properties.

    Raises:
        CannotPushDown: if one raises, or gives values that are not of one plain type; or if it is no property.
    """
    odd = [name for name in names if not isinstance(getattr(table.schema.cls, name, None), property)]
    if odd:
        message = f"{', '.join(odd)} is no column"
        raise CannotPushDown(message)
    columns = (*relation.columns, *names)
    width = len(relation.columns)
    store = ParquetStore(relation.duckdb, columns)
    objects = _maker(table, relation, names)
    for batch in _batches(relation, relation.columns):
        values = _values(table, names, objects(batch))
        store.write_arrays([*batch.columns, *store.arrays(values, width)])
    store.done()
    own = list(_kinds(relation).values())
    parts = [attrs.evolve(part, kinds=(*own, *part.kinds[width:])) for part in store.parts]
    kinds = (*own, *store.kinds[width:])
    wide = ColumnarRelation(relation.duckdb, parts, columns, kinds, table.schema, plain=names, store=store)
    wide.count, wide.odd = relation.count, relation.odd
    return wide


def _batches(relation: LocalRelation, names: Sequence[str]) -> Iterator[Any]:
    """Yield some columns as batches of Arrow, as SQL gives them."""
    pyarrow, _ = arrow_libraries()
    query = f"SELECT {', '.join(map(relation.raw, names))} FROM {relation.scan()}"  # noqa: S608 - names are ours
    relation.unchanged()
    with relation.duckdb.connected() as connection, relation.duckdb.refusals("read the rows"):
        yield from pyarrow.RecordBatchReader.from_stream(connection.sql(query))
    relation.unchanged()


def _kinds(relation: LocalRelation) -> dict[str, Kind]:
    """Return what the columns of a relation hold, as its `scan` gives them."""
    if isinstance(relation, ColumnarRelation):
        return {name: kind.scanned for name, kind in zip(relation.columns, relation.kinds_given, strict=True)}
    return {name: Kind(relation.kinds[name], frozenset()) for name in relation.columns}


def _maker(table: TableObjects, relation: LocalRelation, names: Sequence[str]) -> Callable[[Any], list[Any]]:
    """Return what makes objects of a batch: with nothing but what the properties read, if that is known."""
    read = attributes_read(table.plain_schema.cls, names)
    if read is not None and read <= set(relation.columns):
        places = [relation.columns.index(name) for name in sorted(read)]

        def light(batch: Any) -> list[Any]:
            columns = [batch.column(place).to_pylist() for place in places]
            return _with_attributes(table, relation, sorted(read), columns, batch.num_rows)

        return light

    def whole(batch: Any) -> list[Any]:
        return table.made(relation.given([column.to_pylist() for column in batch.columns]))[1]

    return whole


def _with_attributes(
    table: TableObjects, relation: LocalRelation, names: Sequence[str], columns: Columns, count: int
) -> list[Any]:
    """Return objects with some attributes only. Nobody keeps them, so they need not say when they are changed."""
    schema, kinds = table.plain_schema, _kinds(relation)
    objects: list[Any] = list(map(object.__new__, repeat(schema.cls, count)))
    for name, column in zip(names, columns, strict=True):
        given = kinds[name].given(column)
        converter = None if schema.fields is None else schema.fields[name].converter
        converted = given if converter is None else converter.column(given)
        deque(map(object.__setattr__, objects, repeat(name), converted), maxlen=0)
    return objects


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
