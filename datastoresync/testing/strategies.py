"""Hypothesis strategies for records, and the comparison of lists of records, types included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from hypothesis import strategies as st

# fmt: off
NASTY_TEXTS: Final = (
    "", " ", " a ", "a\tb", "a\nb", "a\r\nb", "\r", 'a,"b"\n|\tc', "'", "''", '"', "\\", "\\N", "%s", ":x",
    "a; drop table t;--", "00123", "-1", "+1", "1e5", "9007199254740993", "1.10", "NA", "NULL", "null", "None",
    "nan", "true", "TRUE", "2024-01-02", "=cmd()", "'=cmd()", "@x", "-x", "[red]", "名前", "é", "e\u0301", "\ufeff",
    "\u2028", "\x85", "👩\u200d🚀", "\u202eabc",
)
# fmt: on
"""Texts that some store has misread."""


def texts() -> st.SearchStrategy[str]:
    """Return a strategy for any text that Unicode can write down, with including `NASTY_TEXTS`.

    There is no NUL in it, nor half of a surrogate pair, which few stores can keep.
    """
    return st.sampled_from(NASTY_TEXTS) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


PLAIN_KINDS: Final[Mapping[str, st.SearchStrategy[Any]]] = MappingProxyType(
    {
        "text": texts(),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
    }
)
"""The kinds of values that records have in any case, as JSON has them. A column is of one kind, or None."""

RICH_KINDS: Final[Mapping[str, st.SearchStrategy[Any]]] = MappingProxyType(
    {
        **PLAIN_KINDS,
        "date": st.dates(),
        "moment": st.datetimes(),
        "instant": st.datetimes(timezones=st.just(UTC)),
        "time": st.times(),
        "decimal": st.decimals(-(10**9), 10**9, places=5),
        "binary": st.binary(max_size=12),
        "uuid": st.uuids(),
    }
)
"""The kinds of values that many stores keep, or refuse, and must not lose."""

_COLUMNS: Final = ("a", "Name", "with space", "名前", "select", "it's", 'quo"te', "x.y", "x%y", "semi;colon")


def records(
    kinds: Mapping[str, st.SearchStrategy[Any]] = PLAIN_KINDS,
    *,
    takes: Callable[[Any], bool] = lambda _: True,
    max_size: int = 5,
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return a strategy for what a table may hold: records with the same columns, each column of one kind.

    Each has an ``idnumber``, a text that no other has.

    Args:
        kinds: The kinds of values to choose from.
        takes: Whether the store can keep a value; where it cannot, there will be None.
        max_size: The number of records, at most.
    """

    def table(columns: dict[str, str]) -> st.SearchStrategy[list[dict[str, Any]]]:
        values = {
            column: st.none() | kinds[kind].map(lambda value: value if takes(value) else None)
            for column, kind in columns.items()
        }
        record = st.fixed_dictionaries({"idnumber": texts().filter(takes), **values})
        return st.lists(record, max_size=max_size, unique_by=lambda each: each["idnumber"])

    return st.dictionaries(st.sampled_from(_COLUMNS), st.sampled_from(sorted(kinds)), max_size=4).flatmap(table)


def difference(
    expected: Sequence[Mapping[str, Any]],
    loaded: Iterable[Mapping[str, Any]],
    *,
    absent: Any = None,
    ordered: bool = True,
) -> str:
    """Say how what was loaded differs from what was expected; nothing if it does not.

    ``1``, ``1.0`` and ``True`` are different, NaN is itself, and a moment is the same in any time zone.

    Args:
        expected: The records that are to come.
        loaded: Those that came.
        absent: What a column holds in a record that lacks it.
        ordered: Whether the order of the records counts.
    """
    columns = list(dict.fromkeys(column for record in expected for column in record))
    found = list(loaded)
    for record in found:
        if not isinstance(record, Mapping):
            return f"a record is a {type(record).__name__}, and must be a mapping from column to value"
        if strange := [column for column in record if column not in columns]:
            return f"there is a column {strange[0]!r} that was never dumped; those that were are {columns}"
    wanted_rows, found_rows = ([_row(each, columns, absent) for each in side] for side in (expected, found))
    if not ordered:
        lost = Counter(wanted_rows) - Counter(found_rows)
        gained = Counter(found_rows) - Counter(wanted_rows)
        if not lost and not gained:
            return ""
        return f"these are missing: {_shown(lost, columns)}; and these were never dumped: {_shown(gained, columns)}"
    for index, (wanted, got) in enumerate(zip(wanted_rows, found_rows, strict=False)):
        if wanted != got:
            if Counter(wanted_rows) == Counter(found_rows):
                return f"the records are in another order, from record {index} on: say ordered = False if none is kept"
            parts = [
                f"{column!r} is {here}, and should be {there}"
                for column, there, here in zip(columns, wanted, got, strict=True)
                if there != here
            ]
            return f"in record {index}, " + "; ".join(parts)
    if len(wanted_rows) != len(found_rows):
        return f"there are {len(found_rows)} records, and should be {len(wanted_rows)}"
    return ""


def _row(record: Mapping[str, Any], columns: Sequence[str], absent: Any) -> tuple[str, ...]:
    return tuple(_text(record.get(column, absent)) for column in columns)


def _text(value: Any) -> str:
    """Return a text that is the same for exactly those values that count as the same."""
    if isinstance(value, float):
        value += 0.0  # there are two zeros
    elif isinstance(value, Decimal) and value.is_finite():
        value = value.normalize() + 0
    elif isinstance(value, datetime) and value.tzinfo is not None:
        return f"the moment {value.astimezone(UTC).isoformat()}"
    elif isinstance(value, (datetime, time)):
        value = value.replace(fold=0)  # which of two equal hours it is means nothing without a time zone
    elif isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    elif isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({', '.join(sorted(map(_text, value)))})"
    elif isinstance(value, Mapping):
        return f"{type(value).__name__}({', '.join(sorted(f'{_text(k)}: {_text(v)}' for k, v in value.items()))})"
    return f"{value!r} ({type(value).__name__})"


def _shown(rows: Counter[tuple[str, ...]], columns: Sequence[str]) -> str:
    shown = [dict(zip(columns, row, strict=True)) for row in list(rows.elements())[:3]]
    return str(shown) if shown else "none"
