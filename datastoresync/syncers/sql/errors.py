"""What a database says when it refuses, without a password and without the values of a row.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import exc

from datastoresync.errors import LockedError, SyncerError

DATABASE_ERRORS = (exc.SQLAlchemyError, ValueError, TypeError, ArithmeticError, LookupError, struct.error)
"""What executing a statement or fetching a row can raise: drivers let Python's own errors through here and there."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html: the connection, a transaction that lost against
# another one, resources, locks, an operator's intervention, the system.
_STORE_CLASSES = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
# https://www.sqlite.org/rescode.html
_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQLITE_STORE = (
    *_SQLITE_BUSY,
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_NOMEM",
    "SQLITE_NOTADB",
    "SQLITE_READONLY",
)
# https://mariadb.com/kb/en/mariadb-error-code-reference/: locks and deadlocks; disk, memory and tables that are full;
# connections that are refused, killed or lost; a server that shuts down or may only read.
_MYSQL_BUSY = frozenset({1205, 3572})
_MYSQL_STORE = frozenset(
    {*_MYSQL_BUSY, 1021, 1037, 1038, 1040, 1041, 1053, 1114, 1180, 1213, 1290, 1317, 1836, 1927, 1969, 3024}
    | {2002, 2003, 2006, 2013, 2055}
)
# Where MySQL and MariaDB repeat a value, in single quotes that it may itself hold.
_QUOTED_VALUE = re.compile(
    r"(?<=\bentry )'.*'(?= for key)|(?<=\bvalue: )'.*'(?= for (?:column|function))|(?<=\bvalue: )'.*'",
    re.DOTALL | re.IGNORECASE,
)
_PARAMETERS = 10_000


class UnfitValueError(ValueError):
    """A value that a column cannot take. Its message never holds the value."""


def reason_of(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Say why the database refused: its primary message, its code, the constraint, the table and the column.

    The detail line and the parameters are left out. What is still in the message and equals a parameter, or stands
    in quotes where databases quote the value that they could not read, becomes an ellipsis.
    """
    original = _original(error)
    diagnosis = getattr(original, "diag", None)
    message = getattr(diagnosis, "message_primary", None) or _fields(original).get("M")
    message = message or _numbered(original)[1] or next(iter(str(original).splitlines()), "")
    state = _state(original)
    from_python = isinstance(original, DATABASE_ERRORS) and not isinstance(
        original, (exc.SQLAlchemyError, UnfitValueError)
    )
    if state.startswith("22") or from_python:
        message = re.sub(r"""(["']).*\1""", '"…"', message, flags=re.DOTALL)
    message = _QUOTED_VALUE.sub("'…'", message)
    message = _without_parameters(message, getattr(error, "params", None)) or type(original).__name__
    facts = [f"sqlstate {state}" if len(state) == 5 else state]
    for fact, letter in (("constraint", "n"), ("table", "t"), ("column", "c")):
        name = getattr(diagnosis, f"{fact}_name", None) or _fields(original).get(letter)
        if name and f'"{name}"' not in message:
            facts.append(f"{fact} {name}")
    known = ", ".join(fact for fact in facts if fact)
    return without_secrets(f"{message} ({known})" if known else message, secrets)


def concerns_store(error: BaseException) -> bool:
    """Say whether the store as a whole gave up (connection, lock, disk), so that no single change is to blame."""
    state = _state(_original(error))
    if len(state) == 5 and state[:2] in _STORE_CLASSES:
        return True
    if _numbered(_original(error))[0] in _MYSQL_STORE:
        return True
    return state.startswith(_SQLITE_STORE) or bool(getattr(error, "connection_invalidated", False))


def cancelled(error: BaseException) -> bool:
    """Say whether PostgreSQL broke a statement off: it took too long, or somebody asked for it."""
    return _state(_original(error)) == "57014"


def locked(error: BaseException) -> bool:
    """Say whether somebody else holds a lock that was not waited for."""
    state = _state(_original(error))
    return state.startswith(_SQLITE_BUSY) or state == "55P03" or _numbered(_original(error))[0] in _MYSQL_BUSY


def refusal_of(error: BaseException, doing: str, secrets: Iterable[str] = ()) -> SyncerError:
    """Return the `SyncerError`, or `LockedError`, to raise instead; it begins with what was being done."""
    message = f"{doing}: {reason_of(error, secrets)}"
    if locked(error):
        return LockedError(f"{message}; another run or program is at work there, and its lock ends with it")
    return SyncerError(message)


def without_secrets(message: str, secrets: Iterable[str]) -> str:
    """Return a message with every secret replaced by three asterisks, the longest secrets first."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def _original(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error


def _fields(original: BaseException) -> Mapping[str, Any]:
    """Return the fields of an error that is a dictionary of them, by PostgreSQL's letters, as pg8000 has it."""
    first = next(iter(original.args), None)
    return first if isinstance(first, Mapping) else {}


def _numbered(original: BaseException) -> tuple[int, str]:
    """Return the number and the message of an error that is these two, as the drivers of MySQL have it."""
    match original.args:
        case (int(number), str(message)) if not isinstance(original, OSError):
            return number, next(iter(message.splitlines()), "")
    return 0, ""


def _state(original: BaseException) -> str:
    if isinstance(state := _fields(original).get("C"), str):
        return state
    if number := _numbered(original)[0]:
        return f"error {number}"
    for name in ("sqlstate", "pgcode", "sqlite_errorname"):
        state = getattr(original, name, None)
        if isinstance(state, str):
            return state
    return ""


def _without_parameters(message: str, parameters: Any) -> str:
    """Replace the parameters that a message repeats: a trigger of the user's may raise an error with a value in it."""
    texts = {str(value) for value in _values(parameters) if value is not None and not isinstance(value, bool)}
    for text in sorted(filter(None, texts), key=len, reverse=True):
        if text in message:
            message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", message)
    return message


def _values(parameters: Any) -> Iterator[Any]:
    """Yield the first parameters of a statement, whether for one row or many, by name or by position."""
    waiting, count = [parameters], 0
    while waiting and count < _PARAMETERS:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting.extend(item)
        elif item is not None:
            count += 1
            yield item
