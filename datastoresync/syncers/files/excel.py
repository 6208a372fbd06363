"""Excel workbooks as a store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar

from datastoresync.conversion.cells import COLUMNS, ROWS, cell_value, make_cell
from datastoresync.errors import MissingDependencyError, SyncerError
from datastoresync.syncers.files.base import TableFileSyncer
from datastoresync.syncers.files.excel_package import package
from datastoresync.syncers.files.excel_reader import SheetRows, read_sheet
from datastoresync.syncers.files.sheet_format import SheetFormat, title_fault, title_of
from datastoresync.syncers.names import clash
from datastoresync.syncers.records import Records, file_state
from datastoresync.syncers.row_index import TableContents


class ExcelSyncer(TableFileSyncer):
    r"""Excel workbooks: a single one, whose sheets are the tables, or a folder with a workbook for each table.

    A table has its columns' names in its first row, and a record in each row below; empty rows are skipped. Where there
    is more on a sheet, options say what is read. What a cell holds comes back as what it was:

    - text, exactly, whatever it looks like; it is never a formula. An empty text is a cell with a format of its own;
    - None, as an empty cell; booleans; floats; integers of up to 15 digits, longer ones as text;
    - dates, datetimes and times, in whole milliseconds from 1 March 1900 on, and others (those with a time zone, too)
      as text in ISO 8601;
    - decimals and UUIDs as text, an enum member as its value.

    NaN, infinity, text of more than 32,767 characters, bytes and collections are refused. Formulas in a workbook are
    read as the results that were saved with them, and refused if there are none; so are cells that hold an error, and
    merged ones. Dates are counted from 1900 or 1904, as the workbook says.

    A dump replaces one sheet, formulas and formats and all, and keeps the values and formats of the others, but for the
    format of single characters within a cell. What would be lost is read but not written: a workbook with charts,
    pictures, shapes, pivot tables, controls or macros; one whose other sheets hold formulas, as the results that were
    saved with them would be gone; and, but for a dump, a sheet that holds some itself. In a single workbook a
    table's name is that of a sheet, so it has at most 31 characters, none of ``[]:*?/\``, and no apostrophe at its
    ends. In a folder, the sheet that is called like the table is read, or else the only one.

    Args:
        path: A workbook, or a folder of workbooks.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.
        options: What of the sheets is read: each by its name in `SheetFormat`. With any, workbooks are only read.

    Raises:
        DeclarationError: An option has a value that it cannot have.

    >>> ExcelSyncer("report.xlsx").normalized(10**15)
    '1000000000000000'
    """

    format: ClassVar[str] = "xlsx"
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx",)
    format_class = SheetFormat
    table_format: SheetFormat
    _sheets: tuple[tuple[int, ...], list[str]] = ((), [])

    def normalized(self, value: Any) -> Any:
        """Return the value that `load` returns for one that was dumped.

        Raises:
            SyncerError: A cell cannot hold it.
            MissingDependencyError: openpyxl is not installed.
        """
        _library()  # nothing is a value of a workbook that could not be written
        return cell_value(value)

    def _table_files(self) -> dict[str, Path]:
        files = super()._table_files()
        return dict.fromkeys(self._titles(self.path), self.path) if files and self._single else files

    def _titles(self, path: Path) -> list[str]:
        """Return the titles of the sheets of a workbook; they are cached, as they are asked for often."""
        state = file_state(path.stat())
        if self._sheets[0] != state:
            with package(path) as book:
                self._sheets = (state, list(book.sheets))
        return self._sheets[1]

    @property
    def only_table(self) -> None:
        """None: a workbook has as many tables as sheets."""

    def _check_single(self, identifier: str) -> None:
        reason = title_fault(identifier)
        if not reason and (existing := clash(identifier, self._table_files())):
            reason = f"there is {existing!r}, and Excel ignores case"
        if reason:
            message = f"{identifier!r} cannot be the name of a sheet in {self.name}: {reason}"
            raise SyncerError(message)

    def _open_file(self, path: Path, identifier: str) -> Records:
        return read_sheet(path, title_of(identifier), self.table_format.told(self.spelling))

    def _columns(self, identifier: str) -> tuple[str, ...]:
        return self._open(identifier).columns

    def _stored(self, identifier: str) -> TableContents:
        rows = SheetRows(self._existing_file(identifier), title_of(identifier), self.table_format)
        records = Records(rows.header(), rows.chunks(), rows.where)
        contents = TableContents(records.columns, list(records))
        if rows.formula:
            message = f"{rows.formula}: a formula, which would be replaced by its result: dump the whole table, or none"
            raise SyncerError(message)
        return contents

    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        library = _library()
        path = self._target_file(next(iter(tables)))
        existing = self._titles(path) if path.exists() else []
        # In a folder, the only sheet of a workbook is the table, under any title.
        titles = {name: existing[0] if len(existing) == 1 and not self._single else title_of(name) for name in tables}
        # All rows first: openpyxl leaves files behind when it is interrupted in the middle of a sheet.
        sheets = {titles[name]: self._rows(name, contents) for name, contents in tables.items()}
        if existing:
            library.check_rewritable(path)
        if set(existing) <= sheets.keys():
            book = library.openpyxl.Workbook(write_only=True)
            for title, rows in sheets.items():
                _fill(book.create_sheet(title), rows)
            book.save(file)
            return
        with library.workbook(path) as book:
            for title, rows in sheets.items():
                _fill(_new_sheet(book, title), rows)
            for title in set(existing) - sheets.keys():
                _preserve(book[title], path)
            book.save(file)

    def _rows(self, identifier: str, contents: TableContents) -> list[list[Any]]:
        """Return the values of the cells of a sheet, its header first."""
        if len(contents.records) >= ROWS or len(contents.columns) > COLUMNS:
            message = f"table {identifier!r} is larger than a sheet: {ROWS - 1} records, {COLUMNS} columns"
            raise SyncerError(message)
        if contents.records and not contents.columns:
            message = f"the records for table {identifier!r} have no columns: a sheet cannot hold them"
            raise SyncerError(message)
        if any(not column.strip() for column in contents.columns):
            message = f"table {identifier!r} has a column whose name is empty: a sheet cannot hold it"
            raise SyncerError(message)
        header = list(map(cell_value, contents.columns))
        return [header, *self._encoded_rows(identifier, contents, cell_value)] if header else []


def _library() -> Any:
    """Return the module that needs openpyxl.

    Raises:
        MissingDependencyError: openpyxl is not installed.
    """
    try:
        from datastoresync.syncers.files import excel_workbook
    except ImportError as error:
        message = "Excel workbooks are written by openpyxl: pip install 'datastoresync[excel]'"
        raise MissingDependencyError(message) from error
    return excel_workbook


def _fill(sheet: Any, rows: list[list[Any]]) -> None:
    cell_of = partial(_library().openpyxl.cell.WriteOnlyCell, sheet)
    for values in rows:
        cells = [make_cell(cell_of, value) for value in values]
        if all(value is None or value == "" for value in values):
            cells.append(make_cell(cell_of, ""))  # else it would be an empty row
        sheet.append(cells)


def _preserve(sheet: Any, path: Path) -> None:
    """Write out the floats of a sheet, which openpyxl would round; refuse formulas, whose results it drops.

    Raises:
        SyncerError: The sheet holds a formula.
    """
    for cell in sheet._cells.values():  # noqa: SLF001 - iter_rows would make all the cells that are not there, too
        if cell.data_type == "f":
            message = (
                f"{path}, sheet {sheet.title!r}, cell {cell.coordinate}: the saved result of this formula would be "
                "lost if another sheet were written: keep formulas in a workbook of their own"
            )
            raise SyncerError(message)
        if isinstance(cell.value, float):
            cell.value = repr(cell.value)
            cell.data_type = "n"


def _new_sheet(book: Any, title: str) -> Any:
    """Return a new sheet that replaces the one of its title, or is the last one."""
    if title not in book.sheetnames:
        return book.create_sheet(title)
    old = book[title]
    index, state = book.index(old), old.sheet_state
    book.remove(old)
    new = book.create_sheet(title, index)
    new.sheet_state = state
    return new
