"""The application that copies from any store to any other, which needs no library for its command line."""

from __future__ import annotations

from datastoresync import __version__
from datastoresync.app.application import App
from datastoresync.app.syncer_reader import SyncerReader
from datastoresync.app.syncer_writer import SyncerWriter


def copy_application(name: str) -> App:
    """Return the application, under the name that its usage has."""
    return App(
        SyncerReader(name="from"),
        SyncerWriter(name="to"),
        name=name,
        description="Read tables from one store, and write them to another.",
        version=__version__,
    )
