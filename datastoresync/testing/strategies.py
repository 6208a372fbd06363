"""Strategies of Hypothesis for what flows through a syncer: texts, values, whole tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from types import MappingProxyType
from typing import Any, Final

from hypothesis import strategies as st

__all__ = ["NASTY_TEXTS", "PLAIN_KINDS", "RICH_KINDS", "records", "texts"]

NASTY_TEXTS: Final = (
    "",
    " ",
    " a ",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\r",
    'a,"b"\n|\tc',
    "'",
    "''",
    '"',
    "\\",
    "\\N",
    "%s",
    ":x",
    "a; drop table t;--",
    "00123",
    "-1",
    "+1",
    "1e5",
    "9007199254740993",
    "1.10",
    "NA",
    "NULL",
    "null",
    "None",
    "nan",
    "true",
    "TRUE",
    "2024-01-02",
    "=cmd()",
    "'=cmd()",
    "@x",
    "-x",
    "[red]",
    "名前",
    "é",
    "e\u0301",
    "\ufeff",
    "\u2028",
    "\x85",
    "👩\u200d🚀",
    "\u202eabc",
)
"""Texts that one store or another is known to have taken for something else."""


def texts() -> st.SearchStrategy[str]:
    """Return a strategy for any text that Unicode can write down, with those that stores stumble over among them.

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
