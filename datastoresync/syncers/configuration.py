"""The options of whoever makes a syncer: is each one known, and none missing?"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from datastoresync.syncers.url import did_you_mean

__all__ = ["cause_of", "misfit_of", "parameters_of", "raised", "secrets_in", "without_secrets"]

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
