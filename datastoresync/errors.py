"""Every error that this library raises, in one tree.

::

    DatastoreSyncError
    ├── DeclarationError (TypeError)          a class, branch or tree is declared wrongly
    │   ├── CircularOrderError                branches that wait for each other
    │   └── ConfigurationError                a configuration file says what cannot be
    ├── ImporterError (ValueError)            data is refused; nothing was replaced
    │   ├── MalformedFileError                a file that cannot be what it says it is
    │   └── RowError                          one row is refused
    │       ├── ColumnError                   a column that is unknown, missing, or too many
    │       ├── ConversionError               a value that the declared type cannot take
    │       ├── IdnumberError                 an idnumber that is empty, None, NaN or of another type
    │       └── DuplicateError                one idnumber in two rows
    ├── SchemaMismatchError (TypeError)       two sides that cannot be compared
    ├── ComparisonError (ValueError)          a comparison that makes no sense, or a property that fails in it
    │   └── HierarchyError                    an object with several parents, or one that is its own ancestor
    ├── FilterError (ValueError)              a filter that names an unknown verb, branch or attribute
    ├── TemplateError (TypeError)             the right operand of ``|`` is no template
    ├── SafeguardError (RuntimeError)         a whole run refused before its first change
    ├── SyncerError (RuntimeError)            a store that cannot be opened, read or written
    │   ├── LockedError                       another run is writing to the same store
    │   └── ManifestError                     a plugged-in syncer that is described or written wrongly
    ├── NotificationError (RuntimeError)      a mail or chat message about a run that could not be sent
    └── MissingDependencyError (ImportError)  an optional package is not installed

    SyncInterrupted (KeyboardInterrupt)       Ctrl-C, SIGTERM … during an apply; carries the report

    DataWarning (UserWarning)                 data that is taken as it is, but looks wrong

Messages are lowercase; they say what is wrong, where, and how to mend it. The facts are attributes too.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class DatastoreSyncError(Exception):
    """The root of every error raised here, so that one ``except`` can catch them all."""


class DeclarationError(DatastoreSyncError, TypeError):
    """A class, a branch, a tree or a datastore is declared in a way that cannot work."""


class CircularOrderError(DeclarationError):
    """Branches that wait for each other. ``circle`` has their names, the first one repeated at the end."""

    def __init__(self, message: str, *, circle: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.circle = tuple(circle)


class ConfigurationError(DeclarationError):
    """A configuration file that says what cannot be. ``problems`` has a sentence for each place, with file and line."""

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ImporterError(DatastoreSyncError, ValueError):
    """Data from an importer is refused; the branch keeps its previous objects.

    ``where`` is a location such as ``people.csv:17``, or ``""``. ``branch`` is filled in by the branch.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.branch = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.branch, self.where, self.message) if part)


class MalformedFileError(ImporterError):
    """A file that is not what it says it is: its encoding, its quotes, its header. ``line`` counts from 1."""

    def __init__(self, message: str, *, where: str = "", line: int | None = None, column: int | None = None) -> None:
        super().__init__(message, where=where)
        self.line = line
        self.column = column


class RowError(ImporterError):
    """One row is refused. ``row`` has the values that could be read."""

    def __init__(self, message: str, *, where: str = "", row: object = None) -> None:
        super().__init__(message, where=where)
        self.row = row


class ColumnError(RowError):
    """A row with a column that its class does not know, without one that it needs, or of another width."""

    def __init__(self, message: str, *, where: str = "", row: object = None, columns: Sequence[str] = ()) -> None:
        super().__init__(message, where=where, row=row)
        self.columns = tuple(columns)


class ConversionError(RowError):
    """A value that the declared type cannot take without losing something."""

    def __init__(
        self, message: str, *, where: str = "", row: object = None, column: str = "", value: object = None
    ) -> None:
        super().__init__(message, where=where, row=row)
        self.column = column
        self.value = value


class IdnumberError(RowError):
    """An idnumber that is empty, None or NaN, or of another type than the others in its branch."""


class DuplicateError(RowError):
    """One idnumber in two rows, and no ``resolve_duplicate`` to decide. ``first`` and ``where`` are the two places."""

    def __init__(
        self, message: str, *, where: str = "", row: object = None, idnumber: Any = None, first: str = ""
    ) -> None:
        super().__init__(message, where=where, row=row)
        self.idnumber = idnumber
        self.first = first


class SchemaMismatchError(DatastoreSyncError, TypeError):
    """Two sides that cannot be compared. ``problems`` has a sentence for each attribute or key type."""

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ComparisonError(DatastoreSyncError, ValueError):
    """Two things of different kinds are compared, or a property raises in a comparison."""


class HierarchyError(ComparisonError):
    """An object with several parents, one that is its own ancestor, or a child that does not exist.

    ``parents`` are those that claim it, as ``(branch, idnumber)``.
    """

    def __init__(self, message: str, *, parents: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__(message)
        self.parents = tuple(parents)


class FilterError(DatastoreSyncError, ValueError):
    """``only`` or ``exclude`` names a branch, a verb or an attribute that does not exist."""


class TemplateError(DatastoreSyncError, TypeError):
    """The right operand of ``|`` has no ``apply`` method, or is an import string that names nothing."""


class SafeguardError(DatastoreSyncError, RuntimeError):
    """A run refused as a whole, before its first change. ``violations`` has a sentence for each reason."""

    def __init__(self, message: str, *, violations: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class SyncerError(DatastoreSyncError, RuntimeError):
    """A store that cannot be opened, read or written. Messages never hold a password or the values of a row."""


class LockedError(SyncerError):
    """Another run is writing to the same store. Its lock ends with it."""


class ManifestError(SyncerError):
    """A plugged-in syncer whose manifest, class or configuration is wrong. ``path`` is the file that says so."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class NotificationError(DatastoreSyncError, RuntimeError):
    """A message about a run that could not be sent. It never holds a password or the address of a webhook."""


class MissingDependencyError(DatastoreSyncError, ImportError):
    """An optional package is not installed. The message has the pip command."""


class SyncInterrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM, SIGHUP or `SystemExit` in an apply; what was in flight has ended. ``report`` has the rest."""

    def __init__(self, report: Any) -> None:
        super().__init__(str(report))
        self.report = report


_NOTED: ContextVar[list[str] | None] = ContextVar("_NOTED", default=None)


class DataWarning(UserWarning):
    """Data that is accepted but looks wrong, such as two idnumbers that differ only in case.

    What is shown is for the filters of `warnings` to decide; reports have them all.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        if (noted := _NOTED.get()) is not None:
            noted.append(str(self))


_RIGHTS = "check who may read and write there, or name another place"
_ROOM = "make room there, or name another place"
_WAYS_ON = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.ENOSPC: _ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): _ROOM,
}


def system_reason(error: BaseException) -> str:
    """Return what the system says about a file or folder, and what may be done about it."""
    said = str(getattr(error, "strerror", None) or error)
    way_on = _WAYS_ON.get(getattr(error, "errno", None) or 0)
    return f"{said}: {way_on}" if way_on else said


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Yield a list of the data warnings that are given meanwhile, shown or not."""
    noted: list[str] = []
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)
