"""The options of tables in workbooks: what of a sheet is read; and the titles that sheets can have."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from datastoresync.conversion.value_format import option_field
from datastoresync.syncers.files.text_format import TableFormat, count

_LONGEST_TITLE = 31


@attrs.define(kw_only=True, slots=False, eq=False, on_setattr=attrs.setters.frozen)
class SheetFormat(TableFormat):
    """What of a sheet is read.

    Args:
        skip_rows: The number of rows of the sheet above the header, empty ones included.
        merged: ``"fill"`` gives each of several merged cells the value that they show together. ``"refuse"`` refuses
            them, as all but the first of them are empty.

    Raises:
        DeclarationError: An option has a value that it cannot have.
    """

    _skipping: ClassVar[str] = "skip_rows"
    skip_rows: int = option_field(default=0, text="the number of rows of a sheet above the header", validator=count)
    merged: Literal["refuse", "fill"] = option_field(
        default="refuse",
        text="fill: each of several merged cells has the value that they show",
        choices=("refuse", "fill"),
    )


def title_of(identifier: str) -> str:
    """Return the title of the sheet of a table with a workbook of its own."""
    return "Sheet1" if title_fault(identifier) else identifier


def title_fault(identifier: str) -> str:
    """Return the reason that the name of a table cannot be that of a sheet; empty if it can."""
    if not isinstance(identifier, str):
        return f"it is {type(identifier).__name__}, and names are str"
    if not identifier.strip():
        return "it is empty"
    if len(identifier.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST_TITLE:
        return f"it has more than {_LONGEST_TITLE} characters"
    if refused := sorted(set("[]:*?/\\") & set(identifier)):
        return f"it holds {' '.join(refused)}"
    if identifier.startswith("'") or identifier.endswith("'"):
        return "it begins or ends with an apostrophe"
    if any(not character.isprintable() for character in identifier):
        return "it holds a character that cannot be printed"
    return "Excel keeps this name for itself" if identifier.casefold() == "history" else ""
