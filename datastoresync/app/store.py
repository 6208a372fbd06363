"""The stores that an application is pointed at: by a URL, by the environment variable that holds it, or as a syncer."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datastoresync.syncers import open_syncer

__all__ = ["opened", "url"]

_VARIABLE = "env:"


def url(text: str) -> str:
    """Return a URL as it was given, or for ``env:NAME`` what the environment variable holds.

    So a password need not stand where every user of the machine can list the processes.

    Raises:
        ArgumentTypeError: if that is nothing.
    """
    name = text.removeprefix(_VARIABLE)
    found = os.environ.get(name, "") if text.startswith(_VARIABLE) else text
    if not found:
        message = f"the environment variable {name!r} is not set" if text else "the URL is empty"
        raise argparse.ArgumentTypeError(message)
    return found


@contextmanager
def opened(place: Any) -> Iterator[Any]:
    """Open the store at a URL, and close it in the end; a syncer is somebody else's to close."""
    if not isinstance(place, (str, os.PathLike)):
        yield place
        return
    syncer = open_syncer(place)
    try:
        yield syncer
    finally:
        close = getattr(syncer, "close", None)
        if callable(close):
            close()
