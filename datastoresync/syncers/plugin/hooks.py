"""The hooks of a class that run after its constructor: who calls each, and those that nobody would call."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any, Final

from datastoresync.syncers.options import pydantic_version

_HOOKS: Final = (
    "__post_init__",
    "__attrs_post_init__",
    "model_post_init",
    "__post_init_post_parse__",
    "__post_init__post_parse__",
    "__finalize__",
)
"""In the order in which they are called. The last but one is how the guide of cs_tools spells the one before it."""


def fault_of_hooks(kind: type[Any]) -> str:
    """Return which hook nothing would call, as the class has no constructor, or needs arguments; empty if none."""
    for hook in _uncalled(kind):
        if kind.__init__ is object.__init__:
            decorator = "attrs.define" if hook == "__attrs_post_init__" else "dataclass"
            lost = "`cnxn` and whatever else" if getattr(kind, "__is_database__", False) else "whatever"
            return (
                f"nothing calls the {hook} of the class {kind.__name__}, so that {lost} it sets is missing: write "
                f"@{decorator} above the class"
            )
        try:
            inspect.signature(getattr(kind, hook)).bind(None, *_arguments(hook))
        except TypeError:
            return (
                f"nothing calls the {hook} of the class {kind.__name__} with the arguments that it takes: make fields "
                "of them, and let it take self alone"
            )
    return ""


def call_hooks(syncer: Any) -> Any:
    """Call the hooks that the constructor of a syncer did not; return the syncer."""
    for hook in _uncalled(type(syncer)):
        getattr(syncer, hook)(*_arguments(hook))
    return syncer


def _arguments(hook: str) -> tuple[Any, ...]:
    return (None,) if hook == "model_post_init" else ()  # pydantic's context


def _uncalled(kind: type[Any]) -> Iterator[str]:
    """Yield the hooks that the class has, and that neither the library that made it nor its constructor calls."""
    hooks = [hook for hook in _HOOKS if callable(getattr(kind, hook, None)) and not _is_inherited(kind, hook)]
    called = {hook for hook in hooks if _is_called(kind, hook)}
    called |= _named_from(kind, ["__new__", "__init__", *called])
    yield from (hook for hook in hooks if hook not in called)


def _is_called(kind: type[Any], hook: str) -> bool:
    """Say whether pydantic calls a hook; the constructors that others make are functions that name it."""
    version, model = pydantic_version(kind), not dataclasses.is_dataclass(kind)
    return (version, model, hook) in {
        (1, False, "__post_init__"),
        (1, False, "__post_init_post_parse__"),
        (2, False, "__post_init__"),
        (2, True, "model_post_init"),
    }


def _is_inherited(kind: type[Any], hook: str) -> bool:
    """Say whether a hook is the one of pydantic itself, which does nothing of the author's."""
    owner = next(base for base in kind.__mro__ if hook in vars(base))
    return owner.__module__.partition(".")[0] == "pydantic"


def _named_from(kind: type[Any], names: list[str]) -> set[str]:
    """Return the names in the code of these methods, and in that of the methods that they name."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        for base in kind.__mro__:
            method = inspect.unwrap(vars(base).get(name, None) or _nothing)
            if not inspect.isfunction(method) or base.__module__.partition(".")[0] == "pydantic":
                continue
            texts = [constant for constant in method.__code__.co_consts if isinstance(constant, str)]
            named = {*method.__code__.co_names, *texts} - found
            found |= named
            waiting += [each for each in named if each.isidentifier()]
    return found


def _nothing() -> None:
    """Stand for a method that a class does not have."""
