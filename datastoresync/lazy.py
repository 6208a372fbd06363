"""Names that a package imports on first use; the modules that Python starts with are all that this needs."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # what type checkers take for True; the module `typing` takes its time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], more: Mapping[str, str] | None = None
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__all__``, ``__getattr__`` and ``__dir__`` of a package that imports each name on first use.

    Args:
        package: Its ``__name__``.
        names: The names of each module, separated by spaces; modules are named below ``datastoresync``.
        more: Further names, and the module of each.
    """
    modules = {name: module for module, some in names.items() for name in some.split()} | dict(more or {})
    public = sorted(modules)
    contents = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in modules:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        from datastoresync.runtime import collector_paused  # it takes its time, too

        with collector_paused():  # what modules make stays
            value = contents[name] = getattr(import_module(f"datastoresync.{modules[name]}"), name)
        return value

    return public, get, lambda: sorted({*contents, *public})
