"""Options that a syncer is opened with: checked against its signature, and their secrets kept out of messages."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
import types
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import (
    Set as AbstractSet,
)
from contextlib import suppress
from dataclasses import InitVar
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, ForwardRef, Literal, Union, get_args, get_origin, get_type_hints

from datastoresync.conversion.converters import converter
from datastoresync.conversion.scalars import SCALARS
from datastoresync.errors import DeclarationError
from datastoresync.masking import MASK, masked, names_secret, secrets_within
from datastoresync.spelling import nearest

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
    return where + masked(text, secrets)


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
    return (
        None
        if any(secret in printed for secret in secrets)
        or any(any(True for _ in secrets_within(text)) for text in messages)
        else error
    )


# Options of a URL, which are texts ------------------------------------------------------------------------------------

_MANY: Mapping[Any, Callable[[Iterable[Any]], Any]] = MappingProxyType(
    dict.fromkeys((list, Sequence, MutableSequence, Iterable, Collection), list)
    | dict.fromkeys((set, AbstractSet, MutableSet), set)
    | {frozenset: frozenset}
)
"""What makes the values of a text with commas, by the type that is declared."""
_PLAIN = (bool, int, float, Decimal)
"""Types of a default that stand for an annotation which is not there."""
_PATHS = (Path, PurePath, os.PathLike)


def converted_options(target: Callable[..., Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of a URL, each converted by the annotation of the parameter that it goes to.

    ``50`` becomes an int, ``false`` a bool, ``a,b`` a list, a value of an Enum its member, as docs/conversions.md has
    it. Without an annotation, the default tells whether it is a bool or a number. Other types are left to pydantic.

    Args:
        target: The class or function.
        texts: The options as they stand in the URL.

    Raises:
        ValueError: A text cannot be converted; the message names the parameter and its type.
    """
    parameters = parameters_of(target) or {}
    found: dict[str, Any] = {}
    for name, text in texts.items():
        parameter = parameters.get(name)
        annotation = Any if parameter is None else _annotation(target, parameter)
        try:
            found[name] = _converted(text, annotation)
        except _UnknownTypeError as error:
            if not pydantic_version(target):
                message = f"has an option {name!r} of type {error}, which a URL cannot give: pass it in a program"
                raise ValueError(message) from None
            found[name] = text
        except (ValueError, TypeError) as error:
            got = MASK if names_secret(name) else f"{masked(text)!r}: {masked(str(error))}"
            message = f"has an option {name!r} of type {_described(annotation)} (got {got})"
            raise ValueError(message) from None
    return found


def pydantic_version(target: Any) -> int:
    """Return the major version of pydantic that made a class, a model or a dataclass; 0 if it is of another kind."""
    if hasattr(target, "__pydantic_validator__"):
        return 2
    return 1 if hasattr(target, "__pydantic_model__") or hasattr(target, "__validators__") else 0


class _UnknownTypeError(Exception):
    """A type that no text can be converted to."""


def _annotation(target: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        kind = type(parameter.default)
        return kind if kind in _PLAIN or issubclass(kind, Enum) else Any
    if isinstance(annotation, str) or _is_unresolved(annotation):
        annotation = _resolved(target, parameter.name, annotation)
    return annotation


def _is_unresolved(annotation: Any) -> bool:
    return isinstance(annotation, ForwardRef) or any(map(_is_unresolved, get_args(annotation)))


def _resolved(target: Callable[..., Any], name: str, annotation: Any) -> Any:
    """Return an annotation that is a text, by the names of the module in which it stands.

    Raises:
        DeclarationError: A name in it is not there at run time.
    """
    functions = [target, getattr(target, "__init__", None), getattr(target, "__new__", None)]
    bases = [base for base in getattr(target, "__mro__", ()) if name in inspect.get_annotations(base)]
    modules = [each.__module__ for each in (*bases, *functions) if getattr(each, "__module__", None) in sys.modules]
    for module in dict.fromkeys(modules):
        with suppress(NameError):
            holder = type("Holder", (), {"__annotations__": {name: annotation}, "__module__": module})
            return get_type_hints(holder, include_extras=True)[name]
    message = f"the annotation {annotation!r} of {name!r} cannot be found where it stands: import it at run time"
    raise DeclarationError(message)


def _converted(text: str, annotation: Any) -> Any:
    annotation = _bare(annotation)
    if annotation in (Any, object, str, inspect.Parameter.empty):
        return text
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _converted_to_any(text, arguments)
    if (origin or annotation) in _MANY:
        parts = [part.strip() for part in text.split(",")] if text else []
        return _MANY[origin or annotation](_converted(part, arguments[0] if arguments else str) for part in parts)
    if (origin or annotation) is tuple:
        kinds = arguments if arguments and arguments[-1] is not ... else (*arguments[:1], ...)
        parts = [part.strip() for part in text.split(",")] if text else []
        if kinds[-1] is ...:
            return tuple(_converted(part, kinds[0] if len(kinds) > 1 else str) for part in parts)
        if len(parts) != len(kinds):
            message = f"it has {len(parts)} values instead of {len(kinds)}"
            raise ValueError(message)
        return tuple(map(_converted, parts, kinds))
    if (origin or annotation) in _PATHS:
        return Path(text)
    if isinstance(annotation, type) and annotation in SCALARS:
        return converter(annotation).one(text)
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return converter(annotation).one(text)
    raise _UnknownTypeError(_described(annotation))


def _converted_to_any(text: str, annotations: Sequence[Any]) -> Any:
    """Convert to the first type that takes the text, str last: every option of a URL is one."""
    kinds = [_bare(annotation) for annotation in annotations]
    if type(None) in kinds and not text and str not in kinds:
        return None
    reasons: list[str] = []
    for kind in sorted((kind for kind in kinds if kind is not type(None)), key=lambda kind: kind in (str, Any)):
        try:
            return _converted(text, kind)
        except _UnknownTypeError:
            continue
        except (ValueError, TypeError) as error:
            reasons.append(str(error))
    if not reasons:
        raise _UnknownTypeError(" | ".join(map(_described, annotations)))
    raise ValueError("; ".join(reasons))


def _bare(annotation: Any) -> Any:
    """Return a type without what is written around it: Annotated, Final, InitVar, NewType."""
    if isinstance(annotation, InitVar):
        return _bare(annotation.type)
    if get_origin(annotation) in (Annotated, Final, ClassVar):
        return _bare(get_args(annotation)[0])
    supertype = getattr(annotation, "__supertype__", None)
    return annotation if supertype is None else _bare(supertype)


def _described(annotation: Any) -> str:
    annotation = _bare(annotation)
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
