"""A strict reader of sheets: rows stream out of a workbook, within bounded memory, and nothing is guessed."""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import attrs

from datastoresync.conversion.cells import COLUMNS, EMPTY_TEXT, ROWS
from datastoresync.errors import MalformedFileError, RowError
from datastoresync.syncers.files.excel_package import (
    Area,
    DamagedError,
    Package,
    TextPieces,
    column_of,
    letters_of,
    package,
    segments,
    translate_errors,
    unescape,
    without_codes,
    xml_parser,
)
from datastoresync.syncers.files.sheet_format import SheetFormat
from datastoresync.syncers.records import Columns, Records, file_state, with_none

_CHUNK, _CELLS = 4096, 2**20
"""Records a chunk, and cells: fewer records if they have many columns."""
_MOMENTS = 2**16
"""Dates that are remembered: most come again and again."""
_SINCE_1900, _SINCE_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - cells have no time zone
_LEAP_DAY = 60
"""The number of 29 February 1900, a day that Excel alone has."""
_DAY = 86_400_000
"""Milliseconds of a day."""
_SPARSE, _TIMES = 2**23, 500
"""A table may have so many cells, or so many times those that are not empty, whichever is more."""


# Cells ----------------------------------------------------------------------------------------------------------------


class _CellError(ValueError):
    """A value that a cell cannot have."""


_Cell = tuple[str, str, str, Any, str, str]
"""The letters of a column, the number of a style, the kind of the value, whether there is a formula, and the text: that
of the value, or that which stands in the cell itself."""


class _Sheet:
    """Takes the rows of a sheet out of its XML: each with its number and its cells, in which nothing is read yet."""

    _ROW = re.compile(r'<row r="(\d{1,10})"[^<>]*+>')
    _CELL = re.compile(
        r'<c r="([A-Z]++)[0-9]++"(?: s="([0-9]++)")?+(?: t="([a-zA-Z]++)")?+(?:/>|>(<f(?:[^<]*/>|[^<]*+</f>))?+'
        r'(?:<v>([^<]*+)</v>|<is><t(?: xml:space="preserve")?+>([^<]*+)</t></is>|<v ?/>|)</c>)'
    )

    def __init__(self) -> None:
        self.rows: list[tuple[int, list[_Cell]]] = []
        self.parser = xml_parser(self._start, self._end, self._text)
        self._number = self._column = 0
        self._cells: list[_Cell] = []
        self._attributes: Mapping[str, str] = {}
        self._formula = self._aside = False
        self._tag = ""
        self._pieces = TextPieces()

    def plain(self, segment: str) -> bool:
        """Take rows as Excel, openpyxl and we write them, unless a cell has text in several formats."""
        escaped = "&" in segment
        rows: list[tuple[int, list[_Cell]]] = []
        for row in segment.split("</row>")[:-1]:
            match = self._ROW.match(row, row.rfind("<row "))
            cells: list[_Cell] = self._CELL.findall(row, match.end()) if match else []
            if not match or len(cells) != row.count("<c"):
                return False
            if escaped:
                cells = [(*cell[:4], unescape(cell[4]), unescape(cell[5])) for cell in cells]
            rows.append((int(match[1]), cells))
        self.rows += rows
        self._number = rows[-1][0]
        return True

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._tag = tag
        if tag == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            self._column = column_of(letters) + 1 if letters else self._column + 1
            self._attributes = attributes
            self._formula = False
        elif tag == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._column = 0
        elif tag == "f":
            self._formula = True
        elif tag == "rPh":
            self._aside = True

    def _text(self, text: str) -> None:
        if self._tag in ("v", "t") and not self._aside:
            self._pieces.add(text)

    def _end(self, tag: str) -> None:
        self._tag = ""
        if tag == "c":
            if len(self._cells) == COLUMNS:
                message = f"row {self._number} has more than {COLUMNS:,} cells"
                raise DamagedError(message)
            style, kind = self._attributes.get("s", ""), self._attributes.get("t", "")
            letters = letters_of(self._column - 1)
            self._cells.append((letters, style, kind, self._formula, self._pieces.take(), ""))
        elif tag == "row":
            self.rows.append((self._number, self._cells))
            self._cells = []
        elif tag == "rPh":
            self._aside = False


class _Columns(dict[str, int]):
    """The index of each column, from 0, by its letters."""

    def __missing__(self, letters: str) -> int:
        self[letters] = index = column_of(letters)
        return index


class _Values(dict[tuple[str, str], Callable[[str], Any]]):
    """What makes the value of a cell out of its text, by the kind and the number of the style of the cell."""

    def __init__(self, book: Package, sheet_format: SheetFormat) -> None:
        super().__init__()
        self._format = sheet_format
        self._texts = book.texts
        self._formats = book.formats
        self._since_1904 = book.since_1904

    def __missing__(self, key: tuple[str, str]) -> Callable[[str], Any]:
        kind, style = key
        if kind in ("", "n"):
            self[key] = made = self._number_reader(self.format(style))
            return made
        self[key] = made = {
            "s": lambda text: self._texts[int(text) if text[0] != "-" else len(self._texts)],
            "str": without_codes,
            "inlineStr": without_codes,
            "b": {"1": True, "true": True, "0": False, "false": False}.__getitem__,
            "d": _iso_moment,
            "e": self._error,
        }[kind]
        return made

    def format(self, style: str) -> str:
        """Return the number format of a style."""
        number = int(style or 0)
        return self._formats[number] if number < len(self._formats) else "General"

    def _error(self, text: str) -> None:
        """Return None for the error that stands for it; refuse others."""
        if text != self._format.null:
            message = (
                f"an error, {text}, and no value: mend it in Excel, or empty the cell; "
                f"{self._format.option('null', text)} takes it for an empty one"
            )
            raise _CellError(message)

    def _number_reader(self, code: str) -> Callable[[str], Any]:
        kind = _kind_of_time(code)
        if not kind:
            return _number
        known: dict[str, Any] = {}

        def read(text: str) -> Any:
            if text not in known:
                if len(known) == _MOMENTS:
                    known.clear()
                known[text] = _moment(_number(text), kind, since_1904=self._since_1904)
            return known[text]

        return read


def _number(text: str) -> int | float:
    number = float(text) if "." in text or "E" in text or "e" in text else int(text)
    if math.isinf(number):  # Excel has no number that is so large
        raise ValueError(text)
    return number


_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
"""What a number format shows as it is, and colours, conditions and languages in brackets."""


def _kind_of_time(code: str) -> Literal["", "date", "time", "datetime", "timedelta"]:
    """Return what a number format shows; nothing for one that shows a number or text.

    >>> [_kind_of_time(code) for code in ["0.00", "DD/MM/YYYY", "mmm yy", "h:mm", "[h]:mm", "d.m.yy hh:mm", '0 "days"']]
    ['', 'date', 'date', 'time', 'timedelta', 'datetime', '']
    """
    shown = _LITERAL.sub("", code.partition(";")[0]).lower().replace("general", "")
    if "[" in shown:
        return "timedelta"
    clock = "h" in shown or "s" in shown
    day = "d" in shown or "y" in shown or ("m" in shown and not clock)
    return "datetime" if day and clock else "date" if day else "time" if clock else ""


def _moment(days: float, kind: str, *, since_1904: bool) -> date | time | timedelta:
    """Return the date or time that is so many days from the epoch of a workbook, in whole milliseconds.

    Excel takes 1900 for a leap year, so that days before its March are off by one, and its 29 February is none. Less
    than a day is a time, except for the first date that is counted from 1904.

    Raises:
        ValueError: There is no such date.
    """
    try:
        span = timedelta(milliseconds=round(days * _DAY))
        if kind != "timedelta" and not since_1904 and span.days == _LEAP_DAY:
            raise ValueError(days)
        if kind == "timedelta":
            return span
        if 0 <= days < 1 and span.days == 0 and not (since_1904 and kind != "time"):
            return (_SINCE_1900 + span).time()
        moment = (_SINCE_1904 if since_1904 else _SINCE_1900) + span
        if not since_1904 and 0 < days < _LEAP_DAY:
            moment += timedelta(1)
    except (OverflowError, ValueError):
        message = f"the number {days}, which is no date, in the format of a date: change the number or the format"
        raise _CellError(message) from None
    return moment.date() if kind == "date" and moment.time() == time() else moment


def _iso_moment(text: str) -> date | time:
    """Return the date or time in ISO 8601 that a cell holds as such."""
    text = text.removesuffix("Z")
    if "T" not in text and ":" in text:
        return time.fromisoformat(text)
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


# Rows -----------------------------------------------------------------------------------------------------------------


@attrs.define
class _Row:
    """A row of a sheet.

    Args:
        number: As Excel counts.
        values: By the index of their column, from 0; those of empty cells are not there.
        faults: What is wrong with cells, by the index of their column.
        merged: The merged cells that it is part of, each with the value that they show.
    """

    number: int
    values: dict[int, Any]
    faults: dict[int, str]
    merged: Sequence[tuple[Area, Any]] = ()


def read_sheet(
    path: Path, title: str, sheet_format: SheetFormat, *, reject: Callable[[RowError], None] | None = None
) -> Records:
    """Return the table in a sheet, as a stream.

    Args:
        path: The workbook.
        title: The title of the sheet; the only sheet may have any.
        sheet_format: What of the sheet is read.
        reject: Called with the error for a row with a cell that cannot be read, which is left out; None raises it.

    Raises:
        MalformedFileError: The workbook or its header cannot be read.
        ColumnError: A column that is to be read is not there.
    """
    rows = SheetRows(path, title, sheet_format, reject)
    return Records(rows.header(), rows.chunks(), rows.where, value_format=sheet_format)


class SheetRows:
    """The table in one sheet, as a stream.

    Args:
        path: The workbook.
        title: The title of the sheet; the only sheet may have any.
        sheet_format: What of the sheet is read.
        reject: As for `read_sheet`.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        sheet_format: SheetFormat,
        reject: Callable[[RowError], None] | None = None,
    ) -> None:
        self._path = path
        self._title = title
        self._format = sheet_format
        self._reject = reject
        self._numbers: list[int] = []
        self._first = 0
        self._names: list[str] = []
        self._indexes: list[int] = []
        self._width = 0
        self._state: tuple[int, ...] = ()
        self._values: _Values | None = None
        self._columns = _Columns()
        self.formula = ""
        """The position of the first formula in the rows read so far; empty without any."""

    def where(self, index: int) -> str:
        """Return the position of a record; before it is read, the one that it has if no row is empty."""
        return self._where(self._numbers[index] if index < len(self._numbers) else self._first + 1 + index)

    def header(self) -> list[str]:
        """Read the names of the columns; an empty sheet has none.

        Raises:
            MalformedFileError: The sheet, or the name of a column, is not there, or a name is there twice.
            ColumnError: A column that is to be read is not there.
        """
        with translate_errors(self._path):
            self._state = file_state(self._path.stat())
        for row in self._rows():
            self._first = row.number
            self._set_names(row)
            return self._names
        if self._format.skip_rows:
            skip = self._format.option("skip_rows", self._format.skip_rows)
            message = f"nothing stands below the rows that {skip} skips"
            raise self._error(message, self._format.skip_rows + 1)
        return self._names

    def chunks(self) -> Iterator[Columns]:
        """Yield the records."""
        rows = self._rows()
        if self._format.header is True:
            next(rows, None)
        if self._format.footer:
            rows = self._without_last(rows, self._format.footer)
        width = len(self._indexes)
        size = max(1, min(_CHUNK, _CELLS // max(width, 1)))
        read = filled = 0
        while chunk := list(islice(rows, size)):
            bad: set[int] = set()
            for row in chunk:
                filled += len(row.values)
                if (row.faults or row.merged or max(row.values) >= self._width) and self._is_rejected(row):
                    bad.add(row.number)
            read += len(chunk) * width
            if read > _SPARSE and read > _TIMES * filled:
                message = f"nearly all cells of the {width:,} columns are empty: {self._unread()}"
                raise self._error(message, chunk[0].number)
            if bad:
                chunk = [row for row in chunk if row.number not in bad]
                if not chunk:
                    continue
            self._numbers += [row.number for row in chunk]
            columns = zip(*(map(row.values.get, self._indexes) for row in chunk), strict=True)
            yield [with_none(values, self._format.null) for values in columns]

    def _without_last(self, rows: Iterator[_Row], count: int) -> Iterator[_Row]:
        """Yield all rows but the last ones."""
        last: deque[_Row] = deque()
        number = self._first
        for row in rows:
            number = row.number
            last.append(row)
            if len(last) > count:
                yield last.popleft()
        if len(last) < count:
            raise self._error(self._format.too_few(len(last)), number)

    def _is_rejected(self, row: _Row) -> bool:
        """Say whether a record was refused, and told to be left out."""
        try:
            self._check(row)
        except MalformedFileError as error:
            in_header = self._format.header is True and any(area.top <= self._first for area, _ in row.merged)
            if self._reject is None or in_header:
                raise
            values = [row.values.get(index) for index in self._indexes]
            self._reject(RowError(error.message, where=error.where, row=values))
            return True
        return False

    def _check(self, row: _Row) -> None:
        """Refuse a record with a fault, a value without a column, or cells whose value stands in others."""
        for index in self._indexes if row.faults else ():
            if index in row.faults:
                raise self._error(row.faults[index], row.number, index)
        for area, _ in row.merged:
            in_header = self._format.header is True and area.top <= self._first
            if (in_header or self._format.merged == "refuse") and any(map(area.covers, self._indexes)):
                raise self._error(self._advice_on(area, in_header=in_header), row.number)
        if behind := [index for index, value in row.values.items() if index >= self._width and value not in (None, "")]:
            message = (
                f"a value stands behind the last of the {self._width} columns: give its column a name, or "
                f"{self._unread()}"
            )
            if self._format.header is True and not self._numbers:
                skip = self._format.option("skip_rows", self._first)
                message += f"; if row {self._first} stands above the header, {skip} skips it"
            raise self._error(message, row.number, behind[0])

    def _advice_on(self, area: Area, *, in_header: bool) -> str:
        fill = self._format.option("merged", "fill")
        if in_header:
            row = min(area.bottom, ROWS)
            return (
                f"cells {area} of the header are merged with what is below: unmerge them, or let "
                f"{self._format.option('skip_rows', row - 1)} and {fill} take row {row} as the header"
            )
        return (
            f"cells {area} are merged, and only the first has their value: unmerge them, or let {fill} give it to each"
        )

    def _unread(self) -> str:
        return f"let {self._format.wanted(self._names)} leave others unread"

    def _set_names(self, row: _Row) -> None:
        """Take the names of the columns from the first row, or from the options; choose those that are read."""
        form = self._format
        if isinstance(form.header, bool):
            found = [index for index, value in row.values.items() if value not in (None, "")]
            self._width = max(found, default=-1) + 1
            cells = [row.values.get(index) for index in range(self._width)]
            if not form.header:
                cells = [f"column_{column}" for column in range(1, self._width + 1)]
        else:
            cells = list(form.header)
            self._width = len(cells)
        names = [name if isinstance(name, str) else "" for name in cells]
        if isinstance(form.columns, Sequence):
            self._width = COLUMNS
        faults = {
            index: f"a {type(value).__name__} for a name"
            for index, value in enumerate(cells)
            if not (value is None or isinstance(value, str))
        }
        where, error = self._where(row.number), partial(self._error, number=row.number)
        self._indexes, self._names = form.chosen(names, row.number, error, faults | row.faults, where)

    def _rows(self) -> Iterator[_Row]:
        """Yield each row below those that are skipped, but for empty ones."""
        skipped = self._format.skip_rows
        with package(self._path) as book:
            if file_state(self._path.stat()) != self._state:
                message = "the workbook changed while it was read: read it again"
                raise MalformedFileError(message, where=os.fspath(self._path))
            part = self._part(book)
            if self._values is None:
                self._values = _Values(book, self._format)
            values = self._values
            areas = deque(area for area in book.merged(part) if area.bottom > skipped)
            top = areas[0].top if areas and self._format.merged == "fill" else ROWS
            merged: list[tuple[Area, Any]] = []
            last = 0
            for number, cells in self._numbered_rows(book, part):
                if number <= skipped and number < top:
                    continue
                row = self._row(number, cells, values)
                if not row.values and not row.faults:
                    continue
                if number > last or (areas and areas[0].top <= number):
                    merged = [(area, value) for area, value in merged if area.bottom >= number]
                    while areas and areas[0].top <= number:
                        area = areas.popleft()
                        if area.bottom >= number:
                            merged.append((area, row.values.get(area.left) if area.top == number else None))
                    if len(merged) > COLUMNS:
                        message = f"more than {COLUMNS:,} groups of merged cells meet in row {number}"
                        raise DamagedError(message)
                    last = min((area.bottom for area, _ in merged), default=ROWS)
                row.merged = merged
                if merged and self._format.merged == "fill":
                    self._fill(row)
                if number > skipped:
                    yield row

    def _fill(self, row: _Row) -> None:
        """Give cells the value that they show together."""
        for area, value in row.merged:
            if value is not None:
                columns = self._indexes or range(area.left, area.right + 1)
                row.values.update((index, value) for index in columns if area.covers(index))

    def _numbered_rows(self, book: Package, part: str) -> Iterator[tuple[int, list[_Cell]]]:
        """Yield the cells of each row, with its number."""
        sheet = _Sheet()
        last = 0
        with book.open(part) as file:
            for _ in segments(file, b"</row>", sheet.plain, sheet.parser):
                for number, cells in sheet.rows:
                    if not last < number <= ROWS:
                        message = f"row {number} stands behind row {last}, and a sheet has {ROWS:,} rows"
                        raise DamagedError(message)
                    last = number
                    yield number, cells
                sheet.rows.clear()

    def _row(self, number: int, cells: Sequence[_Cell], readers: _Values) -> _Row:
        """Return the values of a row."""
        values: dict[int, Any] = {}
        faults: dict[int, str] = {}
        for letters, style, kind, formula, value, inline in cells:
            index = self._columns[letters]
            text = value or inline
            if formula and not self.formula:
                self.formula = self._where(number, index)
            try:
                if index in values:
                    faults[index] = f"{text!r}, and another value before it: enter it anew in Excel"
                elif text:
                    values[index] = readers[kind, style](text)
                elif formula and kind != "str":
                    faults[index] = "a formula whose result was not saved: open the workbook in Excel, and save it"
                elif formula or kind == "inlineStr" or readers.format(style) == EMPTY_TEXT:
                    values[index] = ""
            except _CellError as error:
                faults[index] = str(error)
            except (ValueError, LookupError):
                faults[index] = f"{text!r}, which is no value of a cell of its type: enter it anew in Excel"
        if self._format.blank_rows == "skip" and not any(
            value.strip() if isinstance(value, str) else True for value in values.values()
        ):
            values.clear()
        return _Row(number, values, faults)

    def _part(self, book: Package) -> str:
        """Return the part of the sheet of the table: the one of its title, or the only one."""
        if self._title not in book.sheets:
            if len(book.sheets) != 1:
                sheets = ", ".join(map(repr, book.sheets)) or "none"
                fault = f"no sheet is called {self._title!r}" if self._title else "say which of its sheets is read"
                raise MalformedFileError(f"{fault}: there are {sheets}", where=os.fspath(self._path))
            (self._title,) = book.sheets
        return book.sheets[self._title]

    def _error(self, message: str, number: int, index: int | None = None) -> MalformedFileError:
        return MalformedFileError(message, where=self._where(number, index), line=number)

    def _where(self, number: int, index: int | None = None) -> str:
        cell = "" if index is None else f", cell {letters_of(index)}{number}"
        return f"{self._path}, sheet {self._title!r}, row {number}{cell}"
