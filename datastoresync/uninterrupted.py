"""Lets Ctrl-C wait for what must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uninterrupted"]


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
