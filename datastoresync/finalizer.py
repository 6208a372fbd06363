"""Ends what must be ended when nobody holds it any more: a file, a folder, a database; in its own process only."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["finalizer"]


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
