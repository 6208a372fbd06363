"""Copies from any store to any other: ``datastoresync --from postgresql://… --to xlsx:out.xlsx``."""

from typing import NoReturn

from datastoresync import __version__
from datastoresync.app import App, SyncerReader, SyncerWriter


def main() -> NoReturn:
    """Run the application, as the command ``datastoresync`` and as ``python -m datastoresync``."""
    App(
        SyncerReader(name="from"),
        SyncerWriter(name="to"),
        name="datastoresync",
        description="Read tables from one store, and write them to another.",
        version=__version__,
    ).main()


if __name__ == "__main__":
    main()
