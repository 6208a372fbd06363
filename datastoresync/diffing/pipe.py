"""The right operand of ``|``: a template, its class, or its import string."""

from __future__ import annotations

import importlib
from typing import Any, Protocol, TypeVar

from datastoresync.errors import TemplateError

R_co = TypeVar("R_co", covariant=True)


class Applies(Protocol[R_co]):
    """A template, as far as ``|`` must know it."""

    def apply(self, diff: Any, /) -> R_co:
        """Carry out a diff."""
        ...


def template_of(template: Any) -> Any:
    """Return the template that is meant: itself, an instance of it, or what an import string names.

    Raises:
        TemplateError: if that is no template.
    """
    found = template
    if isinstance(found, str):
        module, dot, name = found.replace(":", ".").rpartition(".")
        if not dot:
            message = f"{template!r} is no import string: write 'package.module.Template'"
            raise TemplateError(message)
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            message = f"{template!r} leads nowhere: {error}"
            raise TemplateError(message) from error
    if isinstance(found, type):
        if not callable(getattr(found, "apply", None)):
            message = f"{found.__name__} is no template: make it a subclass of datastoresync.Template"
            raise TemplateError(message)
        found = found()
    if not callable(getattr(found, "apply", None)):
        message = f"a template, its class or its import string goes right of `|` (got {template!r})"
        raise TemplateError(message)
    return found
