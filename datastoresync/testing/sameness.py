"""Are two lists of records the same, types and all, and if not, where not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

__all__ = ["difference"]


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
    for place, (wanted, got) in enumerate(zip(wanted_rows, found_rows, strict=False)):
        if wanted != got:
            if Counter(wanted_rows) == Counter(found_rows):
                return f"the records are in another order, from record {place} on: say ordered = False if none is kept"
            parts = [
                f"{column!r} is {here}, and should be {there}"
                for column, there, here in zip(columns, wanted, got, strict=True)
                if there != here
            ]
            return f"in record {place}, " + "; ".join(parts)
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
