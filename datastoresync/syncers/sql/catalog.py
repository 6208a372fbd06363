"""The catalogue of a database: its tables, columns and links, read as streams; the nearest to a name it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.names import nearest
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import dialect_of
from datastoresync.syncers.sql.forms import ColumnForm, Mode
from datastoresync.syncers.sql.references import ForeignKey, Joins, References, meaning_of
from datastoresync.syncers.sql.values import encoded_type, left_alone, without_blanks

UNFINISHED = "datastoresync_unfinished_"
"""The prefix of the name of a table that is being filled, where tables cannot be made in a transaction."""

COMPUTED = "computed"
"""What the database gives by itself: the values of columns that follow from others, or those of an identity."""

_SYSTEM_SCHEMAS = ("information_schema", "performance_schema", "sys")


@attrs.frozen(eq=False)
class StoredTable:
    """A table of the database, as its schema describes it.

    Args:
        name: Its name, as it was asked for.
        full_name: Its schema and name, the same however it was asked for.
        table: What statements are made of.
        encoders: What makes values fit, by column.
        generated: What the database gives itself, by column: the word for it.
        sequences: The sequences that columns get their values from, by column.
        padded: The columns that the database fills up with blanks, which it then ignores.
        primary_key: The names of the columns of its primary key.
        unique: The columns of each unique index over all rows, the primary key's among them, where the dialect reads
            them.
        defaults: The columns that are not simply NULL if nothing is inserted into them.
        not_transactional: What keeps it and how to mend that, if it has no transactions; else nothing.
        store: The name of the store that it is in.
    """

    name: str
    full_name: str
    table: sa.Table
    encoders: dict[str, ColumnForm]
    generated: dict[str, str]
    sequences: dict[str, str]
    padded: frozenset[str]
    primary_key: tuple[str, ...]
    unique: frozenset[frozenset[str]]
    defaults: frozenset[str]
    not_transactional: str
    store: str

    def parameters(self, names: Sequence[str]) -> list[sa.BindParameter[Any]]:
        """Return a parameter for each of these columns; none is called like a column, which SQLAlchemy reserves."""
        prefix = "value"
        while any(name.startswith(prefix) for name in self.encoders):
            prefix += "_"
        return [sa.bindparam(f"{prefix}{number}", type_=self.column(name).type) for number, name in enumerate(names)]

    @property
    def computed(self) -> frozenset[str]:
        """The columns that follow from others."""
        return frozenset(name for name, word in self.generated.items() if word == COMPUTED)

    def keyed(self, names: Iterable[str]) -> StoredTable:
        """Return the table with these columns as those of keys, which are compared in the form that they have there."""
        own = {name: attrs.evolve(self.encoders[name], mode="exact") for name in names if name in self.encoders}
        return attrs.evolve(self, encoders=self.encoders | own)

    def column(self, name: str) -> sa.Column[Any]:
        """Return a column; raise `SyncerError` naming the nearest one if there is none of this name."""
        column: sa.Column[Any] | None = self.table.columns.get(name)
        if column is None:
            near = nearest(name, self.table.columns.keys())
            message = f"table {self.name!r} of {self.store} has no column {name!r}; {near}"
            raise SyncerError(message)
        return column

    def matcher(self, columns: Sequence[sa.Column[Any]]) -> Callable[[Iterable[Any]], tuple[Any, ...]]:
        """Return what maps keys that the database holds to be equal, as given or as read, to one tuple."""
        steps = []
        for column in columns:
            stored, meant = meaning_of(self, column)
            encode = stored.encoders[meant.name].matched
            steps.append(partial(_unpadded, encode) if meant.name in stored.padded else encode)
        if len(steps) == 1:
            encode = steps[0]  # almost every key is one column
            return lambda key: (encode(*key),)
        return lambda key: tuple(step(value) for step, value in zip(steps, key, strict=True))

    def matched(self, columns: Sequence[sa.Column[Any]], keys: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        """Return what `matcher` gives for many keys."""
        stored, meant = meaning_of(self, columns[0])
        if len(columns) == 1 and meant.name not in stored.padded:
            types = {type(value) for (value,) in keys}
            if types <= left_alone(stored.encoders[meant.name]):
                return keys
        return list(map(self.matcher(columns), keys))


@attrs.frozen(eq=False)
class StoredLink:
    """A link table: the columns of the owner's key, in the order of the key, and the column of the member.

    Those with ids of the database's own know where these lead; see `references`.
    """

    stored: StoredTable
    owners: tuple[sa.Column[Any], ...]
    member: sa.Column[Any]


class Target:
    """Where the attributes of a `Table` are: in its columns, or in link tables.

    Args:
        catalogue: Where to look them up.
        table: The table.
        identifiers: The attributes of the key; None if the tree or the table itself say it.

    Raises:
        SyncerError: The table, or a column or link table that it names, is not there, or a
            reference cannot be followed.
    """

    def __init__(self, catalogue: Catalogue, table: Table, identifiers: Sequence[str] | None = None) -> None:
        self._names = table
        found = catalogue.find(table.name)
        references = References(catalogue, table, self._key(found, identifiers))
        self.stored: StoredTable = references.of_table(found)
        self._refused = references.refused
        self._columns = {attribute: self.stored.column(table.column(attribute)) for attribute in table.columns}
        self._checked: set[str] = set()
        self.links = {
            attribute: StoredLink(
                *references.of_link(attribute, link, catalogue.find(link.table).keyed(link.columns), self.stored)
            )
            for attribute, link in table.links.items()
        }

    def _key(self, stored: StoredTable, identifiers: Sequence[str] | None) -> Sequence[str]:
        """Return the columns of the idnumber."""
        if identifiers is not None:
            return [self._names.column(attribute) for attribute in identifiers]
        if self._names.name in self._names.keys:
            return self._names.keys[self._names.name]
        idnumber = self._names.column("idnumber")
        return [idnumber] if idnumber in stored.table.columns else stored.primary_key

    def column(self, attribute: str) -> sa.Column[Any]:
        """Return the column of an attribute; raise `SyncerError` if there is none, or it cannot be followed."""
        if attribute not in self._columns:
            self._columns[attribute] = self.stored.column(self._names.column(attribute))
        column: sa.Column[Any] = self._columns[attribute]
        if column.name in self._refused:
            raise SyncerError(self._refused[column.name])
        return column

    def check(self, attributes: Collection[str]) -> None:
        """Raise `SyncerError` unless every attribute has a column or a link table."""
        if self._checked.issuperset(attributes):
            return
        for attribute in attributes:
            if attribute not in self.links:
                self.column(attribute)
            self._checked.add(attribute)

    def attributes(self) -> list[str]:
        """Return the attributes of all columns and links; raise `SyncerError` if two would have one name."""
        renamed: dict[str, list[str]] = {}
        for attribute in self._names.columns:
            renamed.setdefault(self._names.column(attribute), []).append(attribute)
        names = [name for column in self.stored.encoders for name in renamed.get(column, [column])]
        names += self.links
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            message = (
                f"attribute {twice!r} of table {self.stored.name!r} would be two things, a column and another column "
                "or a link: name the attributes to read, or rename one in Table(columns=...)"
            )
            raise SyncerError(message)
        return names

    def owner_columns(self, link: StoredLink, identifiers: Sequence[str] | None) -> tuple[sa.Column[Any], ...]:
        """Return the columns that a link's owner refers to: those of the identifiers, idnumber, or the primary key."""
        width = len(link.owners)
        if identifiers is not None:
            found = tuple(self.column(attribute) for attribute in identifiers)
        elif self._names.name in self._names.keys:
            found = tuple(map(self.stored.column, self._names.keys[self._names.name]))
        elif width == 1 and self._names.column("idnumber") in self.stored.table.columns:
            found = (self.column("idnumber"),)
        else:
            found = tuple(self.stored.column(name) for name in self.stored.primary_key)
        if len(found) != width:
            message = (
                f"the owner in link table {link.stored.name!r} is {width} column(s), and the key of table "
                f"{self.stored.name!r} is {len(found)}: name as many owner columns in Link(owner=...)"
            )
            raise SyncerError(message)
        return found


class Catalogue:
    """Looks tables up in the schema, each once.

    Args:
        connection: What to look through; only while it is open.
        store: The store's name, for messages.
        indexes: Whether unique indexes are looked for, which only those need that write.
        mode: What becomes of values that columns would change; see `ColumnForm`.
    """

    def __init__(self, connection: sa.Connection, store: str, *, indexes: bool = True, mode: Mode = "exact") -> None:
        self.dialect = dialect_of(connection.dialect)
        self._connection = connection
        self._inspector = sa.inspect(connection)
        self.store = store
        self._indexes = indexes
        self._mode = mode
        self._found: dict[str, StoredTable] = {}

    def find(self, name: str) -> StoredTable:
        """Return the table of this name, or else ``schema.table``; raise `SyncerError` naming the nearest one."""
        if name not in self._found:
            location = self.locate(name)
            if location is None:
                near = nearest(name, self._names())
                message = f"{self.store} has no table {name!r}; {near}"
                raise SyncerError(message)
            self._found[name] = self._reflect(name, *location)
        return self._found[name]

    def locate(self, name: str) -> tuple[str | None, str] | None:
        """Return the schema (None: the default one) and the name of an existing table, or None."""
        if self._inspector.has_table(name):
            return None, name
        return next(
            (location for location in self.splits(name) if self._inspector.has_table(location[1], location[0])), None
        )

    def splits(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the ways to read a name as that of an existing schema, a dot, and a table."""
        schemas = set(self._inspector.get_schema_names()) if "." in name else set()
        for position, character in enumerate(name):
            if character == "." and name[:position] in schemas:
                yield name[:position], name[position + 1 :]

    @property
    def default_schema(self) -> str | None:
        """The schema of names without one."""
        return self._inspector.default_schema_name

    def foreign_keys(self, location: tuple[str | None, str]) -> list[ForeignKey]:
        """Return the foreign keys of a table, given its schema and its name."""
        schema, name = location
        column = self.dialect.column_name
        return [
            ForeignKey(
                tuple(map(column, found["constrained_columns"])),
                found["referred_schema"],
                found["referred_table"],
                tuple(map(column, found["referred_columns"])),
            )
            for found in self._inspector.get_foreign_keys(name, schema)
            if len(found["constrained_columns"]) == len(found["referred_columns"])
        ]

    def is_made(self, location: tuple[str | None, str], name: str) -> bool:
        """Say whether the database makes the values of a column, as it does with ids of its own."""
        schema, table = location
        column = next((one for one in self._inspector.get_columns(table, schema) if one["name"] == name), None)
        if column is None:
            return False
        made = column.get("identity") or "nextval(" in str(column.get("default")) or column.get("autoincrement") is True
        alone = self._inspector.get_pk_constraint(table, schema)["constrained_columns"] == [name]
        return bool(made) or (self.dialect.numbers_keys and alone and isinstance(column["type"], sa.Integer))

    def names_to_write(self) -> list[str]:
        """Return the full name of every table that was looked up; raise `SyncerError` if one has no transactions."""
        for stored in self._found.values():
            if stored.not_transactional:
                message = f"table {stored.name!r} of {self.store} is kept by {stored.not_transactional}"
                raise SyncerError(message)
        return [stored.full_name for stored in self._found.values()]

    def full_name(self, name: str) -> str:
        """Return the schema and the name that a table of this name has or would have."""
        schema, table = self.locate(name) or next(self.splits(name), (None, name))
        return f"{schema or self._inspector.default_schema_name}.{table}"

    def names(self) -> list[str]:
        """Return the names of all tables, those of other schemas as ``schema.table``, sorted."""
        names = self._inspector.get_table_names()
        for schema in self._other_schemas():
            names += [f"{schema}.{table}" for table in self._inspector.get_table_names(schema)]
        return sorted(name for name in names if not name.rpartition(".")[2].startswith(UNFINISHED))

    def _names(self) -> list[str]:
        return [*self.names(), *self._inspector.get_view_names()]

    def _other_schemas(self) -> list[str]:
        if not self.dialect.has_other_schemas:
            return []
        default = self._inspector.default_schema_name
        schemas = self._inspector.get_schema_names()
        return [schema for schema in schemas if schema not in (default, *_SYSTEM_SCHEMAS)]

    def _reflect(self, name: str, schema: str | None, table_name: str) -> StoredTable:
        columns = self._inspector.get_columns(table_name, schema)
        for column in columns:
            column["name"] = self.dialect.column_name(column["name"])
        in_json = self.dialect.json_columns(self._connection, schema, table_name)
        kinds: dict[str, TypeEngine[Any]] = {
            column["name"]: sa.JSON() if column["name"] in in_json else column["type"] for column in columns
        }
        stored_kinds = {column: encoded_type(kind) for column, kind in kinds.items()}
        aware = any(getattr(kind, "timezone", False) for kind in stored_kinds.values())
        zone = self.dialect.zone_of(self._connection) if aware else None
        forms = {column: self.dialect.encoder(kind, zone) for column, kind in stored_kinds.items()}
        sequences = {column["name"]: self.dialect.sequence_of(column) for column in columns}
        table = sa.Table(
            table_name,
            sa.MetaData(),
            *(sa.Column(column, self.dialect.stored_type(kind), info=_info(kind)) for column, kind in kinds.items()),
            schema=schema,
        )
        padded = {column for column, kind in kinds.items() if isinstance(kind, sa.CHAR)}
        primary_key = self._inspector.get_pk_constraint(table_name, schema)["constrained_columns"]
        return StoredTable(
            name=name,
            full_name=f"{schema or self._inspector.default_schema_name}.{table_name}",
            table=table,
            encoders={column: attrs.evolve(form, mode=self._mode) for column, form in forms.items()},
            generated={column["name"]: word for column in columns if (word := _generated(column))},
            sequences={column: sequence for column, sequence in sequences.items() if sequence},
            padded=frozenset(padded if self.dialect.pads_characters else ()),
            primary_key=tuple(primary_key),
            unique=frozenset(self._unique(table_name, schema, primary_key)),
            defaults=frozenset(column["name"] for column in columns if _has_default(column)),
            not_transactional=self.dialect.not_transactional(self._inspector, table_name, schema),
            store=self.store,
        )

    def _unique(self, table_name: str, schema: str | None, primary_key: Sequence[str]) -> Iterator[frozenset[str]]:
        if not (self._indexes and self.dialect.reads_indexes):
            return
        if primary_key:
            yield frozenset(primary_key)
        for index in self._inspector.get_indexes(table_name, schema):
            columns = frozenset(name for name in index["column_names"] if name is not None)
            partial_one = any(key.endswith("_where") for key in index.get("dialect_options", ()))
            if index["unique"] and len(columns) == len(index["column_names"]) and not partial_one:
                yield columns


def _info(kind: TypeEngine[Any]) -> dict[str, Any]:
    """Note the length of a text or binary column, whose keys some indexes find by their beginnings."""
    texts = isinstance(kind, (sa.String, sa.LargeBinary)) and not isinstance(kind, sa.Enum)
    return {"length": getattr(kind, "length", None)} if texts else {}


def _has_default(column: Mapping[str, Any]) -> bool:
    signs = ("default", "identity", "computed")
    return any(column.get(name) for name in signs) or column.get("autoincrement") is True or not column["nullable"]


def _generated(column: Mapping[str, Any]) -> str:
    """Return the word for a value that the database gives itself and nobody else may; empty if there is none."""
    if column.get("computed"):
        return COMPUTED
    return "identity" if (column.get("identity") or {}).get("always") else ""


def _unpadded(encode: Callable[[Any], Any], value: Any) -> Any:
    encoded = encode(value)
    return encoded.rstrip(" ") if isinstance(encoded, str) else encoded


_ROWS = 10_000
_VALUES = 500_000


def read_table(
    database: Database, table: Table, attributes: Sequence[str] | None = None, identifiers: Sequence[str] | None = None
) -> Records:
    """Return the records of a table, as `SQLSyncer.read` describes; names are checked at once, rows read later.

    Raises:
        SyncerError: The table, a column or a link table is not there.
    """
    with database.reading() as connection, database.translated_errors(f"cannot read table {table.name!r} of"):
        target = Target(Catalogue(connection, database.name, indexes=False), table, identifiers)
        names = target.attributes() if attributes is None else list(attributes)
        if not names:
            message = f"no attributes to read from table {table.name!r} of {database.name}: name at least one"
            raise SyncerError(message)
        target.check(names)
        links = [_LinkColumn.of(target, name, identifiers) for name in names if name in target.links]
    chunks = _table_chunks(database, target, names, links)
    return Records(names, chunks, lambda index: f"row {index + 1} of table {table.name}")


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
                form = link.stored.encoders[link.member.name]
                make: Callable[[Any], Any] = form.canonical_members
            else:
                form = target.stored.encoders[target.column(name).name]
                form = attrs.evolve(form, mode="exact") if name in keys else form
                make = form.canonical
            if form.mode == "normalized" or (form.mode == "exact" and not form.trivial):
                found[name] = make
    return found


def read_query(database: Database, sql: str, parameters: Mapping[str, Any] | None = None) -> Records:
    """Return the rows of a query, as `SQLSyncer.query` describes; it is sent at once, the rows are read later.

    Raises:
        SyncerError: The query is refused, gives no rows, or has two columns of one name.
    """
    stream = _query_stream(database, sql, parameters)
    columns = next(stream)
    return Records(columns, stream, lambda index: f"row {index + 1} of the query")


@attrs.frozen(eq=False)
class _LinkColumn:
    """An attribute that is read from a link table."""

    attribute: str
    link: StoredLink
    owner_columns: tuple[sa.Column[Any], ...]
    match: Callable[[Iterable[Any]], tuple[Any, ...]]

    @classmethod
    def of(cls, target: Target, attribute: str, identifiers: Sequence[str] | None) -> _LinkColumn:
        """Find out which columns of the table its owners are."""
        link = target.links[attribute]
        owner_columns = target.owner_columns(link, identifiers)
        return cls(attribute, link, owner_columns, target.stored.matcher(owner_columns))

    def members(self, connection: sa.Connection) -> dict[tuple[Any, ...], set[Any]]:
        """Read the whole link table; return the members by owner."""
        found: dict[tuple[Any, ...], set[Any]] = {}
        joins = Joins(self.link.stored.table)
        columns = [joins.column(column) for column in (*self.link.owners, self.link.member)]
        statement = sa.select(*columns).select_from(joins.source)
        followed = columns[-1] is not self.link.member
        for *owner, member in connection.execute(statement, execution_options={"yield_per": _ROWS}):
            if member is None and followed:  # an id that no row has
                continue
            found.setdefault(self.match(owner), set()).add(member)
        return found


def _table_chunks(database: Database, target: Target, names: list[str], links: list[_LinkColumn]) -> Iterator[Columns]:
    plain = [target.column(name) for name in names if name not in target.links]
    owners = list(dict.fromkeys(column for link in links for column in link.owner_columns))
    joins = Joins(target.stored.table)
    statement = sa.select(*map(joins.column, (*plain, *owners))).select_from(joins.source)
    with database.reading() as connection, database.translated_errors(f"cannot read table {target.stored.name!r} of"):
        members = {link.attribute: link.members(connection) for link in links}
        for columns in chunks_of(connection.execute(statement, execution_options={"stream_results": True})):
            keys = dict(zip(owners, columns[len(plain) :], strict=True))
            memberships = {link.attribute: _memberships(link, members[link.attribute], keys) for link in links}
            waiting = iter(columns)
            yield [memberships[name] if name in memberships else next(waiting) for name in names]


def _memberships(
    link: _LinkColumn, members: Mapping[tuple[Any, ...], set[Any]], keys: Mapping[sa.Column[Any], Sequence[Any]]
) -> list[set[Any]]:
    """Return the members of each owner in a chunk; each row has a set of its own."""
    owners = map(link.match, zip(*(keys[column] for column in link.owner_columns), strict=True))
    return [set(members.get(owner, ())) for owner in owners]


def _query_stream(database: Database, sql: str, parameters: Mapping[str, Any] | None) -> Iterator[Any]:
    """Yield the names of the columns, and then the chunks."""
    text = sql.strip().rstrip(";")
    options = {"stream_results": True, "no_parameters": True}
    with ExitStack() as stack:
        connection = stack.enter_context(database.reading())
        stack.enter_context(database.translated_errors("cannot run the query on"))
        if parameters is None:
            # As it is written: a colon or a percent sign in it need not stand for a parameter.
            result = connection.exec_driver_sql(text, execution_options=options)
        else:
            result = connection.execute(sa.text(text), dict(parameters), execution_options=options)
        stack.enter_context(closing(result))
        if not result.returns_rows:
            message = f"the query on {database.name} gives no rows: it is for reading only, so write one that selects"
            raise SyncerError(message)
        names = list(result.keys())
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            message = f"the query on {database.name} has two columns {twice!r}: name each differently, with AS"
            raise SyncerError(message)
        yield names
        yield from chunks_of(result)


def chunks_of(result: sa.CursorResult[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows column by column, in chunks whose size depends on the width of a row.

    Blanks that fill up texts to the length of their column are left out.
    """
    padded = dialect_of(result.dialect).padded_results(result)
    rows = max(1, min(_ROWS, _VALUES // max(1, len(result.keys()))))
    with closing(result):
        for partition in result.yield_per(rows).partitions():
            chunk = list(zip(*partition, strict=True))
            for place in padded:
                chunk[place] = tuple(map(without_blanks, chunk[place]))
            yield chunk
