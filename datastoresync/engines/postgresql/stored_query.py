"""Whether a query of a person is sure to give the same rows whenever one state of a database is asked for them.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re

import sqlalchemy as sa

from datastoresync.engines.relation import Unfaithful

__all__ = ["check_query"]

_FICKLE = re.compile(
    r"\b(limit|offset|fetch|tablesample|distinct\s+on|over|array_agg|string_agg|\w+_agg"
    r"|current_date|current_time|current_timestamp|localtime|localtimestamp)\b",
    re.IGNORECASE,
)
_MOMENT = re.compile(r"'\s*(now|today|tomorrow|yesterday)\s*'", re.IGNORECASE)
# Comments, texts, and texts between dollars; names in quotes, as these may hold what looks like one of them.
_HIDDEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<name>"(?:[^"]|"")*")"""
    r"""|\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$""",
    re.DOTALL,
)
_WORD = re.compile(r'[^\W\d][\w$]*|"(?:[^"]|"")+"')
_CALLED = re.compile(rf"({_WORD.pattern})\s*\(")
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_TELLS_THE_TIME = ("age", "now", "statement_timestamp", "transaction_timestamp")
# Functions that are not PostgreSQL's own may be made anew at any moment, which no snapshot keeps from happening.
_FUNCTION = """
SELECT min(proname) FROM pg_proc AS p
WHERE proname = ANY(:called)
        AND (oid >= 16384 OR provolatile = 'v' OR proname = ANY(:times) OR starts_with(proname, 'pg_'))
    OR oid >= 16384 AND pronargs = 1 AND proname = ANY(:words)
        AND EXISTS (SELECT FROM pg_type AS t WHERE t.oid = p.proargtypes[0] AND t.typtype = 'c')
"""
_OPERATION = """
SELECT min(oprname) FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
WHERE o.oid >= 16384 AND p.provolatile <> 'i'
    AND EXISTS (SELECT FROM unnest(CAST(:operators AS text[])) AS used WHERE strpos(used, oprname) > 0)
"""


def check_query(connection: sa.Connection, text: str) -> None:
    """Raise `Unfaithful` if a query may give other rows each time, as far as that is not because of the tables."""
    if fickle := _MOMENT.search(text):
        message = f"a query with {fickle[1].lower()!r} may give other rows each time"
        raise Unfaithful(message)
    if "\\'" in text or re.search(r'\bu&["\']', text, re.IGNORECASE):
        message = "a query with escapes is sent as it is"
        raise Unfaithful(message)
    bare = _HIDDEN.sub(_bare, text)
    if fickle := _FICKLE.search(bare):
        message = f"a query with {fickle[0].upper()} may give other rows each time"
        raise Unfaithful(message)
    names = {
        "called": sorted({_name(found) for found in _CALLED.findall(bare)}),
        "words": sorted({_name(found) for found in _WORD.findall(bare)}),
        "times": list(_TELLS_THE_TIME),
    }
    function = connection.execute(sa.text(_FUNCTION), names).scalar()
    if function is not None:
        message = f"{function}() may give something else each time"
        raise Unfaithful(message)
    operator = connection.execute(sa.text(_OPERATION), {"operators": sorted(set(_OPERATOR.findall(bare)))}).scalar()
    if operator is not None:
        message = f"the operator {operator} may give something else each time"
        raise Unfaithful(message)


def _bare(found: re.Match[str]) -> str:
    """Return what stands for a part of a query that is no code."""
    if found["name"] is not None:
        return found[0]
    if found["comment"] is None:
        return "''"
    if "/*" in found[0][2:]:
        message = "a query with a comment in a comment is sent as it is"
        raise Unfaithful(message)
    return " "


def _name(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
