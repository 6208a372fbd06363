"""The text that says which store is meant, and how it is to be opened: ``csv:exports?delimiter=%7C``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs

from datastoresync.errors import DeclarationError, SyncerError

__all__ = ["Address", "did_you_mean", "parse_address"]

_SCHEME = re.compile(r"([a-z][a-z0-9._+-]+):(.*)", re.DOTALL | re.IGNORECASE)  # of one letter, it is a Windows drive
_DRIVE = re.compile(r"/+[a-z]:[/\\]", re.IGNORECASE)

SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".csv": "csv",
        ".tsv": "tsv",
        ".json": "json",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".xlsx": "xlsx",
        ".parquet": "parquet",
        ".db": "sqlite",
        ".sqlite": "sqlite",
        ".sqlite3": "sqlite",
    }
)
"""What the name of a file says of what is in it."""


@attrs.frozen
class Address:
    """Where a store is.

    Args:
        scheme: What kind of store, in small letters.
        rest: All that stands behind the scheme and its colon, as it is written. It may hold a password.
    """

    scheme: str
    rest: str = attrs.field(repr=False)

    @property
    def is_url(self) -> bool:
        """Whether two slashes follow the scheme, as with the URLs of databases."""
        return self.rest.startswith("//")

    @property
    def place(self) -> str:
        """What stands before the options, with ``%20`` and its like resolved: ``///abs`` is the path ``/abs``.

        Raises:
            SyncerError: A percent sign stands for what is no UTF-8.
        """
        place = self._decoded(self.rest.partition("?")[0])
        if place.startswith("///"):
            place = place[2:]
        return place.lstrip("/") if _DRIVE.match(place) else place

    @property
    def options(self) -> dict[str, str]:
        """What stands behind the question mark.

        Raises:
            SyncerError: An option has no value, no name, or stands there twice.
        """
        query = self.rest.partition("?")[2]
        if not query:
            return {}
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError:
            message = (
                f"the options of the {self.scheme}: URL cannot be read: write ?name=value&name=value, with %26 for "
                "an & in a value, %25 for a %"
            )
            raise SyncerError(message) from None
        names = [name for name, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            message = f"the option {twice!r} stands in the {self.scheme}: URL twice: leave one out"
            raise SyncerError(message)
        return dict(pairs)

    def _decoded(self, text: str) -> str:
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            message = f"the {self.scheme}: URL has a percent sign that stands for no UTF-8: write %25 for a % in a name"
            raise SyncerError(message) from None


def parse_address(text: str | os.PathLike[str]) -> Address:
    r"""Return the address that a URL, a path or the name of a file stands for.

    A path, and a text without a scheme, is taken as it is; its suffix says what it holds.

    Raises:
        DeclarationError: It is no text and no path.
        SyncerError: It has neither a scheme nor a suffix that says.

    >>> parse_address("csv:my%20exports?delimiter=%7C").options
    {'delimiter': '|'}
    >>> parse_address(r"C:\exports\people.csv").scheme
    'csv'
    """
    if not isinstance(text, (str, os.PathLike)):
        message = f"a store is named by a URL or a path, not a {type(text).__name__}"
        raise DeclarationError(message)
    if isinstance(text, str) and (match := _SCHEME.fullmatch(text)):
        return Address(match[1].lower(), match[2])
    path = Path(text)
    scheme = SUFFIXES.get(path.suffix.lower())
    if scheme is None:
        raise SyncerError(_unclear(text, path))
    if scheme != "sqlite":
        return Address(scheme, os.fspath(text).replace("%", "%25").replace("?", "%3F"))
    if "?" in str(path):
        message = f"{path} has a question mark in its name, which URLs of SQLite cannot have: rename it"
        raise SyncerError(message)
    return Address(scheme, f"///{path}")


def _unclear(text: str | os.PathLike[str], path: Path) -> str:
    shown = repr(os.fspath(text)) if "@" not in str(text) else "the text"  # there may be a password in it
    if (path / "MANIFEST.json").is_file():
        return f"{shown} is the folder of a syncer of your own: open it with load_syncer"
    if text and path.is_dir():
        return f"{shown} is a folder, and does not say what its files are: write csv:{path}, json:{path}, …"
    near = did_you_mean(path.suffix.lower(), list(SUFFIXES)) if path.suffix else ""
    return (
        f"{shown} does not say what kind of store it is{near or ': write its scheme before it'}, as in csv:exports, "
        f"or name a file that ends in {', '.join(SUFFIXES)}"
    )


def did_you_mean(name: str, names: list[str]) -> str:
    """Return the end of a message about a name that is not among others: the nearest of them, or all."""
    near = get_close_matches(name, names, 1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f": there is {', '.join(map(repr, names))}" if names else ""
