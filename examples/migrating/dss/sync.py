"""A script as the first users of datastoresync wrote them, with its import lines changed.

Without ``--database`` it makes an SQLite file of its own, with some accounts that are no longer right.
"""

import argparse
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from datastoresync import Limits
from examples.migrating.dss.destination import Accounts, DestinationTree
from examples.migrating.dss.source import SourceTree


def sync(database: Path) -> int:
    """Make the accounts follow the people; return the exit code."""
    source, dest = SourceTree(), DestinationTree()
    dest.database = database
    dest.set_template(Accounts(database))
    dest.limits = Limits(deletions=1, updates=3)  # which the old system did not have
    +source
    +dest
    source > dest
    report = source >> dest
    print(f"left to do: {len(source - +dest)}")
    return report.exit_code


def main() -> int:
    """Read the command line, and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, help="an SQLite file")
    given = parser.parse_args().database
    if given is not None:
        return sync(given)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "accounts.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(Path(__file__).with_name("start.sql").read_text(encoding="utf-8"))
        return sync(database)


if __name__ == "__main__":
    sys.exit(main())
