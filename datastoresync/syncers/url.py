"""The URL that says which store is meant and how it is opened, and the options in it: ``csv:exports?delimiter=%7C``."""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote

import attrs

from datastoresync.errors import DeclarationError, SyncerError

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


_SECRET = re.compile(r"pass|pwd|secret|token|credential|(?:api|access|private)_?key", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@\s]*?:([^@\s]+)@")
_ASSIGNED = re.compile(rf"(?:^|[?&;,\s])[\w.-]*(?:{_SECRET.pattern})[\w.-]*=([^&;,#\s]+)", re.IGNORECASE)
"""A password by its name within a text: ``?password=…`` of a URL, ``pwd=…;`` of what drivers take."""
_CHAIN = 100
"""Errors that are looked through; a chain of them may be a ring."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """Return the parameters of a class or function by name; None if it does not tell."""
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return None


def misfit_of(parameters: Mapping[str, inspect.Parameter], options: Iterable[str], *, places: int = 0) -> str:
    """Say which option is unknown, and name the nearest real one, or which are missing; nothing if all is well.

    Args:
        parameters: As `parameters_of` gives them.
        options: The names of those that are given.
        places: How many parameters at the front are given without a name.
    """
    in_order = list(parameters.values())
    named = {each.name: each for each in in_order[places:] if each.kind in _NAMED}
    given = list(options)
    takes_any = any(each.kind is each.VAR_KEYWORD for each in in_order)
    unknown = [name for name in given if name not in named]
    if unknown and not takes_any:
        hint = did_you_mean(unknown[0], list(named)) or ": there are none"
        return f"has no option {unknown[0]!r}{hint}"
    missing = [name for name, each in named.items() if each.default is each.empty and name not in given]
    if missing:
        return f"needs {'the option' if len(missing) == 1 else 'the options'} {', '.join(map(repr, missing))}"
    return ""


def raised(error: BaseException, folder: Path | None, secrets: Iterable[str]) -> str:
    """Say what was raised, and by which line of a folder, the innermost one."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if folder is not None and Path(frame.filename).is_relative_to(folder)]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    elif inside:
        where = f"{inside[-1].filename}:{inside[-1].lineno}: "
    reason = str(error).strip()
    known = (*secrets, *secrets_in({"reason": reason}))
    return where + without_secrets(f"{type(error).__name__}{': ' if reason else ''}{reason}", known)


def secrets_in(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that no message may hold: passwords by the name of their option, or by their place in a URL."""
    found: list[str] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            found += secrets_in(value)
        elif isinstance(value, str):
            found += [value] if _SECRET.search(str(name)) else _hidden_in(value)
    forms = (form for text in found for form in (text, unquote(text), quote(text, safe=""), quote_plus(text)))
    return tuple(dict.fromkeys(filter(None, forms)))


def _hidden_in(text: str) -> list[str]:
    return _PASSWORD.findall(text) + _ASSIGNED.findall(text)


def cause_of(error: BaseException, secrets: Iterable[str]) -> BaseException | None:
    """Return an error for a traceback to go on with, or None if it, or what caused it, would show a secret there.

    Python prints the text of a cause as it is, whatever the message in front of it leaves out.
    """
    shown = "".join(traceback.format_exception(error))
    texts: list[str] = []
    each: BaseException | None = error
    while each is not None and len(texts) < _CHAIN:
        texts.append(str(each))
        each = each.__cause__ or each.__context__
    return None if any(secret in shown for secret in secrets) or any(map(_hidden_in, texts)) else error


def without_secrets(message: str, secrets: Iterable[str]) -> str:
    """Return a message with every secret replaced by three asterisks, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message
