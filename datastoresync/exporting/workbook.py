"""Rows as an Excel workbook. Needs openpyxl, so it is imported when one is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font
from openpyxl.styles.colors import Color
from openpyxl.utils import get_column_letter

from datastoresync.conversion.cells import LONGEST_TEXT, ROWS, cell_value, escape, make_cell
from datastoresync.errors import SyncerError
from datastoresync.exporting.export import Export
from datastoresync.exporting.texts import text_of
from datastoresync.printing.changes import changed_words

_TITLE = "Sheet1"
_CUT = LONGEST_TEXT - 100
"""Units of UTF-16 that are kept of a text that is too long."""
_WIDTH = 24
"""Of a column, in characters."""
_FONTS = {
    "cut": InlineFont(strike=True, color=Color("FFB3151F")),
    "put": InlineFont(u="single", color=Color("FF116329")),
}
"""Of the words that changed."""


def save(export: Export, file: IO[bytes]) -> None:
    """Write a workbook of one sheet to a file.

    Raises:
        SyncerError: there are more rows than a sheet has, or a text holds half of a surrogate pair.
    """
    book = openpyxl.Workbook(write_only=True)
    book.properties.title = export.title
    sheet = book.create_sheet(_TITLE)
    sheet.freeze_panes = "A2"
    marked = (
        () if export.typed else tuple(export.columns.index(name) for name in ("old", "new") if name in export.columns)
    )
    last = get_column_letter(len(export.columns))
    for index in range(1, len(export.columns) + 1):
        sheet.column_dimensions[get_column_letter(index)].width = _WIDTH
    with _removing(sheet):
        sheet.append([_heading(sheet, name) for name in export.columns])
        number = 1
        for number, row in enumerate(export.rows(), 2):
            if number > ROWS:
                message = f"a sheet holds {ROWS - 1:,} rows, and there are more: write CSV, or a part of them"
                raise SyncerError(message)
            sheet.append(_cells(sheet, row, marked))
        sheet.auto_filter.ref = f"A1:{last}{number}"
        book.save(file)


@contextmanager
def _removing(sheet: Any) -> Iterator[None]:
    """Remove the temporary file of a sheet that is not finished, which openpyxl would leave until the process ends."""
    try:
        yield
    except BaseException:
        writer = sheet._writer  # noqa: SLF001 - openpyxl tells nobody else where it is
        if writer is not None and not sheet.closed:
            sheet.close()
            Path(writer.out).unlink(missing_ok=True)
        raise


def _heading(sheet: Any, name: str) -> Any:
    cell = make_cell(partial(WriteOnlyCell, sheet), cell_value(name))
    cell.font = Font(bold=True)
    return cell


def _cells(sheet: Any, row: Sequence[Any], marked: Sequence[int]) -> list[Any]:
    """Return the cells of a row; in an old and a new text, at the two places marked, the changed words stand out."""
    cell_of = partial(WriteOnlyCell, sheet)
    values = list(map(_value, row))
    texts = [values[index] for index in marked if type(row[index]) is str]
    words = changed_words(*texts) if len(texts) == 2 else []
    for index, (kind, font) in zip(marked, _FONTS.items(), strict=False) if words else ():
        parts = ((escape(text), which) for text, which in words if which in ("", kind))
        values[index] = CellRichText(*(TextBlock(font, text) if which else text for text, which in parts))
    return [make_cell(cell_of, value) for value in values]


def _value(value: Any) -> Any:
    """Return what a cell holds of a value: its text, if the value itself cannot be there, cut if it is too long."""
    try:
        return cell_value(value)
    except SyncerError:
        text = text_of(value) or ""
    try:
        return cell_value(text)
    except SyncerError:
        units = text.encode("utf-16-le", "surrogatepass")
        if len(units) <= 2 * _CUT:
            raise
        kept = units[: 2 * _CUT].decode("utf-16-le", "ignore")
        return cell_value(f"{kept}… and {len(text) - len(kept):,} more characters")
