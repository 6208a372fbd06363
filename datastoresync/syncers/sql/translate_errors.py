"""Messages of databases, without passwords and without the values of a row."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import exc

from datastoresync.errors import LockedError, SyncerError
from datastoresync.masking import masked
from datastoresync.syncers.sql.dialects import DIALECTS
from datastoresync.syncers.sql.values import UnfitValueError

DATABASE_ERRORS = (exc.SQLAlchemyError, ValueError, TypeError, ArithmeticError, LookupError, struct.error)
"""What executing a statement or fetching a row can raise: drivers let Python's own errors through here and there."""

_PARAMETERS = 10_000


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
    for pattern in filter(None, (dialect.quoted_value for dialect in DIALECTS.values())):
        message = pattern.sub("'…'", message)
    message = _without_parameters(message, getattr(error, "params", None)) or type(original).__name__
    facts = [f"sqlstate {state}" if len(state) == 5 else state]
    for fact, letter in (("constraint", "n"), ("table", "t"), ("column", "c")):
        name = getattr(diagnosis, f"{fact}_name", None) or _fields(original).get(letter)
        if name and f'"{name}"' not in message:
            facts.append(f"{fact} {name}")
    known = ", ".join(fact for fact in facts if fact)
    ways_on = (way for dialect in DIALECTS.values() for way in dialect.ways_on.items())
    advice = next((f": {hint}" for pattern, hint in ways_on if re.match(pattern, state or message)), "")
    return masked(f"{message} ({known}){advice}" if known else f"{message}{advice}", secrets)


def detail_of(error: BaseException) -> str:
    """Return what the database says of the row, with its values, if it tells that apart from its message."""
    diagnosis = getattr(_original(error), "diag", None)
    return str(getattr(diagnosis, "message_detail", None) or "")


def concerns_store(error: BaseException) -> bool:
    """Say whether the store as a whole gave up (connection, lock, disk), so that no single change is to blame."""
    return _stands_for("broken", error) or bool(getattr(error, "connection_invalidated", False))


def cancelled(error: BaseException) -> bool:
    """Say whether a statement was broken off: it took too long, or was cancelled."""
    return _stands_for("cancelled", error)


def concerns_constraint(error: BaseException) -> bool:
    """Say whether a statement may pass once other rows are changed: a unique value is taken, or a row missing."""
    return _stands_for("constraint", error)


def locked(error: BaseException) -> bool:
    """Say whether another connection holds a lock that was not waited for."""
    return _stands_for("busy", error)


_OPENING = {
    r"connection option|unexpected keyword": ": check the options behind the question mark of the URL",
    r"refused|timed? ?out": ": is the server running there, and is the port right?",
    r"host ?name|name or service|getaddrinfo": ": check the name of the host",
    r"password|access denied|authentication": ": check the user and the password",
    r"database .* does not exist|unknown database": ": check the name of the database",
    r"not a database": ": it is a file of another kind, or encrypted",
}
"""What may be done about a database that cannot be opened, by what it says."""


def refusal_of(error: BaseException, doing: str, secrets: Iterable[str] = ()) -> SyncerError:
    """Return the `SyncerError`, or `LockedError`, to raise instead; it begins with what was being done."""
    reason = reason_of(error, secrets)
    opening = doing.startswith(("cannot open ", "cannot read the schema "))
    advice = (hint for pattern, hint in _OPENING.items() if opening and re.search(pattern, reason, re.IGNORECASE))
    message = f"{doing}: {reason}{next(advice, '')}"
    if locked(error):
        return LockedError(f"{message}; another run or program is at work there, and its lock ends with it")
    return SyncerError(message)


def _stands_for(kind: str, error: BaseException) -> bool:
    state = _state(_original(error))
    return any(getattr(dialect, kind).fullmatch(state) for dialect in DIALECTS.values())


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
    for name in ("sqlstate", *filter(None, (dialect.state_attribute for dialect in DIALECTS.values()))):
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
