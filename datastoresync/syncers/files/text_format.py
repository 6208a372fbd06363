"""The options of tables in files: what of a file is read, and how it is written. Each is listed here and nowhere else.

Importers, syncers, the options of URLs and those of the command line are made of these classes.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_type_hints

import attrs

from datastoresync.conversion.value_format import FromText, Spelling, ValueFormat, option_field
from datastoresync.errors import DeclarationError
from datastoresync.printing.text import counted
from datastoresync.syncers.files.text_encoding import codec
from datastoresync.syncers.records import choose_columns

_DELIMITERS: Mapping[str, str] = {"tab": "\t", "\\t": "\t"}
"""Delimiters that are hard to write in a URL or a shell."""
_SHOWN = 12
"""Columns that an advice names, at most."""


def _columns_told(text: str) -> dict[str, str] | list[Any]:
    """Return what ``columns`` is for a text: ``id,name`` are those to read, ``idnumber=id`` renames one."""
    parts = [item.partition("=") for item in text.split(",")]
    if all(equals for _, equals, _ in parts):
        return {new.strip(): name.strip() for new, _, name in parts}
    return [(new.strip(), name.strip()) if equals else new.strip() for new, equals, name in parts]


def _delimiter(text: str) -> str:
    return _DELIMITERS.get(text, text)


def _own_columns(columns: Any) -> Any:
    return tuple(columns) if isinstance(columns, Sequence) and not isinstance(columns, str) else columns


def _own_header(header: Any) -> Any:
    if isinstance(header, bool):
        return header
    if isinstance(header, str) or not header or not all(isinstance(name, str) for name in header):
        message = f"header is True, False, or the names of all columns, '' for one to leave unread (got {header!r})"
        raise DeclarationError(message)
    return tuple(header)


def count(_: Any, attribute: attrs.Attribute[int], value: Any) -> None:
    """Check that an option is a number of lines or rows.

    Raises:
        DeclarationError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{attribute.name} is a number, 0 or more (got {value!r})"
        raise DeclarationError(message)


@attrs.define(kw_only=True, slots=False, eq=False, repr=False, on_setattr=attrs.setters.frozen)
class TableFormat(ValueFormat):
    """What of a table in a file is read.

    Args:
        header: Whether the first row has the names of the columns. Without one, they are column_1, column_2, …, or as
            the names that are given here say; a column that is called ``""`` is left unread.
        columns: The columns to read, each as its name or as ``(attribute, name)``; others are left unread, whatever
            they are called. Or a mapping from attributes to columns with other names; then all others are read, too.
        footer: The number of last rows that are left unread.
        blank_rows: ``"skip"`` leaves rows without any value unread. ``"refuse"`` takes them as rows, and a branch
            refuses them, as they have no idnumber.
        null: The text that stands for None.

    Raises:
        DeclarationError: An option has a value that it cannot have.
    """

    _skipping: ClassVar[str] = "skip_lines"
    """The option that skips what stands above the header."""
    _written: ClassVar[tuple[str, ...]] = ()
    """The options under which everything is read as it is written."""
    header: bool | Sequence[str] = option_field(
        default=True, text="false without a header; or the names of all columns, as in id,name", converter=_own_header
    )
    columns: Annotated[Mapping[str, str] | Sequence[str | tuple[str, str]] | None, FromText(_columns_told)] = (
        option_field(
            default=None,
            text="the columns to read, as in id,name; or attribute=column,… for new names",
            converter=_own_columns,
        )
    )
    footer: int = option_field(default=0, text="the number of last rows that are left unread", validator=count)
    blank_rows: Literal["skip", "refuse"] = option_field(
        default="refuse", text="skip: leave rows without any value unread", choices=("skip", "refuse")
    )
    null: str | None = option_field(default=None, text="the text that stands for no value")

    @property
    def leaves_out(self) -> dict[str, Any]:
        """The options under which something of a file is not read as it would be written; it cannot be rewritten."""
        given = {name: getattr(self, name) for name in options_of(type(self)) if name not in self._written}
        return {name: value for name, value in given.items() if value != options_of(type(self))[name]}

    def told(self, spelling: Spelling) -> Self:
        """Return the same options, of which messages speak as they are written somewhere else."""
        return attrs.evolve(self, spelling=spelling)

    def too_few(self, rows: int) -> str:
        """Say that there are fewer rows than are left unread at the end."""
        return f"the table has {counted(rows, 'row')}, and {self.option('footer', self.footer)}: it may be cut off"

    @property
    def header_advice(self) -> str:
        """What may be done about a header that lacks a column."""
        own = self.option("header", ("…", "…"))
        if self.header is not True:
            return f"; {own} names them"
        return f"; if they are no header, {self.skip(1)}, say, skips lines above it, and {own} names them"

    def skip(self, above: int) -> str:
        """Return the option that skips what stands above the header."""
        return self.option(self._skipping, above)

    def chosen(
        self,
        names: Sequence[str],
        line: int,
        error: Callable[[str], Exception],
        faults: Mapping[int, str],
        where: str,
    ) -> tuple[list[int], list[str]]:
        """Return the indexes of the columns to read, and their names in the records.

        Args:
            names: The names of all columns, blank for those without one.
            line: The line or row of the header.
            error: Makes the error of a message.
            faults: What a column without a name has in its place, by index.
            where: The position of the header.

        Raises:
            MalformedFileError: A column that may be read has no name, or that of another.
            ColumnError: A column that is to be read is not there.
        """
        if isinstance(self.columns, Sequence):
            wanted = {column if isinstance(column, str) else column[1] for column in self.columns}
        else:
            wanted = {name for name in names if name or isinstance(self.header, bool)}
        first: dict[str, int] = {}
        for column, name in enumerate(names, 1):
            if name not in wanted:
                continue
            if not name.strip():
                fault = faults.get(column - 1, "no name")
                message = f"column {column} of the header has {fault}: give it a text"
            elif first.setdefault(name, column) != column:
                message = f"columns {first[name]} and {column} of the header are both {name!r}: rename one"
            else:
                continue
            message += f", or let {self.wanted(names)} leave others unread"
            if self.header is True:
                message += f"; if the header stands further down, {self.option(self._skipping, line)} skips this"
            raise error(message)
        named = [index for index, name in enumerate(names) if name.strip()]
        indexes, renamed = choose_columns([names[index] for index in named], self.columns, where=where)
        return [named[index] for index in indexes], renamed

    def wanted(self, names: Sequence[str]) -> str:
        """Return the option that reads those columns alone whose names are there, and there once."""
        counts = Counter(names)
        good = [name for name in names if name.strip() and counts[name] == 1][:_SHOWN]
        return self.option("columns", tuple(good)) if good else self.option("header", ("…", "…"))


@attrs.define(kw_only=True, slots=False, eq=False, repr=False, on_setattr=attrs.setters.frozen)
class TextFormat(TableFormat):
    r"""How a CSV or TSV file is written, and what of it is read.

    Args:
        delimiter: What separates the columns: one character, ``tab`` or ``\t``.
        encoding: What the file is written in; a byte order mark is read through.
        check_encoding: Whether a file is refused that is to be read in an encoding of one byte a character, such as
            cp1252, and looks like UTF-8: read so, ``Jörg`` would silently be ``JÃ¶rg``.
        skip_lines: The number of lines above the header, such as a title or ``sep=;``.
        trailing_delimiter: Whether each row ends in a delimiter, behind which there is no column.
        final_newline: Whether the last line ends in a newline, as lines do: one that does not may be cut off, and is
            refused. False for files that never end so.
        formulas: ``"escape"`` removes the apostrophe in front of what a spreadsheet would compute, as `CSVSyncer` and
            others write it there: ``'=1+1``, ``'+44 20``. Other apostrophes, and with ``"keep"`` all, are part of the
            value.
    """

    _written: ClassVar[tuple[str, ...]] = ("delimiter", "encoding", "check_encoding", "formulas", "final_newline")
    delimiter: str = option_field(
        default=",",
        text="what separates the columns: one character, or tab",
        converter=_delimiter,
    )
    encoding: str = option_field(default="utf-8", text="the encoding, such as cp1252 or utf-16")
    check_encoding: bool = option_field(default=True, text="false: a file that looks like UTF-8 is in that encoding")
    skip_lines: int = option_field(default=0, text="the number of lines above the header", validator=count)
    trailing_delimiter: bool = option_field(
        default=False, text="true: each row ends in a delimiter, with no column behind"
    )
    final_newline: bool = option_field(default=True, text="false: the last line never ends in a newline")
    formulas: Literal["escape", "keep"] = option_field(
        default="escape",
        text="keep: an apostrophe in front of a formula is part of the value",
        choices=("escape", "keep"),
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            message = f"a delimiter is one character, and neither a quote nor a newline (got {self.delimiter!r})"
            raise DeclarationError(message)
        codec(self.encoding)

    @property
    def plain_rows(self) -> bool:
        """Whether every row is taken as it is."""
        return not (self.footer or self.trailing_delimiter or self.blank_rows == "skip")


def options_of(cls: type[ValueFormat]) -> dict[str, Any]:
    """Return the options that a class lists, each with its usual value."""
    return {field.name: field.default for field in attrs.fields(cls) if "help" in field.metadata}


def parameters(cls: type[ValueFormat], *leading: inspect.Parameter, without: Sequence[str] = ()) -> inspect.Signature:
    """Return the signature of what takes the options of a class by name, behind parameters of its own."""
    hints = get_type_hints(cls, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=usual, annotation=hints[name])
        for name, usual in options_of(cls).items()
        if name not in without
    ]
    return inspect.Signature([*leading, *options])


def format_of(cls: type[ValueFormat], source: Any) -> Any:
    """Return the options that an object has as attributes, such as an importer."""
    return cls(**{name: getattr(source, name) for name in (*options_of(cls), "spelling")})


# Messages about files, with the option that reads them ---------------------------------------------------------------


def width_fault(form: TextFormat, row: Sequence[str], width: int, *, header_line: int, below: int) -> str:
    """Return what is wrong with a row that is too short or too long.

    Args:
        form: How the file is read.
        row: The row.
        width: How many columns there are.
        header_line: The line of the header, if no row stands between; 0 otherwise.
        below: How many rows there are from this one on, itself included, if all may stand below the table; else 0.
    """
    expected = width + form.trailing_delimiter
    reason = "it may be cut off" if len(row) < expected else f"quote a value that holds {form.delimiter!r}"
    if expected == 1 and (other := next((one for one in ";\t|" if any(one in value for value in row)), "")):
        reason = f"it looks as if {other!r} separates the columns: {form.option('delimiter', other)}"
    if form.trailing_delimiter:
        reason += f"; {form.option('trailing_delimiter', value=True)} takes an empty one at the end of each row"
    elif len(row) == width + 1 and not row[-1]:
        reason += (
            f"; if each row ends in {form.delimiter!r}, {form.option('trailing_delimiter', value=True)} reads them"
        )
    elif not "".join(row).strip():
        reason += f"; {form.option('blank_rows', 'skip')} leaves blank rows unread"
    elif form.header is True and header_line and len(row) > width:
        reason += f"; if line {header_line} stands above the header, {form.option('skip_lines', header_line)} skips it"
    elif len(row) < width and below:
        reason += f"; if it stands below the table, {form.option('footer', below + form.footer)} leaves it unread"
    return f"the row has {len(row)} {'value' if len(row) == 1 else 'values'}, the header {expected}: {reason}"
