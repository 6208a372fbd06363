"""Columns of values as the lines that PostgreSQL's COPY takes: several times quicker than to hand it row by row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

_ROWS = 8192
"""Rows that are sent at a time."""
_NULL = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def lines_of(
    types: Sequence[Collection[type]], values: Sequence[Sequence[Any]], numbers: Sequence[int]
) -> Iterator[str] | None:
    """Return blocks of lines, each of the number of a row and its values; None if there is no such form.

    Args:
        types: The types of the values of each column.
        values: The values of each column, of all rows.
        numbers: The rows that are wanted.
    """
    forms = [_FORMS.get(frozenset(own) - {type(None)}) for own in types]
    written = [form for form in forms if form is not None]
    return _blocks(written, values, numbers) if len(written) == len(forms) else None


def _blocks(
    forms: Sequence[Callable[[Sequence[Any]], Sequence[str]]], values: Sequence[Sequence[Any]], numbers: Sequence[int]
) -> Iterator[str]:
    for start in range(0, len(numbers), _ROWS):
        block = numbers[start : start + _ROWS]
        in_a_row = block[-1] - block[0] + 1 == len(block)
        texts = [
            form(column[block[0] : block[-1] + 1] if in_a_row else [column[number] for number in block])
            for form, column in zip(forms, values, strict=True)
        ]
        yield "\n".join(map("\t".join, zip(map(str, block), *texts, strict=True))) + "\n"


def _texts(values: Sequence[Any]) -> Sequence[str]:
    try:
        together, missing = "".join(values), False
    except TypeError:  # some are None, which it is slow to look for
        together, missing = "".join(filter(None, values)), True
    if "\\" in together or "\t" in together or "\n" in together or "\r" in together:
        return [_NULL if value is None else value.translate(_ESCAPES) for value in values]
    return [_NULL if value is None else value for value in values] if missing else values


def _truths(values: Sequence[Any]) -> Sequence[str]:
    return [_NULL if value is None else "t" if value else "f" for value in values]


def _others(values: Sequence[Any]) -> Sequence[str]:
    if None in values:
        return [_NULL if value is None else str(value) for value in values]
    return list(map(str, values))


_FORMS: Final[Mapping[frozenset[type], Callable[[Sequence[Any]], Sequence[str]]]] = MappingProxyType(
    {
        frozenset({str}): _texts,
        frozenset({bool}): _truths,
        frozenset({int}): _others,
        frozenset({date}): _others,
        frozenset({UUID}): _others,
    }
)
"""How values of these types are written, so that the database reads just them, however it is set."""
