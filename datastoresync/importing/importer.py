"""Importers: where the rows of a branch come from, their hooks, and those for files, databases and syncers."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import attrs

from datastoresync.engines.relation import BranchDescription
from datastoresync.engines.select import engine_of
from datastoresync.errors import ColumnError, DataWarning, DeclarationError, ImporterError, RowError
from datastoresync.masking import hidden, masked, without_values
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.spelling import member_problems, settings_of
from datastoresync.syncers.files.csv_reader import read_csv
from datastoresync.syncers.files.patterns import resolve_files
from datastoresync.syncers.files.text_format import TextFormat, format_of
from datastoresync.syncers.loading import load_records, records_in
from datastoresync.syncers.protocol import reading_fault
from datastoresync.syncers.records import Columns, Records, StoredRows, is_arrow
from datastoresync.syncers.table_layout import Table


class ImportedBranch(Protocol):
    """A branch as its importer sees it, a mapping from idnumber to object."""

    name: str
    object_class: Any

    @property
    def full_name(self) -> str:
        """The branch with its tree: ``source.users``."""
        ...

    @property
    def table(self) -> Table:
        """Where a syncer keeps the objects."""
        ...

    def __contains__(self, idnumber: object) -> bool: ...
    def __getitem__(self, idnumber: Any) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the idnumbers with their objects."""
        ...

    def values(self) -> Iterable[Any]:
        """Return the objects."""
        ...

    def new(self, idnumber: Any = None, /, **attributes: Any) -> Any:
        """Add an object and return it."""

    def remove(self, idnumber: Any) -> Any:
        """Remove an object and return it."""


class ImportedTree(Protocol):
    """A tree as importers see it: branches by name."""

    name: str

    def __contains__(self, name: object) -> bool: ...
    def __getitem__(self, name: str) -> ImportedBranch: ...


def hide_sensitive(error: RowError, cls: Any, rows: Iterable[Any]) -> None:
    """Take the values of a class's sensitive attributes out of what an error says, and the cause that says them, too.

    Args:
        error: The error.
        cls: The class.
        rows: The rows that it may speak of; of what is no mapping, everything is taken out.
    """
    names = getattr(cls, "_sensitive", ())
    if not names:
        return
    values = [value for row in rows for value in (map(row.get, names) if isinstance(row, Mapping) else [row])]
    said = without_values(error.message, values, names)
    if said != error.message:
        error.message = said
        error.args = (said, *error.args[1:])
        error.__cause__ = error.__context__ = None


_HOOKS = {"read": 0, "source_info": 0, "keep": 1, "prepare": 1, "resolve_duplicate": 2, "finished": 0, "imported": 0}
"""The number of arguments of each."""


class Importer:
    """Where a branch's rows come from. Subclass it, and write `read`.

    ``tree`` and ``branch`` are the ones that are being imported, so that a branch can be derived from others: name
    them in ``after``, and they are imported first. Each bound branch has an importer of its own.

    ``on_bad_row`` is ``"stop"`` or ``"collect"``: whether a row that is refused ends the import, or is listed in its
    report and left out. After rows were left out, no sync deletes anything in that branch or in one derived from it.

    ``number_from = 1`` numbers the rows that have no idnumber, but some value, in the order in which they are read.

    >>> class Staff(Importer):
    ...     def read(self):
    ...         yield {"idnumber": "1", "name": "Ann"}
    ...     def keep(self, row):
    ...         return bool(row["name"])
    """

    after: ClassVar[tuple[str, ...]] = ()
    on_bad_row: Literal["stop", "collect"] = "stop"
    number_from: int | None = None

    if TYPE_CHECKING:
        tree: Sources
        branch: ImportedBranch
        description: BranchDescription

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse misspelt hooks and settings; what a subclass sets of an importer's arguments is their default."""
        super().__init_subclass__(**kwargs)
        fields = {
            field.name: field.default for base in cls.__mro__[1:] for field in vars(base).get("__attrs_attrs__", ())
        }
        for problem in member_problems(cls, Importer, _HOOKS, {**settings_of(Importer), **fields}):
            raise DeclarationError(problem)
        own = {name: value for name, value in vars(cls).items() if name in fields and not isinstance(value, property)}
        defaults = {name: value for name, value in own.items() if name not in inspect.get_annotations(cls)}
        if defaults and "__init__" not in vars(cls):
            cls.__init__ = partialmethod(cls.__init__, **defaults)  # type: ignore[assignment]  # it is called like one

    def read(self) -> Iterable[Mapping[str, Any]] | Records:
        """Yield the rows, or return what is taken as rows: records, a dataframe, an iterable of mappings."""
        message = f"{type(self).__name__} must define read()"
        raise DeclarationError(message)

    def source_info(self) -> Any:
        """Return a description of the rows' source that an engine can read by itself; see `syncers.records`.

        It is asked before `read`, which is then not called. None for what is only known once it is read.
        """
        return None

    def keep(self, row: Mapping[str, Any]) -> bool:  # noqa: ARG002 - a hook
        """Say whether a row is wanted; called before `prepare`."""
        return True

    def prepare(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row as it should be taken: renamed, split, completed.

        Where changes are written to the store that was read, it is still expected to hold what stood in the row.
        """
        return row

    def resolve_duplicate(self, existing: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any] | None:  # noqa: ARG002 - a hook
        """Return the row that stands for two with one idnumber, or None to refuse them."""
        return None

    def finished(self) -> None:
        """Do what is to be done when all rows are read; what it raises undoes the import."""

    def imported(self) -> None:
        """Change, add or remove objects of ``self.branch``, which are there now; what it raises undoes the import."""

    def overrides(self, hook: str) -> bool:
        """Say whether a hook is more than the one that every importer has."""
        return getattr(getattr(self, hook), "__func__", None) is not getattr(Importer, hook)

    def reject(self, error: RowError) -> None:
        """Refuse one row: raise the error, or note it if this importer collects bad rows."""
        if self.description is not None:
            hide_sensitive(error, self.description.schema.cls, [error.row])
        if self.on_bad_row != "collect":
            raise error
        self.bad_rows.append(error)

    def bound(
        self,
        description: BranchDescription | None = None,
        *,
        tree: ImportedTree | None = None,
        branch: ImportedBranch | None = None,
    ) -> Self:
        """Return a copy for one branch, ready for one import; None stands for what `read` and the hooks do not use."""
        if self.on_bad_row not in ("stop", "collect"):
            message = f"on_bad_row is 'stop' or 'collect' (got {self.on_bad_row!r})"
            raise DeclarationError(message)
        if self.number_from is not None and (type(self.number_from) is not int or self.number_from < 0):
            message = f"number_from is the first number of rows without an idnumber (got {self.number_from!r})"
            raise DeclarationError(message)
        bound: Any = copy.copy(self)
        bound.tree = Sources(tree, branch, tuple(self.after)) if tree is not None and branch is not None else None
        bound.branch, bound.description, bound.bad_rows = branch, description, []
        return bound  # type: ignore[no-any-return]  # a copy of this importer

    bad_rows: list[RowError]


class Sources:
    """A tree as an importer sees it: the branches it is derived from, which are those that it named in ``after``."""

    def __init__(self, tree: ImportedTree, branch: ImportedBranch, after: tuple[str, ...]) -> None:
        self._tree = tree
        self._branch = branch
        self._after = after

    def __getattr__(self, name: str) -> Any:
        self._check(name)
        return getattr(self._tree, name)

    def __getitem__(self, name: str) -> ImportedBranch:
        self._check(name)
        return self._tree[name]

    def _check(self, name: str) -> None:
        if name in self._tree and name not in self._after and self._tree[name] is not self._branch:
            after = (*self._after, name)
            message = f"{self._branch.full_name} is derived from {name}: write after = {after!r} in its importer"
            raise DeclarationError(message)


class CallableImporter(Importer):
    """Calls a function without arguments for its rows, anew at every import."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self._given: dict[str, Any] = {}  # shared by the copies, as the function is

    def read(self) -> Any:
        """Return what the function returns.

        Raises:
            ImporterError: if that is the iterator of the import before, which has nothing left by now.
        """
        given = self.function()
        if isinstance(given, (Iterator, Records)):
            if given is self._given.get("last"):
                message = "the function gives the same iterator again, and that has nothing left: make a new one"
                raise ImporterError(message)
            self._given["last"] = given
        return given


class IterableImporter(Importer):
    """Takes rows that are there already: a list of mappings, a dataframe."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self._state = {"read": False}  # shared by the copies, since they share the iterator

    def read(self) -> Any:
        """Return the rows.

        Raises:
            ImporterError: at the second import from an iterator, which has nothing left by then.
        """
        if isinstance(self.rows, (Iterator, Records)):
            if self._state["read"]:
                message = "an iterator gives its rows only once: give the function that makes it instead"
                raise ImporterError(message)
            self._state["read"] = True
        return self.rows


def importer_of(source: Any, *, store: Callable[[Any], Importer]) -> Importer:
    """Return an importer for what was given as one.

    Args:
        source: An importer or its class, a syncer, a function, rows, or a dataframe.
        store: Makes an importer of a syncer.

    Raises:
        DeclarationError: if nothing can be read from it.
    """
    if isinstance(source, Importer):
        return source
    if isinstance(source, type) and issubclass(source, Importer):
        try:
            return source()
        except TypeError as error:
            message = f"{source.__name__} needs arguments: give an instance of it ({error})"
            raise DeclarationError(message) from error
    if not isinstance(source, type):
        if callable(getattr(source, "load", None)) and callable(getattr(source, "dump", None)):
            return store(source)
        if engine_of(source) is not None or hasattr(source, "__arrow_c_stream__"):
            return IterableImporter(source)
        if callable(source):
            return CallableImporter(source)
        if isinstance(source, Iterable) and not isinstance(source, (str, bytes, Mapping)):
            return IterableImporter(source)
    hint = f"; for a file write CSVImporter({source!r})" if isinstance(source, str) else ""
    message = f"an importer, a function, a syncer, a dataframe or rows are wanted (got {masked(repr(source))}){hint}"
    raise DeclarationError(message)


@attrs.frozen(eq=False, repr=False)
class ImportReport(Printable):
    """What the last import of a branch did.

    Args:
        branch: The branch's full name.
        rows: How many rows were read, those left out included.
        objects: How many objects they gave.
        bad_rows: The rows that were refused, each as the error that says why; only if the importer collects them.
        seconds: How long it took.
        warnings: What looked wrong and was taken as it is: each `DataWarning` that was given meanwhile.
    """

    branch: str
    rows: int
    objects: int
    bad_rows: tuple[RowError, ...] = ()
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every row was taken."""
        return not self.bad_rows

    @property
    def stat(self) -> str:
        """One line to search logs for."""
        return f"rows={self.rows} objects={self.objects} bad={len(self.bad_rows)}"

    def __repr__(self) -> str:
        lines = [f"<ImportReport of {self.branch}: {self.stat}>"]
        lines += [f"  {error}" for error in self.bad_rows[:10]]
        if len(self.bad_rows) > len(lines) - 1:
            lines.append(f"  … and {len(self.bad_rows) - len(lines) + 1:,} more")
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def __outline__(self) -> Outline:
        """Describe the import: its counts, the rows that were refused, and warnings."""

        def bad() -> Iterator[Outline]:
            for error in self.bad_rows:
                yield Outline(str(error), "refused")
            for warning in self.warnings:
                yield Outline(warning, "warning")

        lines = len(self.bad_rows) + len(self.warnings)
        return Outline(f"import of {self.branch}", "stat", self.stat, bad, lines, expanded=True)


@attrs.define(eq=False, slots=False)
class FileImporter(Importer):
    """Reads files into one branch."""

    files: str | Path | Sequence[str | Path] = attrs.field(converter=hidden)
    newest: Literal["modified", "name"] | None = attrs.field(default=None, kw_only=True)
    on_bad_row: Literal["stop", "collect"] = attrs.field(default="stop", kw_only=True)
    number_from: int | None = attrs.field(default=None, kw_only=True)

    def read(self) -> Records:
        """Return the records of all the files, in the order of their names."""
        return _joined(list(self._opened(resolve_files(self.files, newest=self.newest))))

    def _opened(self, paths: Sequence[Path]) -> Iterator[Records]:
        """Yield the records of each file."""
        raise NotImplementedError


@attrs.define(eq=False, slots=False)
class CSVImporter(TextFormat, FileImporter):
    """Reads CSV files: one, several, or those that a pattern such as ``"exports/*.csv"`` finds, into one branch.

    Text stays text; the branch's class says what is converted. A file that is malformed is refused with the line, and
    the message names the option that reads it. The options of `TextFormat` are keywords here: ``delimiter=";"``,
    ``skip_lines=1``, ``columns={"idnumber": "Student ID"}``.

    Args:
        files: A path, a pattern, or several of them.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        on_bad_row, number_from: As in `Importer`: rows that are refused, and those without an idnumber.
    """

    def _opened(self, paths: Sequence[Path]) -> Iterator[Records]:
        text_format = format_of(TextFormat, self)
        return (read_csv(path, text_format=text_format, reject=self.reject) for path in paths)


def _joined(parts: list[Records]) -> Records:
    """Return several records as one; their columns must be the same, in any order.

    Raises:
        ColumnError: if a file has other columns than the first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if set(part.columns) != set(first.columns):
            differing = sorted(set(part.columns) ^ set(first.columns))
            message = f"not the columns of {first.where(0)}: they differ in {', '.join(map(repr, differing))}"
            raise ColumnError(message, where=part.where(0), columns=differing)
    starts: list[int] = []

    def chunks() -> Iterator[Columns]:
        count = 0
        for part in parts:
            starts.append(count)
            places = {name: index for index, name in enumerate(part.columns)}
            indexes = [places[name] for name in first.columns]
            for columns in part.chunks:
                count += len(columns[0])
                yield [columns[index] for index in indexes]
            if count == starts[-1]:
                message = f"{part.where(0)}: the file has a header and no rows"
                warnings.warn(message, DataWarning, stacklevel=2)
                records.empty_parts.append(Path(part.where(0).rpartition(":")[0] or part.where(0)).name)

    def where(index: int) -> str:
        part = max(part for part, start in enumerate(starts) if start <= index)
        return parts[part].where(index - starts[part])

    files = tuple(file for part in parts if part.source_info is not None for file in part.source_info.files)
    source_info = None if first.source_info is None else attrs.evolve(first.source_info, files=files)
    records = Records(first.columns, chunks(), where, source_info=source_info, value_format=first.value_format)
    return records


class SQLImporter(Importer):
    """Reads the rows of a query, or of a whole table, through SQLAlchemy.

    Args:
        database: A URL, an engine of SQLAlchemy, or a `SQLSyncer`.
        query: Any statement that gives rows. A column's name is the attribute's: ``select id as idnumber, …``.
        table: The table to read instead, as its name or a `Table`.
        parameters: Values for the ``:names`` in the query.

    Raises:
        DeclarationError: unless one of ``query`` and ``table`` is given.
    """

    def __init__(
        self,
        database: Any,
        query: str | None = None,
        *,
        table: str | Table | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if (query is None) == (table is None):
            message = "SQLImporter takes a query or a table: SQLImporter(url, 'select …') or SQLImporter(url, table=…)"
            raise DeclarationError(message)
        from datastoresync.syncers.sql.syncer import SQLSyncer  # not all who import have a database

        self.syncer = database if isinstance(database, SQLSyncer) else SQLSyncer(database)
        self.query = query
        self.table = table
        self.parameters = parameters

    def source_info(self) -> StoredRows | None:
        """Return the table or the query, which a large one can be compared in."""
        if type(self).read is not SQLImporter.read:
            return None
        return StoredRows(self.syncer, self._stored_table(), self.query, self.parameters)

    def _stored_table(self) -> Table | None:
        """Return the table, with what the tree knows of its other tables."""
        table = Table(self.table) if isinstance(self.table, str) else self.table
        description = getattr(self, "description", None)
        if description is None or table is None or table.keys:
            return table
        known = description.table
        return attrs.evolve(table, keys=known.keys, references=known.references, texts=known.texts)

    def read(self) -> Records:
        """Return the rows as a stream."""
        table = self._stored_table()
        if table is not None:
            return self.syncer.read(table)
        return self.syncer.query(self.query or "", self.parameters)


class StoreImporter(Importer):
    """Reads the branch from a syncer: through its ``read`` if it has one, and its ``load`` otherwise.

    Args:
        syncer: Anything with ``load(identifier)``, which gives records, a frame or an Arrow table; with
            ``read(table, attributes, identifiers=…)`` it is asked for what the branch's class declares, and streams
            it. Without, memberships in link tables are loaded, too.
    """

    def __init__(self, syncer: Any) -> None:
        self.syncer = syncer

    def source_info(self) -> StoredRows | None:
        """Return the table of a database, which a large one can be compared in."""
        from datastoresync.syncers.sql.syncer import SQLSyncer  # not all who import have a database

        if type(self).read is not StoreImporter.read or not isinstance(self.syncer, SQLSyncer):
            return None
        return StoredRows(self.syncer, self.description.table, attributes=self.description.columns)

    def read(self) -> Any:
        """Return the records, each attribute under its own name."""
        table, wanted = self.description.table, self.description.columns
        identifiers = self.description.schema.identifiers
        if fault := reading_fault(self.syncer):
            message = f"a table cannot be read: a {type(self.syncer).__name__} {fault}"
            raise DeclarationError(message)
        read = getattr(self.syncer, "read", None)
        if callable(read):
            return read(table, wanted, identifiers=identifiers)
        if table.links:
            from datastoresync.syncers.projection import projected  # most branches have no links

            return projected(self._opened, table, wanted, identifiers)
        loaded = self.syncer.load(table.name)
        if not table.columns and (is_arrow(loaded) or engine_of(loaded) is not None):
            return loaded  # a large frame stays a table
        records = records_in(loaded, self.syncer, table.name)
        if not table.columns:
            return records
        table.check_unreferenced(f"{type(self.syncer).__name__}, which has no method read,")
        attributes = table.attributes
        if isinstance(records, Records):
            names = [attributes.get(name, name) for name in records.columns]
            return Records(names, records.chunks, records.where, value_format=records.value_format)
        return ({attributes.get(name, name): value for name, value in record.items()} for record in records)

    def reads_all_of(self, syncer: Any) -> bool:
        """Say whether it reads every row of a table in a syncer, and drops none."""
        plain = type(self).read is StoreImporter.read and not (self.overrides("keep") or self.overrides("prepare"))
        return plain and self.syncer is syncer

    def _opened(self, name: str) -> Records:
        """Load a table as a stream of all of its columns."""
        from datastoresync.syncers.row_index import TableContents  # only links need it

        contents = TableContents.of(load_records(self.syncer, name), name)
        chunk = [[record.get(column) for record in contents.records] for column in contents.columns]
        chunks = [chunk] if chunk else []
        return Records(contents.columns, chunks, lambda index: f"record {index + 1} of table {name!r}")
