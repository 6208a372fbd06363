"""Names of tables that become names of files, and the delimiter that a header looks to be written with."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from datastoresync.errors import SyncerError

_DELIMITERS = ";\t|,"
"""What separates the columns of files, the most usual one last: it is what they are read with."""
_LONGEST = 255
"""Bytes of the longest name of a file, on nearly every file system."""
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{digit}" for kind in ("com", "lpt") for digit in range(10))}
)
"""Names of devices on Windows, with any suffix; refused everywhere, so that folders can move."""
_REFUSED = frozenset('/\\<>:"|?*' if os.name == "nt" else "/\\")


def check_file_name(identifier: str, file_name: str, store: str) -> None:
    """Check that the name of a table can be that of a file in a folder.

    Args:
        identifier: The name of the table.
        file_name: The longest name of a file that is derived from it.
        store: The name of the folder, for messages.

    Raises:
        SyncerError: The name is not a text, would leave the folder, is hidden, or cannot be that of a file.
    """
    reason = _reason(identifier, file_name)
    if reason:
        message = f"{identifier!r} cannot be the name of a table in {store}: {reason}"
        raise SyncerError(message)


def _reason(identifier: str, file_name: str) -> str:
    if not isinstance(identifier, str):
        return f"it is {type(identifier).__name__}, and names are str"
    if not identifier.strip():
        return "it is empty"
    if identifier.startswith("."):
        return "files whose names begin with a dot are hidden"
    if refused := sorted(_REFUSED & set(identifier)):
        return f"a name of a file cannot hold {' '.join(refused)}, and tables stay within their folder"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in identifier):
        return "it holds a control character, or half of one"
    if identifier.partition(".")[0].strip().casefold() in _DEVICES:
        return "Windows keeps this name for a device"
    if len(file_name.encode()) > _LONGEST:
        return f"the name of its file would be longer than {_LONGEST} bytes"
    return ""


def clash(name: str, names: Iterable[str]) -> str | None:
    """Return another of ``names`` that differs from ``name`` only in case or Unicode form; None if there is none.

    >>> clash("Users", ["groups", "users"])
    'users'
    """
    folded = _folded(name)
    return next((each for each in names if each != name and _folded(each) == folded), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def likely_delimiter(header: Sequence[str], wanted: Collection[str], *, delimiter: str = ",") -> str:
    """Return the delimiter that a header looks to be written with, if it is another one than it was read with.

    Args:
        header: The columns, as they were read.
        wanted: Columns that must be there.
        delimiter: What the header was read with.

    >>> likely_delimiter(["idnumber;name"], ["idnumber"]), likely_delimiter(["id", "name"], ["idnumber"])
    (';', '')
    """
    line = delimiter.join(header)
    unusual = "".join(character for character in line if len(header) == 1 and not (f"_{character}").isidentifier())
    for other in _DELIMITERS.replace(delimiter, "") + unusual:
        parts = [part.strip().strip("'\"") for part in line.split(other)]
        if len(parts) > 1 and (set(wanted) <= set(parts) or (len(header) == 1 and other in _DELIMITERS)):
            return other
    return ""
