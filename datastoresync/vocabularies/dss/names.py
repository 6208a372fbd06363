"""Names of classes in texts: ``"school.source.SourceBranch"``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from datastoresync.errors import DeclarationError
from datastoresync.spelling import nearest


def found_by_name(text: str) -> tuple[ModuleType, Any]:
    """Return the module and the class that a text names.

    Raises:
        DeclarationError: if there is none, with the nearest name.
    """
    path, dot, name = text.rpartition(".")
    if not dot:
        message = f"{text!r} names no class: write 'module.Class'"
        raise DeclarationError(message)
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not (path + ".").startswith(error.name + "."):
            raise  # something that the module itself imports
        message = f"{text!r}: there is no module {error.name!r}"
        raise DeclarationError(message) from error
    if not hasattr(module, name):
        message = f"{text!r}: {path} has no {name!r}: {nearest(name, [one for one in vars(module) if one[0] != '_'])}"
        raise DeclarationError(message)
    return module, getattr(module, name)


def named(given: Any) -> Any:
    """Return what a text names; anything else is what is meant."""
    return found_by_name(given)[1] if isinstance(given, str) else given
