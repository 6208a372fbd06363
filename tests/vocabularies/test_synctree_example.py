"""The script of a school for synctree, run as its scheduler runs it; what it did is checked with SQL alone."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from examples.migrating.synctree.sync import main
from examples.migrating.synctree.templates import PlatformTemplate

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "migrating" / "synctree"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "platform.db"


def run(database):
    command = [sys.executable, FOLDER / "sync.py", "--database", database]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)


def query(database, statement):
    connection = sqlite3.connect(database)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def rows_of(name):
    lines = [line for path in sorted(FOLDER.glob(f"exports/{name}_*.txt")) for line in path.read_text().splitlines()]
    return [line.split("\t") for line in lines if not line.startswith("X")]


def members(database, name):
    return set(query(database, f"select owner, member from links where list = '{name}'"))


def pairs(name, column):
    return {(row[0], member) for row in rows_of(name) for member in row[column].split()}


def test_a_platform_follows_the_export_and_is_left_alone_the_second_time(database, capsys):
    assert main(["--database", str(database), "--mock"]) == 0
    assert "planned=48" in capsys.readouterr().out
    before = query(database, "select * from students")
    assert len(before) == 8

    done = run(database)
    assert (done.returncode, done.stderr) == (0, "")
    assert "succeeded=47 failed=0 skipped=1" in done.stdout
    students = rows_of("students")
    assert sorted(query(database, "select idnumber, grade, homeroom, house from students")) == sorted(
        (row[0], *row[2:5]) for row in students
    )
    assert query(database, "select name, username, email from students where idnumber = '1003'") == [
        ("Zoe Brown", "zbrown", "zbrown@school.example")
    ]
    assert members(database, "students.clubs") == pairs("students", 6)
    assert members(database, "staff.subjects") == pairs("staff", 3)
    assert members(database, "parents.children") == {(row[5], row[0]) for row in students}
    assert members(database, "classes.teachers") == pairs("classes", 4)
    assert members(database, "classes.students") == pairs("classes", 5)
    assert members(database, "cohorts.members") == {
        (f"{kind}-{row[column]}", row[0]) for row in students for kind, column in (("grade", 2), ("homeroom", 3))
    }
    rooms = {row[3] for row in students}
    assert members(database, "cohorts.tutors") == {
        (f"homeroom-{row[2]}", row[0]) for row in rows_of("staff") if row[2] in rooms
    }
    assert members(database, "groups.members") == {
        (f"{row[0]}-{row[2]}", member) for row in rows_of("classes") for member in row[5].split()
    }
    assert query(database, "select username from staff where idnumber = '9000'") == [("admin",)]
    assert query(database, "select building from classes where idnumber = 'S7'") == [("South",)]

    assert main(["--database", str(database)]) == 0
    assert "succeeded=0 failed=0 skipped=1 conflict=0 unhandled=0 pending=0 total=1" in capsys.readouterr().out


def test_some_methods_may_be_called_alone(database, capsys):
    assert main(["--database", str(database), "--only-these", "update_staff_room"]) == 0
    assert "succeeded=1 failed=0" in capsys.readouterr().out
    assert query(database, "select room from staff where idnumber = '9002'") == [("102",)]


def test_there_are_fifty_methods():
    verbs = ("new_", "old_", "update_", "add_", "remove_")
    assert sum(name.startswith(verbs) for name in vars(PlatformTemplate)) == 50
