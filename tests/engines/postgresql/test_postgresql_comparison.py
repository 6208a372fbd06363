"""Two tables of one PostgreSQL are compared there, and what it names is what differs in Python."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from profiles import examples
from stored_rows import COLUMNS, converted, fill, layout_of, made, opened, pairs, without_equal, work

from datastoresync import Object, SQLSyncer
from datastoresync.engines.postgresql.relation import open_stored
from datastoresync.engines.relation import CannotPushDown

pytest.importorskip("psycopg")

pytestmark = pytest.mark.alone

law = settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Anything(Object):
    pass


class Thing(Object):
    idnumber: str
    text: str | None
    short: str | int | None
    padded: str | None
    small: Decimal | None
    whole: float | None
    big: str | None
    number: Decimal | None
    price: Decimal | None
    single: float | None
    double: float | None
    truth: bool | None
    day: date | None
    moment: datetime | None
    instant: datetime | None
    clock: object
    name: str | None
    blob: bytes | None
    mood: str | None


class Numbered(Object):
    idnumber: int
    value: object


def compared(left, right, cls, attributes, other=None):
    found = left.differing(right, work(cls, other or cls, attributes))
    sides = [
        converted(relation, chunks, one)
        for relation, chunks, one in ((left, found.left, cls), (right, found.right, other or cls))
    ]
    return [list(side) for side in sides]


@pytest.fixture
def filled(database):
    return made(database)


@pytest.mark.parametrize("cls", [Anything, Thing])
def test_what_the_database_names_is_what_differs_in_python(cls, filled, database):
    @law
    @given(pairs())
    def holds(both):
        fill(filled, here=both[0], there=both[1])
        with SQLSyncer(database) as syncer:
            left, right = (opened(syncer, cls, f"{schema}.things") for schema in ("here", "there"))
            mine, theirs = (
                converted(relation, syncer.read(f"{schema}.things").chunks, cls)
                for relation, schema in ((left, "here"), (right, "there"))
            )
            assert (left.count, right.count) == (len(mine), len(theirs))
            expected = [without_equal(mine, theirs, COLUMNS), without_equal(theirs, mine, COLUMNS)]
            assert compared(left, right, cls, COLUMNS) == expected
            left.close()
            right.close()

    holds()


@pytest.fixture
def both(database, execute):
    """Makes two tables of columns and rows, and opens them by two connections."""
    syncers = [SQLSyncer(database), SQLSyncer(database)]

    def made_both(one, other, cls=Anything, other_class=None):
        for name, columns in (("mine", one), ("theirs", other)):
            execute(database, f"CREATE TABLE {name} AS SELECT {columns}")
        classes = (cls, other_class or cls)
        names = ("mine", "theirs")
        return [opened(*parts) for parts in zip(syncers, classes, names, strict=True)]

    yield made_both
    for syncer in syncers:
        syncer.close()


def test_rows_come_in_the_order_of_their_keys_with_all_columns(both):
    series = "lpad(n::text, 6, '0') AS idnumber, n AS value, 'x' AS carried FROM generate_series(1, {}) AS n"
    left, right = both(series.format(25_000), series.format(3))
    found = left.differing(right, work(Anything, Anything, ["value"]))
    assert found.reason == "both sides are in one PostgreSQL, which compared them"
    chunks = list(found.left)
    keys = [key for columns in chunks for key in columns[0]]
    assert (len(chunks), keys) == (3, [f"{number:06}" for number in range(4, 25_001)])
    assert [columns[2][0] for columns in chunks] == ["x"] * 3
    assert list(found.right) == []


def test_the_two_streams_may_be_read_in_any_order(both):
    series = "n AS idnumber, n{} AS value FROM generate_series(1, 25000) AS n"
    left, right = both(series.format(""), series.format("+1"))
    for first, second in ((0, 1), (1, 0)):
        found = left.differing(right, work(Anything, Anything, ["value"]))
        streams = (found.left, found.right)
        next(streams[first])
        assert [len(columns[0]) for columns in streams[second]] == [10_000, 10_000, 5_000]
        assert [len(columns[0]) for columns in streams[first]] == [10_000, 5_000]


def test_only_the_attributes_that_are_asked_for_are_compared(both):
    left, right = both("1 AS idnumber, 2 AS value, 3 AS other", "1 AS idnumber, 2 AS value, 4 AS other")
    assert compared(left, right, Anything, ["value"]) == [[], []]
    assert compared(left, right, Anything, []) == [[], []]
    assert compared(left, right, Anything, ["value", "other"]) == [[1], [1]]


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("1", "1.0::numeric", False),
        ("true", "1", False),
        ("true", "1.5::numeric", True),
        ("false", "0.0::float8", False),
        ("2147483647", "2147483647::float8", False),
        ("0.1::float4", "0.1::float8", False),
        ("0.1::float4", "0.1::float4::float8", True),
        ("'a '::char(2)", "'a'::text", False),
        ("'a '::char(2)", "'a '::text", True),
        ("'a'::char(2)", "'a'::char(3)", False),
        ("NULL::text", "''", True),
        ("'2024-01-01 01:00+01'::timestamptz", "'2024-01-01 00:00+00'::timestamptz", False),
    ],
)
def test_values_of_two_types_are_equal_where_they_are_in_python(one, other, differs, both):
    left, right = both(f"1 AS idnumber, {one} AS value", f"1 AS idnumber, {other} AS value")
    mine, theirs = (converted(side, side.rows(), Anything) for side in (left, right))
    assert bool(without_equal(mine, theirs, ["value"])) == differs
    assert compared(left, right, Anything, ["value"]) == [[1] * differs, [1] * differs]


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("9007199254740993", "9007199254740992::float8", "value is int on one side and float on the other"),
        ("1.0", "1::float8", "value is numeric on one side and float on the other"),
        ("'1'", "1", "value is text on one side and int on the other"),
        ("'2024-01-01'::date", "'2024-01-01'::timestamp", "value is date on one side and timestamp on the other"),
        ("now()", "now()::timestamp", "value is timestamptz on one side and timestamp on the other"),
    ],
)
def test_values_that_are_compared_in_python(one, other, reason, both):
    left, right = both(f"1 AS idnumber, {one} AS value", f"1 AS idnumber, {other} AS value")
    with pytest.raises(CannotPushDown, match=reason):
        compared(left, right, Anything, ["value"])


def test_keys_of_two_types(both):
    left, right = both("1 AS idnumber, 2 AS value", "1.0 AS idnumber, 2 AS value")
    assert compared(left, right, Anything, ["value"]) == [[], []]


def test_keys_that_cannot_be_equal(both):
    left, right = both("1 AS idnumber, 2 AS value", "'1' AS idnumber, 2 AS value")
    with pytest.raises(CannotPushDown, match="the key is int on one side and text on the other"):
        compared(left, right, Anything, ["value"])


def test_a_number_that_is_declared_as_text_on_one_side(both):
    class Named(Object):
        idnumber: str
        value: str

    left, right = both("1 AS idnumber, 7 AS value", "'1' AS idnumber, '7' AS value", Named)
    assert compared(left, right, Named, ["value"]) == [[], []]


def test_keys_of_several_parts(both):
    class Enrolment(Object):
        _identifiers = ("user", "course")

    rows = "* FROM (VALUES ('a__b', 'c', {}), ('a', 'b__c', 2)) AS rows (\"user\", course, grade)"
    left, right = both(rows.format(1), rows.format(5), Enrolment)
    assert compared(left, right, Enrolment, ["grade"]) == [[("a__b", "c")], [("a__b", "c")]]


def test_keys_of_different_lengths_and_columns_that_are_missing(both):
    class Enrolment(Object):
        _identifiers = ("idnumber", "course")

    left, right = both("1 AS idnumber, 2 AS course", "1 AS idnumber, 3 AS other", Enrolment, Anything)
    with pytest.raises(CannotPushDown, match="the keys have different numbers of parts"):
        compared(left, right, Enrolment, [], Anything)
    with pytest.raises(CannotPushDown, match="course is no column of both sides"):
        compared(left, right, Enrolment, ["course"], Anything)


def test_what_is_elsewhere_is_not_compared(both):
    left, right = both("1 AS idnumber", "1 AS idnumber")
    right.location = "elsewhere"
    with pytest.raises(CannotPushDown, match="the other side is elsewhere"):
        compared(left, right, Anything, [])
    with pytest.raises(CannotPushDown, match="the other side is elsewhere"):
        left.differing(object(), work(Anything, Anything, []))


IN_PLACE = "both sides are in one PostgreSQL, which compared them"


def why_and_keys(left, right, attributes=("value",)):
    found = left.differing(right, work(Anything, Anything, list(attributes)))
    sides = ((left, found.left), (right, found.right))
    return found.reason, [list(converted(side, rows, Anything)) for side, rows in sides]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE things SET value = 3 WHERE idnumber = 1", [[1], [1]]),
        ("INSERT INTO things VALUES (9, 9)", [[], [9]]),
        ("DELETE FROM things WHERE idnumber = 2", [[2], []]),
    ],
)
def test_two_imports_of_one_table_show_what_happened_in_between(change, expected, database, execute):
    execute(database, "CREATE TABLE things AS SELECT n AS idnumber, n AS value FROM generate_series(1, 3) AS n")
    with SQLSyncer(database) as syncer:
        before = opened(syncer, Anything, "things")
        execute(database, change)
        after = opened(syncer, Anything, "things")
        why, found = why_and_keys(before, after)
        assert found == expected
        assert "both sides changed in one PostgreSQL between their imports: checksums of" in why
        assert why_and_keys(after, before)[1] == expected[::-1]
        assert (before.count, [len(chunk[0]) for chunk in before.rows()]) == (3, [3])


def test_each_side_stays_what_it_was_when_it_was_imported(both, database, execute):
    left, right = both("1 AS idnumber, 2 AS value", "1 AS idnumber, 2 AS value")
    execute(database, "UPDATE mine SET value = 3", "INSERT INTO mine VALUES (2, 2)", "INSERT INTO mine VALUES (1, 9)")
    with SQLSyncer(database) as syncer:
        later = opened(syncer, Anything, "theirs")
        execute(database, "UPDATE mine SET value = 4")
        for one in (right, later):
            assert why_and_keys(left, one) == (IN_PLACE, [[], []])
            assert why_and_keys(one, left) == (IN_PLACE, [[], []])
        assert (left.count, list(left.find([1]))) == (1, [[(1,), (2,)]])


def test_what_happens_elsewhere_does_not_matter(both, database, execute):
    left, _ = both("1 AS idnumber, 2 AS value", "1 AS idnumber, 3 AS value")
    execute(database, "CREATE TABLE unrelated AS SELECT 1 AS x")
    with SQLSyncer(database) as syncer:
        later = opened(syncer, Anything, "theirs")
        assert later.snapshot.moment != left.snapshot.moment
        assert why_and_keys(left, later) == (IN_PLACE, [[1], [1]])
        execute(database, "UPDATE theirs SET value = 4")
        latest = opened(syncer, Anything, "theirs")
        assert why_and_keys(left, latest) == (IN_PLACE, [[1], [1]])
        assert list(latest.rows()) == [[(1,), (4,)]]


def test_what_a_transaction_wrote_that_was_going_on_is_seen_to_be_new(database, execute):
    import psycopg

    execute(database, "CREATE TABLE things AS SELECT 1 AS idnumber, 2 AS value")
    with SQLSyncer(database) as syncer, psycopg.connect(database.replace("+psycopg", "")) as writer:
        writer.execute("CREATE TABLE unrelated (x int)")  # so that what is written in the savepoint has another number
        writer.execute("SAVEPOINT one")
        writer.execute("UPDATE things SET value = 3")
        execute(database, "SELECT pg_current_xact_id()")
        before = opened(syncer, Anything, "things")
        writer.commit()
        after = opened(syncer, Anything, "things")
        assert why_and_keys(before, after)[1] == [[1], [1]]
        assert not before.is_unchanged(before.snapshot, after.snapshot)


def test_two_queries_at_two_moments(database, execute):
    execute(database, "CREATE TABLE things AS SELECT 1 AS idnumber, 2 AS value", "CREATE TABLE other (x int)")
    query = "SELECT idnumber, value + (SELECT count(*) FROM other) AS value FROM things"
    with SQLSyncer(database) as syncer:
        before = open_stored(syncer, query=query, layout=layout_of(Anything))
        execute(database, "INSERT INTO other VALUES (1)")
        after = open_stored(syncer, query=query, layout=layout_of(Anything))
        assert why_and_keys(before, after)[1] == [[1], [1]]


def test_nothing_is_sure_of_a_standby(both, database, execute):
    left, _ = both("1 AS idnumber, 2 AS value", "1 AS idnumber, 2 AS value")
    execute(database, "SELECT pg_current_xact_id()")
    with SQLSyncer(database) as syncer:
        later = opened(syncer, Anything, "theirs")
        left.snapshot.moment = None
        assert not left.is_unchanged(left.snapshot, later.snapshot)
        why, found = why_and_keys(left, later)
        assert (found, IN_PLACE in why) == ([[], []], False)


def test_partitions_that_only_their_parent_lets_one_read_are_not_looked_into(database, execute, reader):
    execute(
        database,
        "CREATE TABLE things (idnumber int, value int) PARTITION BY LIST (idnumber)",
        "CREATE TABLE part PARTITION OF things DEFAULT",
        "INSERT INTO things VALUES (1, 2)",
        f"GRANT USAGE ON SCHEMA public TO {reader}",
        f"GRANT SELECT ON things TO {reader}",
    )
    with SQLSyncer(database, connect_args={"options": f"-crole={reader}"}) as syncer:
        before = opened(syncer, Anything, "things")
        execute(database, "CREATE TABLE unrelated (x int)")
        why, found = why_and_keys(before, opened(syncer, Anything, "things"))
        assert (found, IN_PLACE in why) == ([[], []], False)


def test_a_query_and_a_table_of_other_schemas(database, execute):
    execute(database, "CREATE SCHEMA one", "CREATE TABLE one.users AS SELECT 1 AS idnumber, 2 AS value")
    execute(database, "CREATE SCHEMA two", "CREATE TABLE two.users AS SELECT 1 AS idnumber, 3 AS value")
    first, second = (
        SQLSyncer(database, connect_args={"options": f"-csearch_path={schema}"}) for schema in ("one", "two")
    )
    table = opened(second, Anything, "users")
    query = open_stored(first, query="SELECT * FROM users", layout=layout_of(Anything))
    assert compared(query, table, Anything, ["value"]) == [[1], [1]]
    other = open_stored(second, query="SELECT * FROM users", layout=layout_of(Anything))
    with pytest.raises(CannotPushDown, match="the queries look for their tables in different schemas"):
        compared(query, other, Anything, ["value"])
    for syncer in (first, second):
        syncer.close()


def test_texts_of_two_collations(both):
    rows = "n COLLATE \"{0}\" AS idnumber, n COLLATE \"{0}\" AS value FROM unnest(ARRAY['a', 'ä', 'B']) AS n"
    left, right = both(rows.format("ucs_basic"), rows.format("POSIX").replace("'B'", "'b'"))
    assert compared(left, right, Anything, ["value"]) == [["B"], ["b"]]
    assert left.present(["a", "b"]) == {"a"}


def test_questions_in_between_are_answered(both):
    series = "n AS idnumber, n{} AS value FROM generate_series(1, 25000) AS n"
    left, right = both(series.format(""), series.format("+1"))
    found = left.differing(right, work(Anything, Anything, ["value"]))
    next(found.left)
    assert left.present([1, 0]) == {1}
    assert [len(columns[0]) for columns in left.differing(right, work(Anything, Anything, ["value"])).right] == [
        10_000,
        10_000,
        5_000,
    ]
    assert sum(len(columns[0]) for columns in found.left) == 15_000


@pytest.mark.parametrize("reading", [True, False])
def test_a_comparison_may_be_left(reading, both, database, execute):
    series = "n AS idnumber, n{} AS value FROM generate_series(1, 25000) AS n"
    left, right = both(series.format(""), series.format("+1"))
    rows = left.rows()
    other_rows = right.rows()
    if reading:  # then there is only one connection that sees what was imported
        next(rows)
        next(other_rows)
    found = left.differing(right, work(Anything, Anything, ["value"]))
    assert len(next(found.right)[0]) == 10_000
    del found, rows, other_rows
    execute(database, "SET lock_timeout = '2s'", "DROP TABLE mine, theirs")


def test_an_older_driver_sends_row_by_row(both, monkeypatch):
    import psycopg

    class Older:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr(psycopg, "capabilities", Older())
    left, right = both("1 AS idnumber, 2 AS value", "1 AS idnumber, 3 AS value")
    assert compared(left, right, Anything, ["value"]) == [[1], [1]]
