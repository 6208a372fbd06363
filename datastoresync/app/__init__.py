"""Applications: a reader, one or more writers, and a command line made of their options."""

from datastoresync.app.application import App
from datastoresync.app.parts import Arguments, Reader, Writer
from datastoresync.app.report import AppReport, PartReport
from datastoresync.app.syncer_reader import SyncerReader
from datastoresync.app.syncer_writer import SyncerWriter, WriteReport

__all__ = [
    "App",
    "AppReport",
    "Arguments",
    "PartReport",
    "Reader",
    "SyncerReader",
    "SyncerWriter",
    "WriteReport",
    "Writer",
]
