"""Options that a syncer is opened with: checked against its signature, and their secrets kept out of messages."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from datastoresync.syncers.names import nearest

_SECRET = re.compile(r"pass|pwd|secret|token|credential|(?:api|access|private)_?key", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@\s]*?:([^@\s]+)@")
_ASSIGNED = re.compile(rf"(?:^|[?&;,\s])[\w.-]*(?:{_SECRET.pattern})[\w.-]*=([^&;,#\s]+)", re.IGNORECASE)
"""A password by its name within a text: ``?password=…`` of a URL, ``pwd=…;`` of what drivers take."""
_CHAIN = 100
"""Errors of a chain that are examined; a chain may be a ring."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """Return the parameters of a class or function by name; None if it has no signature."""
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return None


def option_fault(parameters: Mapping[str, inspect.Parameter], options: Iterable[str], *, positional: int = 0) -> str:
    """Return which option is unknown, with the nearest real one, or which are missing; empty if all fit.

    Args:
        parameters: As `parameters_of` returns them.
        options: The names of the options that are passed.
        positional: How many arguments are passed before them by position.
    """
    ordered = list(parameters.values())
    named = {parameter.name: parameter for parameter in ordered[positional:] if parameter.kind in _NAMED}
    passed = list(options)
    unknown = [name for name in passed if name not in named]
    if unknown and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in ordered):
        return f"has no option {unknown[0]!r}: {nearest(unknown[0], named)}"
    missing = [name for name, each in named.items() if each.default is each.empty and name not in passed]
    if missing:
        return f"needs {'the option' if len(missing) == 1 else 'the options'} {', '.join(map(repr, missing))}"
    return ""


def error_text(error: BaseException, secrets: Iterable[str], *, folder: Path | None = None) -> str:
    """Return the class and message of an error without secrets, and the innermost line of a folder that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if folder is not None and Path(frame.filename).is_relative_to(folder)]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    elif inside:
        where = f"{inside[-1].filename}:{inside[-1].lineno}: "
    reason = str(error).strip()
    text = f"{type(error).__name__}{': ' if reason else ''}{reason}"
    return where + without_secrets(text, (*secrets, *secrets_in({"reason": reason})))


def secrets_in(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that no message may hold: passwords, by the name of their option or their position in a URL."""
    secrets: list[str] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            secrets += secrets_in(value)
        elif isinstance(value, str):
            secrets += [value] if _SECRET.search(str(name)) else _secrets_within(value)
    spellings = (form for text in secrets for form in (text, unquote(text), quote(text, safe=""), quote_plus(text)))
    return tuple(dict.fromkeys(filter(None, spellings)))


def _secrets_within(text: str) -> list[str]:
    return _PASSWORD.findall(text) + _ASSIGNED.findall(text)


def cause_without_secrets(error: BaseException, secrets: Iterable[str]) -> BaseException | None:
    """Return an error to raise another one from; None if its traceback, or that of a cause of its, shows a secret.

    Python prints the text of a cause as it is, whether the message in front of it leaves secrets out or not.
    """
    printed = "".join(traceback.format_exception(error))
    messages: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(messages) < _CHAIN:
        messages.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return None if any(secret in printed for secret in secrets) or any(map(_secrets_within, messages)) else error


def without_secrets(message: str, secrets: Iterable[str]) -> str:
    """Return a message with every secret replaced by three asterisks, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message
