"""A TOML file as people write it: each value with its place, and what stands elsewhere, such as a password, put in."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import attrs

from datastoresync.errors import ConfigurationError, DatastoreSyncError
from datastoresync.masking import SecretText, hidden, masked
from datastoresync.spelling import closest

T = TypeVar("T")
_ELSEWHERE = re.compile(r"\$\{(\w+):([^}]*)\}")
_NAME = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"\s*(?:\[+\s*(?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)\s*\]|(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=)")


@attrs.frozen(eq=False)
class TomlDocument:
    """A file, and what is wrong with it.

    Args:
        path: The file, as it was named.
        content: What it says.
        lines: The lines of its keys.
        problems: The line and a sentence for each place that is wrong, as they are found.
        secrets: What was put in from elsewhere; no message has it.
    """

    path: Path
    content: dict[str, Any] = attrs.field(repr=False)
    lines: dict[tuple[str, ...], int] = attrs.field(repr=False)
    problems: list[tuple[int, str]] = attrs.field(factory=list)
    secrets: list[str] = attrs.field(factory=list, repr=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TomlDocument:
        """Read a file.

        Raises:
            ConfigurationError: if it cannot be read, or is no TOML.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            return cls(Path(path), tomllib.loads(text), _lines(text))
        except OSError as error:
            near = closest(Path(path).name, (one.name for one in Path(path).parent.glob("*.toml")))
            hint = f"did you mean {near!r}?" if near else "datastoresync init SOURCE DESTINATION writes one"
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}: {hint}") from None
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path} is not in UTF-8 (byte {error.start + 1}): save it so") from None
        except tomllib.TOMLDecodeError as error:
            found = re.fullmatch(r"(.*) \(at line (\d+), (column \d+)\)", str(error))
            where, reason = (f":{found[2]}", f"{found[1]}, at {found[3]}") if found else ("", str(error))
            raise ConfigurationError(f"{path}{where}: it is not TOML: {reason}") from None

    @property
    def place(self) -> Place:
        """The file as a whole."""
        return Place(self)

    def check(self) -> None:
        """Refuse a file with problems, all at once.

        Raises:
            ConfigurationError: with a line for each, in the order of the file.
        """
        if self.problems:
            found = [text for _, text in sorted(self.problems)]
            raise ConfigurationError("\n".join(found), problems=found)


@attrs.frozen
class Place:
    """A key of a file, or the file itself.

    Args:
        document: The file.
        keys: The tables that lead to the key, and the key.
    """

    document: TomlDocument
    keys: tuple[str, ...] = ()

    def below(self, key: object) -> Place:
        """Return the place of a key in the table that is here."""
        return Place(self.document, (*self.keys, str(key)))

    @property
    def line(self) -> int:
        """The line; that of the table around it where the key has none of its own."""
        parts = range(len(self.keys), 0, -1)
        return next((self.document.lines[key] for end in parts if (key := self.keys[:end]) in self.document.lines), 1)

    def __str__(self) -> str:
        key = f": {'.'.join(self.keys)}" if self.keys else ""
        return f"{self.document.path}:{self.line}{key}"

    def refuse(self, reason: str) -> None:
        """Note what is wrong here."""
        said = masked(reason, (one for one in self.document.secrets if len(one) > 2))  # else half of it would be masked
        self.document.problems.append((self.line, f"{self}: {said}"))

    def converted(self, convert: Callable[[Any, Place], T], value: Any) -> T | None:
        """Return a value, converted; None where it is refused, which is noted."""
        try:
            return convert(value, self)
        except (argparse.ArgumentTypeError, ValueError, DatastoreSyncError) as error:
            self.refuse(str(error))
            return None

    def filled(self, text: str) -> str:
        """Return a text with what ``${env:NAME}`` and ``${file:PATH}`` stand for; none of it is shown.

        In a URL it is percent-encoded, unless it is all of it.

        Raises:
            ValueError: if there is no such variable, or the file cannot be read.
        """

        def value(found: re.Match[str]) -> str:
            secret = _elsewhere(*found.groups())
            self.document.secrets.append(secret)
            return quote(secret, safe="") if "://" in text[: found.start()] else secret

        filled = _ELSEWHERE.sub(value, text)
        if filled == text:
            return hidden(text)  # type: ignore[no-any-return]  # a text like the one it was
        return SecretText(filled)


def _elsewhere(kind: str, name: str) -> str:
    if kind == "env":
        if found := os.environ.get(name):
            return found
        raise ValueError(f"the environment variable {name!r} is not set")
    if kind != "file":
        raise ValueError(f"there is no ${{{kind}:…}}: there are ${{env:NAME}} and ${{file:PATH}}")
    try:
        content = Path(name).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {name!r} cannot be read: {getattr(error, 'strerror', 'not in UTF-8')}") from None
    if not content:
        raise ValueError(f"the file {name!r} is empty")
    return content


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each key and each table."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if (match := _KEY.match(line)) is None:
            continue
        names = tuple(name.strip("\"'") for name in re.findall(_NAME, match["table"] or match["key"]))
        if match["table"]:
            table, names = names, ()
        for end in range(1, len(table) + len(names) + 1):
            found.setdefault((*table, *names)[:end], number)
    return found
