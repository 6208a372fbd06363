"""The running interpreter: lazy imports, the garbage collector, Ctrl-C, and finalizers bound to their process."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which would visit a million new objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer Ctrl-C until the end of a short piece of work."""
    if (
        threading.current_thread() is not threading.main_thread()  # other threads are never interrupted
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # the program has a handler of its own
    ):
        yield
        return
    interrupts = []
    signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupts:
            raise KeyboardInterrupt


def finalizer(owner: Any, end: Callable[..., Any], *arguments: Any) -> weakref.finalize[..., Any]:
    """Return a `weakref.finalize` that does nothing in a forked process, since the parent still uses the resource.

    Args:
        owner: The object whose end calls ``end``.
        end: The function; it must not refer to the owner.
        arguments: The arguments of ``end``.
    """
    return weakref.finalize(owner, _end, os.getpid(), end, arguments)


def _end(process: int, end: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if os.getpid() == process:
        end(*arguments)


def lazy_names(
    package: str, names: Mapping[str, str], more: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__all__``, ``__getattr__`` and ``__dir__`` of a package that imports each name on first use.

    Args:
        package: Its ``__name__``.
        names: The names of each module, separated by spaces; modules are named below ``datastoresync``.
        more: Further names, and the module of each.
    """
    modules = {name: module for module, some in names.items() for name in some.split()} | dict(more)
    public = sorted(modules)
    contents = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in modules:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = contents[name] = getattr(import_module(f"datastoresync.{modules[name]}"), name)
        return value

    return public, get, lambda: sorted({*contents, *public})
