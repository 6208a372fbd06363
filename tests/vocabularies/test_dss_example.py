"""The script of the first datastoresync, run as its users run it; what it did is read with plain SQL and csv."""

import csv
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "migrating" / "dss"


def run(*arguments):
    command = [sys.executable, FOLDER / "sync.py", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FOLDER / "start.sql").read_text(encoding="utf-8"))
    return path


def rows(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(statement))


def test_the_accounts_follow_the_people_and_a_second_run_finds_nothing(database):
    with (FOLDER / "people.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    users = []
    for person in people:
        last, first = person["lastfirst"].split(", ")
        users.append((person["id"], f"{first} {last}", person["email"]))
    done = run("--database", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert "~ users 11111  name: 'New Name' → 'Old Name'" in done.stdout
    assert "new=1 update=2 add=2 remove=1 old=2 total=8\n" in done.stdout
    assert done.stdout.endswith("left to do: 0\n")
    assert rows(database, "select * from users") == sorted(users)
    members = sorted((person["department"], person["id"]) for person in people)
    assert rows(database, "select * from group_members") == members
    again = run("--database", database)
    assert again.returncode == 0
    assert again.stdout.endswith("total=0\n  no differences\nleft to do: 0\n")


def test_limits_hold_in_it(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("insert into users values (?, 'x', 'y')", [(f"9{number}",) for number in range(40)])
    before = rows(database, "select * from users")
    done = run("--database", database)
    assert done.returncode == 1
    assert "SafeguardError: refused, and nothing was changed" in done.stderr
    assert rows(database, "select * from users") == before
