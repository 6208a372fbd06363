"""The running interpreter: the garbage collector, Ctrl-C, and finalizers bound to their process."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which would visit a million new objects again and again.

    What is new afterwards counts as old at once, or the next allocation would have all of it visited; but only a
    million between two collections of what is old, which free what an interactive session leaves behind in circles.
    """
    global _unvisited, _collections, _frozen  # noqa: PLW0603 - there is one collector, too
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            collections = gc.get_stats()[2]["collections"]
            _unvisited = gc.get_count()[0] + (_unvisited if collections == _collections else 0)
            _collections = collections
            if _unvisited <= _MOST and not _frozen:
                _frozen = gc.get_freeze_count() > 0  # which would thaw, and take long to count
                if not _frozen:
                    gc.freeze()
                    gc.unfreeze()
            gc.enable()


_MOST = 1_000_000  # objects, which take about 100 MB
_unvisited = _collections = 0
_frozen = False


_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer Ctrl-C, and what is `interrupting`, until the end of a short piece of work."""
    numbers = _endings(signal.default_int_handler)  # else the program has a handler of its own
    interrupts = []
    for number in numbers:
        signal.signal(number, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
        if interrupts:
            raise KeyboardInterrupt


@contextmanager
def interrupting() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt a piece of work as Ctrl-C does, unless the program does something else then."""
    numbers = [number for number in _endings(signal.SIG_DFL) if number != signal.SIGINT]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _endings(handler: Any) -> list[int]:
    """Return the signals that end a program and have this handler; none in other threads, which are not interrupted."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = (getattr(signal, name) for name in _ENDINGS if hasattr(signal, name))
    return [number for number in numbers if handler is None or signal.getsignal(number) == handler]


@contextmanager
def deferred_endings(decide: Callable[[], bool]) -> Iterator[None]:
    """Let a function decide when Ctrl-C, SIGTERM and SIGHUP end a piece of work, in the main thread.

    The program's own handlers are called; if one raises to end the program, that is decided, too. A signal that is
    ignored stays so.

    Args:
        decide: Called when a signal comes; returns whether it ends the work at once, with a `KeyboardInterrupt` or with
            what the program's handler raised.
    """
    handlers: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        own = handlers[number]
        if own in (signal.SIG_DFL, signal.default_int_handler):
            if decide():
                raise KeyboardInterrupt
            return
        try:
            own(number, frame)
        except (KeyboardInterrupt, SystemExit):
            if decide():
                raise

    for number in _endings(None):
        own = signal.getsignal(number)
        if own not in (None, signal.SIG_IGN) and not (number == signal.SIGINT and own is signal.SIG_DFL):
            handlers[number] = own
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, own in handlers.items():
            signal.signal(number, own)


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception is that of a task that was cancelled in an event loop."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


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
