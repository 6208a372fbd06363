"""A syncer is known by its members."""

from __future__ import annotations

import subprocess
import sys

import pytest

import datastoresync.syncers
from datastoresync import Branch, Object, Tree
from datastoresync.errors import DeclarationError
from datastoresync.syncers import SQLSyncer, Syncer
from datastoresync.syncers.protocol import fault_of


class Whole:
    name = "whole"

    def load(self, identifier):
        return []

    def dump(self, identifier, *, data):
        pass


@pytest.mark.parametrize("missing", ["name", "load", "dump"])
def test_whatever_has_all_three_members_is_one_and_nothing_else(missing):
    members = {name: vars(Whole)[name] for name in ("name", "load", "dump")}
    assert isinstance(type("Found", (), members)(), Syncer)
    del members[missing]
    assert not isinstance(type("Found", (), members)(), Syncer)


@pytest.mark.parametrize("other", [None, 7, "csv:x", {}, object(), SQLSyncer])
def test_other_things_are_none(other):
    assert not isinstance(other, Syncer)


def test_a_database_is_one():
    assert isinstance(SQLSyncer("sqlite://"), Syncer)
    assert fault_of(SQLSyncer("sqlite://")) == ""


def test_classes_and_instances_are_judged_alike():
    assert fault_of(Whole) == fault_of(Whole()) == ""
    kind = type("Part", (Whole,), {"dump": lambda self, identifier: None})
    for each in (kind, kind()):
        assert fault_of(each).startswith("has a dump(")


def test_every_public_name_is_there_and_others_are_not():
    listed = dir(datastoresync.syncers)
    assert set(datastoresync.syncers.__all__) <= set(listed)
    assert callable(datastoresync.syncers.load_syncer)
    with pytest.raises(AttributeError, match=r"'datastoresync\.syncers' has no attribute 'open_sincer'"):
        _ = datastoresync.syncers.open_sincer


def test_stores_are_imported_when_they_are_first_asked_for():
    code = (
        "import sys, datastoresync.syncers as s\n"
        "names = ('registry', 'plugin', 'delimited', 'json', 'excel', 'parquet')\n"
        "print([name for name in names if f'datastoresync.syncers.{name}' in sys.modules])\n"
        "s.open_syncer\n"
        "print([name for name in names if f'datastoresync.syncers.{name}' in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n['registry']\n"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"load": lambda self: []}, r"has a load\(\) that cannot be called .*: write def load\(self, identifier\)"),
        ({"load": lambda self, identifier, token: []}, r"missing a required argument: 'token'"),
        (
            {"read": lambda self, table: []},
            r"has a read\(table\) .*: write def read\(self, table, attributes=None, \*, id",
        ),
    ],
)
def test_what_cannot_be_called_to_read_a_table_is_refused(members, says):
    odd = type("Odd", (Whole,), members)()
    with pytest.raises(DeclarationError, match=f"a table cannot be read: a Odd .*{says}"):
        +Tree("tree", syncer=odd, branches={"users": Branch(Object)})


def test_what_takes_more_by_default_can_be_read():
    class Wide(Whole):
        def load(self, identifier, page=1, **options):
            return [{"idnumber": identifier}]

    assert list((+Tree("tree", syncer=Wide(), branches={"users": Branch(Object)})).users) == ["users"]
