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
    """Keep the garbage collector from walking a million new objects again and again while they are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end of a short piece of work, and let it be heard then."""
    if (
        threading.current_thread() is not threading.main_thread()  # no other one is ever interrupted
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # somebody else takes care of it
    ):
        yield
        return
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if heard:
            raise KeyboardInterrupt


def finalizer(owner: Any, end: Callable[..., Any], *arguments: Any) -> weakref.finalize[..., Any]:
    """Return a `weakref.finalize` that does nothing in a process that was forked, as the first one goes on with it all.

    Args:
        owner: What it is ended with.
        end: Ends it; it holds no reference to the owner.
        arguments: Those of ``end``.
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
