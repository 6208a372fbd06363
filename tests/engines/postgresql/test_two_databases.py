"""Two databases are compared by the checksums of their rows."""

from __future__ import annotations

from uuid import UUID

import pytest
from stored_rows import converted, opened, work

from datastoresync import Object, SQLSyncer
from datastoresync.engines.postgresql.comparison import differing_by_checksums
from datastoresync.engines.relation import CannotPushDown

pytest.importorskip("psycopg")


class Anything(Object):
    pass


class Named(Object):
    idnumber: int
    value: str


@pytest.fixture
def both(database, execute):
    """Makes two tables, and opens them by two connections; to this comparison it is all one where they are."""
    syncers = [SQLSyncer(database), SQLSyncer(database)]

    def made_both(one, other, cls=Anything):
        for name, columns in (("mine", one), ("theirs", other)):
            execute(database, f"CREATE TABLE {name} AS SELECT {columns}")
        execute(database, "SELECT pg_current_xact_id()")  # so that the two are of different moments
        left = opened(syncers[0], cls, "mine")
        execute(database, "SELECT pg_current_xact_id()")
        return left, opened(syncers[1], cls, "theirs")

    yield made_both
    for syncer in syncers:
        syncer.close()


def compared(left, right, cls, attributes):
    found = differing_by_checksums(left, right, work(cls, cls, attributes))
    return [list(converted(side, rows, cls)) for side, rows in ((left, found.left), (right, found.right))]


def test_rows_that_differ_are_named(both):
    rows = "n AS idnumber, n || '{}' AS value, n + 0.5 AS share FROM generate_series({}, 20) AS n"
    left, right = both(rows.format("", 1), rows.format("", 3).replace("n || ''", "replace(n::text, '7', 'x')"))
    assert compared(left, right, Anything, ["value", "share"]) == [[1, 2, 7, 17], [7, 17]]
    assert compared(left, right, Anything, ["share", "idnumber"]) == [[1, 2], []]


def test_converted_values_are_compared(both):
    left, right = both("1 AS idnumber, '7' AS value", "1 AS idnumber, 7 AS value", Named)
    assert compared(left, right, Named, ["value"]) == [[], []]


def test_padded_texts_are_compared_without_the_blanks(both):
    left, right = both("1 AS idnumber, 'a'::char(3) AS value", "1 AS idnumber, 'a' AS value")
    assert compared(left, right, Anything, ["value"]) == [[], []]


def test_keys_that_have_to_be_converted_are_left_to_others(both):
    class Converted(Object):
        idnumber: str

    left, right = both(f"'{UUID(int=1)}'::uuid AS idnumber", f"'{UUID(int=1)}'::uuid AS idnumber", Converted)
    with pytest.raises(CannotPushDown, match="idnumber is uuid in the database, and another type here"):
        compared(left, right, Converted, [])


def test_keys_with_other_names_are_left_to_others(both):
    class Other(Object):
        _identifiers = ("value",)

    left, right = both("1 AS idnumber, 2 AS value", "1 AS idnumber, 2 AS value")
    right.identifiers = Other._identifiers
    with pytest.raises(CannotPushDown, match="the keys have different names"):
        compared(left, right, Anything, [])
