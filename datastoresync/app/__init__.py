"""Applications: a reader, one or more writers, and a command line made of their options."""

from datastoresync.app.application import App
from datastoresync.app.arguments import Arguments
from datastoresync.app.reader import Reader
from datastoresync.app.report import AppReport, PartReport
from datastoresync.app.syncer_reader import SyncerReader
from datastoresync.app.syncer_writer import SyncerWriter, Written
from datastoresync.app.writer import Writer

__all__ = ["App", "AppReport", "Arguments", "PartReport", "Reader", "SyncerReader", "SyncerWriter", "Writer", "Written"]
