"""Looks up the database's own ids for idnumbers, where a column refers to rows by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa

from datastoresync.syncers.sql.dialects import Dialect
from datastoresync.syncers.sql.references import AnyTable, Followed, followed_of

Key = tuple[Any, ...]


class AnyStatements(Protocol):
    """What this needs to ask the database: `statements` has it, which is above."""

    @property
    def dialect(self) -> Dialect:
        """The kind of database."""
        ...

    def execute(self, statement: sa.Executable) -> Sequence[Any]:
        """Return the rows of a statement."""
        ...

    def guarded(self) -> AbstractContextManager[None]:
        """Raise what does not fit as a refusal."""
        ...


class MissingIdError(Exception):
    """An idnumber that is in no row of the table that a column refers to, or in several; the message says which.

    ``may_come`` says that it may be there once other rows are written.
    """

    def __init__(self, message: str, *, may_come: bool) -> None:
        super().__init__(message)
        self.may_come = may_come


def with_ids(
    statements: AnyStatements, stored: AnyTable, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield rows of values for columns, with ids in the place of idnumbers.

    Rows that refer to others of them, which must be written first, come in another part, in the order of the rows.

    Raises:
        MissingIdError: One has an idnumber that has no id.
    """
    columns = [stored.column(name) for name in names]
    positions = [position for position, column in enumerate(columns) if followed_of(column) is not None]
    waiting = rows
    while waiting:
        made: list[Sequence[Any]] = [list(row) for row in waiting]
        missing: dict[int, MissingIdError] = {}
        for position in positions:
            followed = followed_of(columns[position])
            assert followed is not None
            ids = ids_of(statements, followed, [row[position] for row in waiting])
            match = followed.stored.matcher([followed.key])
            for number, row in enumerate(waiting):
                if row[position] is None:
                    continue
                with statements.guarded():
                    found = ids.get(match([row[position]]), ())
                if len(found) == 1:
                    made[number][position] = found[0]  # type: ignore[index]  # it is a list of ours
                else:
                    missing.setdefault(number, _missing(columns[position], followed, row[position], len(found)))
        if len(missing) == len(waiting) or any(not error.may_come for error in missing.values()):
            raise next(iter(missing.values()))
        yield [row for number, row in enumerate(made) if number not in missing]
        waiting = [waiting[number] for number in missing]


def with_known_ids(statements: AnyStatements, columns: Sequence[sa.Column[Any]], keys: Sequence[Key]) -> Sequence[Key]:
    """Return keys with ids in the place of idnumbers, without those that no row can have."""
    for position, column in enumerate(columns):
        followed = followed_of(column)
        if followed is None:
            continue
        ids = ids_of(statements, followed, [key[position] for key in keys])
        match = followed.stored.matcher([followed.key])
        keys = [
            (*key[:position], identity, *key[position + 1 :])
            for key in keys
            for identity in ids.get(match([key[position]]), ())
        ]
    return keys


def ids_of(statements: AnyStatements, followed: Followed, values: Iterable[Any]) -> Mapping[Key, Sequence[Any]]:
    """Return the ids that stand for idnumbers, by idnumber, as its matcher gives it; mostly there is just one.

    Raises:
        RefusalError: The database refused the look-up.
    """
    match = followed.stored.matcher([followed.key])
    with statements.guarded():
        keys = dict.fromkeys(match([value]) for value in values if value is not None)
    found: dict[Key, list[Any]] = {}
    other_spellings = False
    for value, identity in _found(statements, followed, keys):
        key = match([value])
        found.setdefault(key, []).append(identity)
        other_spellings = other_spellings or key not in keys
    if other_spellings:  # the database says which of the keys it takes for one of those that it has
        for key in keys.keys() - found.keys():
            found[key] = [identity for _, identity in _found(statements, followed, [key])]
    return found


def _found(statements: AnyStatements, followed: Followed, keys: Collection[Key]) -> Sequence[Any]:
    if not keys:
        return ()
    values = [key[0] for key in keys]
    return statements.execute(followed.lookup(lambda column: statements.dialect.among(column, values)))


def _missing(column: sa.Column[Any], followed: Followed, value: Any, count: int) -> MissingIdError:
    where = f"table {followed.stored.name!r} has {'no row' if not count else f'{count:,} rows'}"
    message = f"column {column.name!r} refers to {value!r}, and {where} with that {followed.key.name!r}"
    return MissingIdError(message, may_come=not count)
