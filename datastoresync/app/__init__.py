"""Applications: a reader, one or more writers, and a command line made of their options."""

from typing import TYPE_CHECKING

from datastoresync.lazy import lazy_names

if TYPE_CHECKING:
    from datastoresync.app.application import App as App
    from datastoresync.app.exit_codes import ExitCode as ExitCode
    from datastoresync.app.parts import Arguments as Arguments, Reader as Reader, Writer as Writer
    from datastoresync.app.report import AppReport as AppReport, PartReport as PartReport
    from datastoresync.app.syncer_reader import SyncerReader as SyncerReader
    from datastoresync.app.syncer_writer import SyncerWriter as SyncerWriter, WriteReport as WriteReport
else:
    __all__, __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "app.application": "App",
            "app.exit_codes": "ExitCode",
            "app.parts": "Arguments Reader Writer",
            "app.report": "AppReport PartReport",
            "app.syncer_reader": "SyncerReader",
            "app.syncer_writer": "SyncerWriter WriteReport",
        },
    )
