"""What tests of commands share: writing a file, running a command line, and asking a database."""

from __future__ import annotations

import csv
import io
import sqlite3
import sys
import warnings
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from datastoresync.__main__ import main


def write(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


def command(*argv):
    """Run ``datastoresync``, in this process, as a start takes longer; return its exit code and all that it says."""
    out, error, longest = io.StringIO(), io.StringIO(), csv.field_size_limit()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(error),
    ):
        warnings.simplefilter("default")
        patch.setattr(sys, "argv", ["datastoresync", *map(str, argv)])
        with pytest.raises(SystemExit) as end:
            main()
    csv.field_size_limit(longest)
    return end.value.code, out.getvalue() + error.getvalue()


def rows(statement, database="school.db"):
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found
