"""What tests of commands share: writing a file, and asking a database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def write(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


def rows(statement, database="school.db"):
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found
