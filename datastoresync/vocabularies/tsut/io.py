"""Files of users and groups: ``from tsut.io import UGXLSReader, UGXLSWriter, UGJsonReader``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from datastoresync.atomic_write import AtomicWrite
from datastoresync.errors import ColumnError, ConversionError, ImporterError
from datastoresync.syncers.files.csv import CSVSyncer
from datastoresync.syncers.files.excel import ExcelSyncer
from datastoresync.syncers.files.locks import locked
from datastoresync.syncers.thoughtspot.principals import FIELDS, record_of
from datastoresync.vocabularies.tsut.model import UsersAndGroups
from datastoresync.vocabularies.tsut.principal import Group, User, compact_json

_CLASSES: Final[Mapping[str, type[Any]]] = MappingProxyType({"Users": User, "Groups": Group})
"""The sheets of a workbook, and whose they are."""
_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Name": "name",
        "Password": "password",
        "Display Name": "displayName",
        "Email": "mail",
        "Description": "description",
        "Groups": "groupNames",
        "Privileges": "privileges",
        "Visibility": "visibility",
        "Created": "created",
        "Modified": "modified",
        "Id": "id",
    }
)
"""The titles of the columns that are written, and what is in them, by its name in ThoughtSpot's own JSON."""
_LISTS: Final = ("groupNames", "privileges")
_NUMBERS: Final = ("created", "modified")
_WHOLE: Final = re.compile(r"([0-9]+)(?:\.0*)?")
"""A number as a CSV file has it; pandas writes 5 as 5.0 where other cells of the column are empty."""


def _plain(title: str) -> str:
    return re.sub(r"[\W_]+", "", title).lower()


_COLUMNS: Final = {
    _plain(name): column
    for column, field in FIELDS.items()
    for name in (column, field, *(title for title, each in _TITLES.items() if each == column))
}
"""The columns by their names, however these are spelled: ``Display Name``, ``display_name``, ``displayName``."""


class _Workbook(ExcelSyncer):
    """A workbook under any name."""

    _single = True


class _CSVFile(CSVSyncer):
    """A CSV file under any name."""

    _single = True

    @property
    def table(self) -> str:
        """The name of its only table."""
        return self._table_name(self.path)


def _existing(filename: str) -> str:
    if not Path(filename).exists():
        message = f"{filename} cannot be read: there is no such file"
        raise ImporterError(message)
    return filename


class UGXLSReader:
    """Reads Excel workbooks with the sheets Users and Groups."""

    def read_from_excel(self, filepath: str) -> UsersAndGroups:
        """Return the users and groups in a workbook.

        Raises:
            ImporterError: A sheet, a column or a value is not what it should be; it is named.
        """
        read, workbook = UsersAndGroups(), _Workbook(_existing(filepath))
        for sheet in _CLASSES:
            read.add_records(records_of(workbook.load(sheet), sheet, f"sheet {sheet!r}"))
        return read


class UGXLSWriter:
    """Writes Excel workbooks with the sheets Users and Groups, passwords too."""

    def write(self, users_and_groups: UsersAndGroups, filename: str) -> None:
        """Write a workbook; other sheets in it stay.

        Raises:
            SyncerError: A cell cannot hold a value, or the file cannot be written.
        """
        workbook = _Workbook(filename)
        workbook.dump("Users", data=rows_of(users_and_groups.get_users(), "Users"))
        workbook.dump("Groups", data=rows_of(users_and_groups.get_groups(), "Groups"))


class UGJsonReader:
    """Reads users and groups from ThoughtSpot's own JSON."""

    def read_from_file(self, filename: str) -> UsersAndGroups:
        """Return the users and groups in a file.

        Raises:
            ImporterError: It is not such JSON, or a record is refused.
        """
        try:
            return UsersAndGroups.from_json(Path(filename).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"{filename} cannot be read: {reason}"
            raise ImporterError(message) from error

    def parse_json(self, json_list: list[dict[str, Any]]) -> UsersAndGroups:
        """Return the users and groups in a list of records.

        Raises:
            ImporterError: A record is refused.
        """
        read = UsersAndGroups()
        read.add_records(json_list)
        return read


def write_json(users_and_groups: UsersAndGroups, filename: str) -> None:
    """Write users and groups to a JSON file, passwords too; the old one stays until the new one is complete.

    Raises:
        SyncerError: Another run is writing to it.
        OSError: It cannot be written.
    """
    path = Path(filename).resolve()
    text = users_and_groups.to_json().encode(errors="backslashreplace")  # half a character, as JSON escapes it
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked([path]):
        write = AtomicWrite(path)

        def save(file: IO[bytes]) -> None:
            file.write(text)

        try:
            write.write(save)
            write.commit()
        finally:
            write.discard()


def read_csv(filename: str, sheet: str, *, delimiter: str = ",") -> list[dict[str, Any]]:
    """Return the records in a CSV file of users or of groups.

    Args:
        filename: The file.
        sheet: ``Users`` or ``Groups``.
        delimiter: What separates the columns.

    Raises:
        ImporterError: The file, a column or a value is not what it should be.
    """
    file = _CSVFile(_existing(filename), delimiter=delimiter)
    return records_of(file.load(file.table), sheet, filename)


def write_csv(items: Iterable[Any], filename: str, sheet: str, *, delimiter: str = ",") -> None:
    """Write users or groups to a CSV file, passwords too.

    Raises:
        SyncerError: The file cannot be written.
    """
    file = _CSVFile(filename, delimiter=delimiter)
    file.dump(file.table, data=rows_of(items, sheet))


def columns_of(sheet: str) -> list[str]:
    """Return what users or groups have, by its names in ThoughtSpot's own JSON, in the order of the columns."""
    return [column for column in _TITLES.values() if hasattr(_CLASSES[sheet], FIELDS[column])]


def rows_of(items: Iterable[Any], sheet: str) -> list[dict[str, Any]]:
    """Return users or groups as rows by title; a list, of groups or of privileges, is JSON in one cell."""
    columns, rows = columns_of(sheet), []
    for item in items:
        record = record_of(item, item.principalTypeEnum)
        record |= {column: compact_json(record[column]) for column in _LISTS if column in record}
        rows.append({title: record.get(column) for title, column in _TITLES.items() if column in columns})
    return rows


def records_of(rows: Iterable[Mapping[str, Any]], sheet: str, where: str) -> list[dict[str, Any]]:
    """Return rows as records of ThoughtSpot's own JSON; empty cells are left out.

    Args:
        rows: The rows by title.
        sheet: ``Users`` or ``Groups``.
        where: The place in messages.

    Raises:
        ImporterError: Two columns stand for one, or a list cannot be read.
    """
    records = []
    for number, row in enumerate(rows, 2):
        record: dict[str, Any] = {}
        titles: dict[str, str] = {}
        for title, value in row.items():
            column = _COLUMNS.get(_plain(title), title)
            if first := titles.get(column):
                message = f"the columns {first!r} and {title!r} are one: leave one out"
                raise ColumnError(message, where=where, columns=(first, title))
            titles[column] = title
            if value not in (None, ""):
                record[column] = _cell(value, column, title, f"row {number} of {where}")
        records.append({**record, "principalTypeEnum": _CLASSES[sheet].principalTypeEnum})
    return records


def _cell(value: Any, column: str, title: str, where: str) -> Any:
    """Return what a cell holds: a list as JSON or as Python writes it, a number of a file that has texts only."""
    if not isinstance(value, str):
        return value
    if column in _NUMBERS and (whole := _WHOLE.fullmatch(value)):
        return int(whole[1])
    if column not in _LISTS or not value.startswith("["):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        with suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return ast.literal_eval(value)
        message = f'{title} is not a JSON list such as ["staff", "admins"]: {error}'
        raise ConversionError(message, where=where, column=title) from None
