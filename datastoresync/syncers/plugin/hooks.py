"""The hooks of a class that run after its constructor: who calls each, and those that nobody would call."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

from datastoresync.masking import plain
from datastoresync.syncers.options import pydantic_version

_AFTER_PARSING: Final = ("__post_init_post_parse__", "__post_init__post_parse__")
"""The hook of pydantic 1's dataclasses; the second is how the guide of cs_tools spells it."""
_HOOKS: Final = (
    "__post_init__",
    "__attrs_post_init__",
    "model_post_init",
    *_AFTER_PARSING,
    "__finalize__",
)
"""In the order in which they are called."""


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
            inspect.signature(getattr(kind, hook)).bind(None, *_arguments(kind, hook))
        except TypeError:
            return (
                f"nothing calls the {hook} of the class {kind.__name__} with the arguments that it takes: let it take "
                "self, and an argument for each InitVar of the class"
            )
    return ""


def call_hooks(syncer: Any, options: Mapping[str, Any]) -> Any:
    """Call the hooks that the constructor of a syncer did not; return the syncer.

    Args:
        syncer: The syncer.
        options: What its constructor was called with.
    """
    for hook in _uncalled(type(syncer)):
        arguments = _arguments(type(syncer), hook)
        getattr(syncer, hook)(*(plain(options.get(name, default)) for name, default in arguments.items()))
    return syncer


def _arguments(kind: type[Any], hook: str) -> dict[str, Any]:
    """Return the arguments of a hook by name, and their defaults: every InitVar, in its order, as pydantic 1 has it."""
    if hook == "model_post_init":
        return {"context": None}
    if not dataclasses.is_dataclass(kind) or hook not in _AFTER_PARSING:
        return {}
    names = kind.__dataclass_fields__.keys() - {field.name for field in dataclasses.fields(kind)}
    return {name: each.default for name, each in inspect.signature(kind).parameters.items() if name in names}


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
