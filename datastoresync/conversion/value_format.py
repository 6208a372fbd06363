"""How a store writes numbers, dates and truth as text, where that is not the usual way; and how options are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal
from urllib.parse import quote

import attrs

from datastoresync.conversion.converters import Converter, declared_scalar
from datastoresync.conversion.scalars import refused
from datastoresync.errors import DeclarationError

Spelling = Literal["python", "url", "toml", "option", "old", "new"]
"""Where options are given: as keywords, behind the question mark of a URL, in a file of TOML, or on the command line,
for both stores, the old or the new one.
"""
_NUMBERS = ("int", "float", "Decimal")
_DATES = ("date", "datetime")


@attrs.frozen(eq=False, repr=False)
class FromText:
    """Stands in an ``Annotated`` type: how its value is told as text, in a URL or on the command line."""

    convert: Callable[[str], Any]


def _words(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return given if given is None else (given,) if isinstance(given, str) else tuple(given)


_Words = Annotated[str | Sequence[str] | None, FromText(lambda text: text.split(","))]
_Formats = Annotated[str | Sequence[str] | None, FromText(lambda text: text.split("|"))]


def _check_dates(_: Any, attribute: attrs.Attribute[Any], value: tuple[str, ...] | None) -> None:
    for form in value or ():
        try:
            written = datetime(2001, 2, 3, tzinfo=UTC).strftime(form)
            # Without a day, a month or a year, strptime makes one up.
            known = datetime.strptime(written, form).date() == date(2001, 2, 3)  # noqa: DTZ007 - only what is read
        except ValueError:
            known = False
        if not known:
            message = (
                f"{attribute.name} are written like %d.%m.%Y, with day, month and year, and %H:%M:%S for times "
                f"(got {form!r})"
            )
            raise DeclarationError(message)


def option_field(*, default: Any, text: str, choices: Sequence[Any] = (), **field: Any) -> Any:
    """Return the field of an option.

    Args:
        default: Its usual value.
        text: Its help on the command line.
        choices: The values that it can have; none if others say that.
        field: What else `attrs.field` takes.
    """

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in choices:
            message = f"{attribute.name} is {' or '.join(map(repr, filter(None, choices)))} (got {value!r})"
            raise DeclarationError(message)

    if choices:
        field["validator"] = check
    return attrs.field(default=default, metadata={"help": text}, **field)


@attrs.define(kw_only=True, slots=False, eq=False, repr=False, on_setattr=attrs.setters.frozen)
class ValueFormat:
    """How texts of a store stand for numbers, dates and truth. It matters where such a type is declared alone.

    Args:
        decimal: The mark before the decimals, ``","`` or ``"."``; then whole numbers may have decimals that are zeros.
        dates: The form of dates and times, as `datetime.strptime` has it, or several that are tried in turn.
        true: The words for true, in exactly this case; ``false`` must be given, too.
        false: The words for false.

    Raises:
        DeclarationError: One of ``true`` and ``false`` is given alone, a word is in both, the decimal mark is another,
            or ``dates`` is no form of a whole date.
    """

    decimal: Literal[",", "."] | None = option_field(
        default=None, text="the mark before the decimals of numbers: , or .", choices=(None, ",", ".")
    )
    dates: _Formats = option_field(
        default=None,
        text="the form of dates and times, such as %%d.%%m.%%Y; several with | between",
        converter=_words,
        validator=_check_dates,
    )
    true: _Words = option_field(default=None, text="the words for true, with commas between them", converter=_words)
    false: _Words = option_field(default=None, text="the words for false, with commas between them", converter=_words)
    spelling: Spelling = attrs.field(default="python", repr=False)

    def __attrs_post_init__(self) -> None:
        if (self.true is None) != (self.false is None):
            raise DeclarationError("true and false are given together: the words for each, an empty text among them")
        if both := set(self.true or ()).intersection(self.false or ()):
            message = f"true and false have no words in common (got {min(both)!r} in both)"
            raise DeclarationError(message)

    @property
    def changes_values(self) -> bool:
        """Whether any text is to be read in another way than the usual one."""
        return bool(self.decimal or self.dates or self.true is not None)

    def applied(self, converter: Converter) -> Converter:
        """Return a converter that takes texts as they are written here."""
        kind = declared_scalar(converter)
        if not (
            (kind in _NUMBERS and self.decimal)
            or (kind in _DATES and self.dates)
            or (kind == "bool" and self.true is not None)
        ):
            return converter

        def column(values: Sequence[Any]) -> Sequence[Any]:
            usual = {value: self._usual(kind, value) for value in {value for value in values if type(value) is str}}
            return converter.column([usual[value] if type(value) is str else value for value in values])

        return attrs.evolve(
            converter,
            one=lambda value: converter.one(self._usual(kind, value) if type(value) is str else value),
            column=column,
        )

    def _usual(self, kind: str, text: str) -> str:
        """Return the text that stands for the same value everywhere.

        Raises:
            ValueError: The text is not written as it should be.
        """
        if kind == "bool":
            if text in (self.true or ()) or text in (self.false or ()):
                return "true" if text in (self.true or ()) else "false"
            if not text:
                return text
            message = f"{text!r} is neither {self.option('true', self.true)} nor {self.option('false', self.false)}"
            raise ValueError(message)
        if not text:
            return text
        if kind in _DATES:
            return self._usual_date(kind, text)
        mark = re.escape(self.decimal or ".")
        match = re.fullmatch(rf"([+-]?\d+)(?:{mark}(\d+))?([eE][+-]?\d+)?", text, re.ASCII)
        if match is None:
            if kind == "float" and text.lower() in ("nan", "inf", "-inf"):
                return text
            message = (
                f"{text!r} is no number as {self.option('decimal', self.decimal)} has it: it may have no other marks"
            )
            raise ValueError(message)
        whole, decimals, exponent = match.groups(default="")
        return whole + (f".{decimals}" if decimals.strip("0") or (decimals and kind != "int") else "") + exponent

    def _usual_date(self, kind: str, text: str) -> str:
        no_day = False
        for form in self.dates or ():
            try:
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - its form says whether it has a zone
            except ValueError as error:
                no_day = no_day or "range" in str(error)  # it has the form, and a 31 February
                continue
            if kind == "datetime":
                return moment.isoformat()
            if moment.time() == time():
                return moment.date().isoformat()
        if no_day:
            raise refused(text, f"a {kind}", "there is no such day")
        message = f"{text!r} is not written as {self.option('dates', self.dates)} has it"
        raise ValueError(message)

    def option(self, name: str, value: Any) -> str:
        """Return an option with a value as it is written in the place where options are given.

        >>> ValueFormat().option("decimal", ","), ValueFormat(spelling="option").option("true", ("ja", "j"))
        ("decimal=','", '--true ja,j')
        """
        if self.spelling == "python":
            plain = value[0] if name in ("dates", "true", "false") and len(value) == 1 else value
            return f"{name}={plain!r}"
        if self.spelling == "toml":
            return f"options = {{ {name} = {json.dumps(value, ensure_ascii=False)} }}"
        between = "|" if name == "dates" else ","
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else ""
        text = text or (
            str(value)
            if isinstance(value, int)
            else between.join(one if isinstance(one, str) else "=".join(one) for one in value)
        )
        if self.spelling == "url":
            return f"?{name}={_quoted(text)}"
        import shlex  # only a message of the command line needs it

        which = "" if self.spelling == "option" else f"{self.spelling}-"
        return f"--{which}{name.replace('_', '-')} {shlex.quote({chr(9): 'tab'}.get(text, text))}"

    def advice(self, converter: Converter, text: Any) -> str:
        """Return the option that may read a text which a declared type refuses; nothing if there is none."""
        kind = declared_scalar(converter)
        if not isinstance(text, str) or not text:
            return ""
        if kind in _NUMBERS and self.decimal is None and (mark := re.fullmatch(r"[+-]?\d+([.,])\d+", text, re.ASCII)):
            zeros = not text.rpartition(mark[1])[2].strip("0")
            if zeros or (kind != "int" and mark[1] == ","):
                return f"; if {mark[1]!r} is the decimal mark, {self.option('decimal', mark[1])} reads it"
        usual = re.match(r"\d{4}-\d\d-\d\d", text)  # only there is no such day
        if kind in _DATES and not self.dates and not usual and re.search(r"\d", text):
            return f"; {self.option('dates', ('%d.%m.%Y',))}, say, tells in which form they are written"
        if kind == "bool" and self.true is None:
            return f"; {self.option('true', ('…',))} and {self.option('false', ('…',))} tell the words"
        return ""


def _quoted(text: str) -> str:
    """Return the value of an option as a URL has it."""
    return {"\t": "tab"}.get(text, quote(text, safe=",:."))
