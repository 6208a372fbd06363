"""Copies from any store to any other: ``python -m datastoresync --from postgresql://… --to xlsx:out.xlsx``."""

from datastoresync import __version__
from datastoresync.app import App, SyncerReader, SyncerWriter


def app() -> App:
    """Return the application."""
    return App(
        SyncerReader(name="from"),
        SyncerWriter(name="to"),
        name="python -m datastoresync",
        description="Read tables from one store, and write them to another.",
        version=__version__,
    )


if __name__ == "__main__":
    app().main()
