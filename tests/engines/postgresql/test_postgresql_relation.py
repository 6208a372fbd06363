"""A table that stays in PostgreSQL answers like the dictionary of its objects."""

from __future__ import annotations

import enum
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Literal
from uuid import UUID

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from stored_rows import KEYS, layout_of, opened

from datastoresync import Link, Object, SQLSyncer, SyncerError
from datastoresync.engines.postgresql.relation import open_stored
from datastoresync.engines.postgresql.types import LookalikeKeys
from datastoresync.engines.relation import CannotPushDown, Page
from datastoresync.syncers.changes import Table

pytest.importorskip("psycopg")

NOON = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - without a time zone on purpose
RESERVED = {"all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization"}
BOUNDS = [*KEYS, "", "a\0", "a\0b", "\ud800", "a\udfff", "\U0010ffff"]
NUMBERS = [-(2**63), -1, 0, 1, 2, 2**53, 2**53 + 1, 2**63 - 1]
NEAR_NUMBERS = [*NUMBERS, 2**70, -(2**70), 0.5, True, Decimal("1.0"), Decimal("1.5"), float(2**53), float("inf")]


class Anything(Object):
    pass


class Text(Object):
    idnumber: str


class Number(Object):
    idnumber: int


class AsText(Object):
    idnumber: str


class Pair(Object):
    _identifiers = ("first", "second")
    first: str
    second: int


class Mood(enum.Enum):
    SAD = "sad"


@pytest.fixture
def syncer(database):
    with SQLSyncer(database) as opened_one:
        yield opened_one


def keys_of(relation, chunks, identifiers=("idnumber",)):
    places = [relation.columns.index(name) for name in identifiers]
    found = [tuple(row[place] for place in places) for columns in chunks for row in zip(*columns, strict=True)]
    return [key[0] for key in found] if len(places) == 1 else found


def wanted(keys, page):
    found = [
        key
        for key in sorted(keys, reverse=page.backwards)
        if (page.start is None or key >= page.start)
        and (page.after is None or key > page.after)
        and (page.stop is None or key < page.stop)
    ]
    return found[: page.limit]


def pages(bounds):
    bound = st.one_of(st.none(), bounds)
    return st.lists(
        st.builds(Page, bound, bound, bound, st.one_of(st.none(), st.integers(0, 5)), st.booleans()),
        min_size=8,
        max_size=8,
    )


law = settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table(execute, url, columns, rows=(), name="things"):
    import sqlalchemy

    execute(url, f"CREATE TABLE {name} ({columns})")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for row in rows:
            places = ", ".join(f":v{place}" for place in range(len(row)))
            values = {f"v{place}": value for place, value in enumerate(row)}
            connection.execute(sqlalchemy.text(f"INSERT INTO {name} VALUES ({places})"), values)


def answers_like(keys, relation, bounds, identifiers=("idnumber",)):
    """Check pages and look-ups against the keys in Python."""

    @law
    @given(pages(bounds), st.lists(bounds))
    def holds(several, asked):
        for page in several:
            assert keys_of(relation, relation.rows(page), identifiers) == wanted(keys, page)
        assert relation.present(asked) == set(asked) & set(keys)
        assert set(keys_of(relation, relation.find(asked), identifiers)) == set(asked) & set(keys)

    holds()


def test_texts_are_found_and_ordered_by_code_point(database, execute, syncer):
    table(execute, database, "idnumber text PRIMARY KEY", [(key,) for key in KEYS])
    relation = opened(syncer, Text, "things")
    assert relation.count == len(KEYS)
    assert sorted(keys_of(relation, relation.rows())) == sorted(KEYS)
    answers_like(KEYS, relation, st.sampled_from(BOUNDS))
    assert relation.present([1, None, ("a",), "a"]) == {"a"}


def test_padded_texts_have_no_blanks_at_their_end(database, execute, syncer):
    table(execute, database, "idnumber char(3) PRIMARY KEY", [("a",), ("ab ",), ("abc",)])
    relation = opened(syncer, Text, "things")
    answers_like(["a", "ab", "abc"], relation, st.sampled_from(["a", "a  ", "ab ", "abc"]))


def test_numbers_are_found_by_whatever_is_equal_to_them(database, execute, syncer):
    table(execute, database, "idnumber bigint PRIMARY KEY", [(number,) for number in NUMBERS])
    relation = opened(syncer, Number, "things")
    answers_like(NUMBERS, relation, st.sampled_from(NEAR_NUMBERS))
    assert relation.present([float("nan"), "1", 1]) == {1}


def test_decimals(database, execute, syncer):
    numbers = [Decimal("1.50"), Decimal(2), Decimal("1e30")]
    table(execute, database, "idnumber numeric PRIMARY KEY", [(number,) for number in numbers])
    relation = opened(syncer, Anything, "things")
    answers_like(numbers, relation, st.sampled_from([*numbers, Decimal("1.5"), 2, 1.5, 10**30, float("-inf")]))


def test_numbers_that_are_declared_as_text_are_texts(database, execute, syncer):
    table(execute, database, "idnumber integer PRIMARY KEY", [(1,), (2,), (10,)])
    relation = opened(syncer, AsText, "things")
    assert relation.present(["1", "01", 1]) == {"1"}
    assert keys_of(relation, relation.rows(Page())) == [1, 10, 2]


def test_days_moments_and_names(database, execute, syncer):
    for kind, keys, strangers in (
        ("date", [date(2024, 1, 1), date(2024, 1, 2)], [NOON, "2024-01-01"]),
        ("timestamp", [NOON, NOON + timedelta(days=1)], [date(2024, 1, 1)]),
        ("uuid", [UUID(int=1), UUID(int=2)], [str(UUID(int=1))]),
        ("bytea", [b"a", b"b"], ["a"]),
    ):
        table(execute, database, f"idnumber {kind} PRIMARY KEY", [(key,) for key in keys], kind)
        relation = opened(syncer, Anything, kind)
        answers_like(keys, relation, st.sampled_from(keys))
        assert relation.present(strangers) == set()
        for stranger in strangers:
            with pytest.raises(TypeError, match=f"idnumbers here are {kind}, and cannot be compared"):
                list(relation.rows(Page(start=stranger)))


def test_an_aware_moment_is_none_of_those_without_a_zone(database, execute, syncer):
    table(execute, database, "idnumber timestamp PRIMARY KEY", [(NOON,)])
    assert opened(syncer, Anything, "things").present([NOON.replace(tzinfo=UTC)]) == set()


def test_keys_of_several_parts(database, execute, syncer):
    keys = [("a", 1), ("a", 2), ("A", 3), ("b", -1), ("a\n", 0)]
    table(execute, database, "first text, second int, UNIQUE (second, first)", keys)
    relation = opened(syncer, Pair, "things")
    bounds = [*keys, ("a",), (), ("a\0", 3), ("\ud800", 1), ("c", 0.5)]
    answers_like(keys, relation, st.sampled_from(bounds), ("first", "second"))
    assert relation.present(["a", ("a", 1, 2), ("a", "1")]) == set()


def test_very_many_keys_at_once(database, execute, syncer):
    execute(
        database,
        "CREATE TABLE things AS SELECT n AS idnumber FROM generate_series(1, 25000) AS n",
        "ALTER TABLE things ADD PRIMARY KEY (idnumber)",
    )
    relation = opened(syncer, Number, "things")
    assert len(relation.present(range(-20_000, 30_000))) == 25_000


def test_a_sample_is_of_the_first_rows(database, execute, syncer):
    table(execute, database, "idnumber int PRIMARY KEY, name text, other text", [(1, None, None), (2, "Ann", None)])
    assert opened(syncer, Anything, "things").sample == {"idnumber": 1, "name": "Ann", "other": None}
    execute(database, "DELETE FROM things")
    empty = opened(syncer, Anything, "things")
    assert empty.sample == {"idnumber": None, "name": None, "other": None}
    assert (empty.count, list(empty.rows()), list(empty.rows(Page()))) == (0, [], [])


def test_columns_have_the_names_of_their_attributes(database, execute, syncer):
    long = "attribute_" * 10
    table(execute, database, '"ID %" text PRIMARY KEY, "b:x" text, c text', [("1", "2", "3")])
    relation = open_stored(
        syncer, table=Table("things", columns={"idnumber": "ID %", long: "b:x"}), layout=layout_of(Anything)
    )
    assert relation.columns == ("idnumber", long, "c")
    assert list(relation.rows()) == [[("1",), ("2",), ("3",)]]
    some = open_stored(
        syncer,
        table=Table("things", columns={"idnumber": "ID %"}),
        attributes=["c", "idnumber"],
        layout=layout_of(Anything),
    )
    assert list(some.find(["1"])) == [[("3",), ("1",)]]
    assert repr(some).startswith("<StoredRelation: 1 rows of table 'things' of postgresql")


def test_a_query_is_a_relation_too(database, execute, syncer):
    table(execute, database, "id text PRIMARY KEY, share text", [("1", "5%"), ("2", None)])
    query = """SELECT id AS idnumber, share::text, 'a:b' AS "x y" FROM things WHERE share LIKE '%'"""
    relation = open_stored(syncer, query=query, layout=layout_of(Anything))
    assert relation.columns == ("idnumber", "share", "x y")
    assert list(relation.rows()) == [[("1",), ("5%",), ("a:b",)]]
    by_parameter = open_stored(
        syncer,
        query="SELECT id AS idnumber FROM things WHERE id = :one",
        parameters={"one": "2"},
        layout=layout_of(Text),
    )
    assert list(by_parameter.rows(Page())) == [[("2",)]]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT '1' AS idnumber LIMIT 1", "a query with LIMIT may give other rows each time"),
        ("SELECT random()::text AS idnumber", r"random\(\) may give something else each time"),
        (r"SELECT E'\:a' AS idnumber", "a query with backslashes is sent as it is"),
        ("SELECT random/**/()::text AS idnumber", r"random\(\) may give something else each time"),
        ('SELECT "random" -- (\n ()::text AS idnumber', r"random\(\) may give"),
        ("SELECT '$a$' || random()::text || '$a$' AS idnumber", r"random\(\) may give"),
        ("SELECT pg_catalog.CLOCK_timestamp()::text AS idnumber", r"clock_timestamp\(\) may give"),
        ("SELECT now()::text AS idnumber", r"now\(\) may give"),
        ("SELECT pg_backend_pid()::text AS idnumber", r"pg_backend_pid\(\) may give"),
        ("SELECT current_date::text AS idnumber", "a query with CURRENT_DATE may give"),
        ("SELECT ('Now'::text)::date::text AS idnumber", "a query with 'now' may give"),
        ("SELECT '1' AS idnumber /* a /* b */ */", "a comment in a comment"),
        (r"SELECT E'\'' AS idnumber", "a query with escapes is sent as it is"),
        ('SELECT U&"\\0072andom"()::text AS idnumber', "is sent as it is"),
        ("SELECT table_name::text AS idnumber FROM information_schema.tables", "there is a view in it"),
        ("SELECT '1' AS idnumber FROM pg_class TABLESAMPLE SYSTEM (1)", "TABLESAMPLE"),
        ("SELECT '1' AS idnumber, 2 AS idnumber", "columns without names of their own"),
        ("SELECT 'a'::bpchar AS idnumber", "idnumber is of a type without a counterpart"),
        ("SELECT '1' AS other", "idnumber is not both a column and a field"),
        ("SELECT '1' AS idnumber UNION ALL SELECT '1'", "an idnumber is there twice"),
        ("CREATE TABLE made (a int)", "cannot be read in place"),
        ("SELECT '1' AS idnumber; SELECT '2'", "cannot be read in place"),
    ],
)
def test_a_query_that_has_to_be_read(query, reason, database, syncer):
    with pytest.raises(CannotPushDown, match=reason):
        open_stored(syncer, query=query, layout=layout_of(Anything))


def test_what_is_no_code_of_a_query_does_not_matter(database, execute, syncer):
    execute(database, """CREATE TABLE things AS SELECT '1' AS idnumber, 'x' AS "random" """)
    query = """SELECT idnumber, "random", $a$random()$a$ AS a, 'limit now()' AS b, E'it\\\\ now()' AS c
        FROM things -- limit random()
        /* random() */"""
    relation = open_stored(syncer, query=query, layout=layout_of(Anything))
    assert list(relation.rows()) == [[("1",), ("x",), ("random()",), ("limit now()",), ("it\\ now()",)]]


@pytest.mark.parametrize(
    ("definition", "query", "reason"),
    [
        (
            "FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
            "SELECT F (idnumber) AS idnumber FROM things",
            r"f\(\) may give",
        ),
        (
            "FUNCTION f() RETURNS SETOF things STABLE LANGUAGE sql AS 'SELECT * FROM things LIMIT 1'",
            "SELECT * FROM f()",
            r"f\(\) may give",
        ),
        (
            "FUNCTION f(things) RETURNS text LANGUAGE sql AS 'SELECT random()::text'",
            "SELECT idnumber, things.f AS name FROM things",
            r"f\(\) may give",
        ),
        (
            "OPERATOR !~~~ (FUNCTION = textcat_anew, LEFTARG = text, RIGHTARG = text)",
            "SELECT idnumber, idnumber !~~~ idnumber AS name FROM things",
            "the operator !~~~ may give",
        ),
    ],
)
def test_what_others_may_make_anew_has_to_be_read(definition, query, reason, database, execute, syncer):
    execute(
        database,
        "CREATE TABLE things AS SELECT '1' AS idnumber",
        "CREATE FUNCTION textcat_anew(text, text) RETURNS text LANGUAGE sql AS 'SELECT random()::text'",
        f"CREATE {definition}",
    )
    with pytest.raises(CannotPushDown, match=reason):
        open_stored(syncer, query=query, layout=layout_of(Anything))


@pytest.mark.parametrize("query", [None, "SELECT * FROM seen", "SELECT * FROM (SELECT * FROM more) AS more"])
def test_views_have_to_be_read(query, database, execute, syncer):
    execute(
        database,
        "CREATE TABLE things AS SELECT '1' AS idnumber",
        "CREATE VIEW seen AS SELECT idnumber, random() AS value FROM things",
        "CREATE VIEW more AS SELECT * FROM seen",
    )
    what = {"query": query} if query else {"table": Table("seen")}
    with pytest.raises(CannotPushDown, match="there is a view in it, which may give other rows each time"):
        open_stored(syncer, layout=layout_of(Anything), **what)


def test_a_materialized_view_is_a_table(database, execute, syncer):
    execute(database, "CREATE MATERIALIZED VIEW things AS SELECT '1' AS idnumber")
    relation = opened(syncer, Text, "things")
    assert list(relation.rows()) == [[("1",)]]
    execute(database, "REFRESH MATERIALIZED VIEW things")
    with pytest.raises(SyncerError, match="was altered, emptied or recreated"):
        list(relation.rows())


def test_rows_that_are_not_in_a_table_of_the_database_have_to_be_read(database, execute, syncer, monkeypatch):
    # A stand-in: no foreign data wrapper comes with the server of these tests.
    monkeypatch.setattr("datastoresync.engines.postgresql.source._ELSEWHERE", ("Foreign Scan", "Seq Scan"))
    execute(database, "CREATE TABLE things AS SELECT '1' AS idnumber")
    with pytest.raises(CannotPushDown, match="there is a seq scan in it"):
        opened(syncer, Anything, "things")


LOOKS = [
    (["a", "b", "ab"], False),
    (["A", "B"], False),
    (["A", "b"], False),
    (["A", "a"], True),
    (["a", "a "], True),
    (["a ", "b "], False),
    (["a", "\x1fa"], True),
    (["\x01a", "a"], False),
    (["ä", "Ä"], True),
    (["ä", "a\u0308"], True),
    (["ä", "ö", "a", "B"], False),
    (["k", "\u212a"], True),
    (["fi", "\ufb01"], True),
    (["ß", "SS"], True),
    (["a", "\u2003a"], True),
]


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
@pytest.mark.parametrize(("keys", "alike"), LOOKS)
def test_idnumbers_that_look_alike_have_to_be_read(keys, alike, encoding, database, execute, syncer, monkeypatch):
    table(execute, database, "idnumber text PRIMARY KEY", [(key,) for key in keys])
    held = (
        opened(
            syncer,
            Anything,
            "things",
        )
        if not alike
        else None
    )
    monkeypatch.setattr(
        "datastoresync.engines.postgresql.snapshot.Snapshot.encoding",
        property(lambda _: encoding, lambda *_: None),
        raising=False,
    )
    if alike:
        with pytest.raises(CannotPushDown, match="some idnumbers may look alike"):
            opened(syncer, Anything, "things")
    else:
        assert opened(syncer, Anything, "things").count == held.count == len(keys)


@pytest.fixture
def connection(database):
    engine = sa.create_engine(database)
    with engine.connect() as opened_one:
        yield opened_one
    engine.dispose()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.sampled_from('aAzZ09_ -\t"ä\x00é.') | st.characters(codec="utf-8"), max_size=4),
        min_size=1,
        max_size=4,
    )
)
def test_plain_idnumbers_are_those_of_small_letters_digits_and_underscores(connection, keys):
    keys = [key.replace("\0", "") for key in keys]
    values = sa.values(sa.column("key", sa.Text), name="keys").data([(key,) for key in keys])
    form = SimpleNamespace(family="text", value=values.c.key)
    plain = connection.execute(sa.select(LookalikeKeys(values, SimpleNamespace(columns=[form])).plain)).scalar_one()
    small = all(re.fullmatch("[a-z0-9_]*", key) for key in keys)
    assert plain == (small and not RESERVED & {f"a{key}" for key in keys})


@pytest.mark.parametrize(
    ("rows", "alike"),
    [
        ([("a", 1), ("A", 2)], False),
        ([("a", 1), ("A", 1)], True),
        ([("ä", 1), ("Ä", 2), ("a", 1)], False),
        ([("ä", 1), ("Ä", 1)], True),
        ([("k", 1), ("\u212a", 1)], True),
        ([("k", 1), ("\u212a", 2)], False),
    ],
)
def test_keys_of_several_parts_that_look_alike(rows, alike, database, execute, syncer):
    table(execute, database, "first text, second int, PRIMARY KEY (first, second)", rows)
    if alike:
        with pytest.raises(CannotPushDown, match="some idnumbers may look alike"):
            opened(syncer, Pair, "things")
    else:
        assert opened(syncer, Pair, "things").count == len(rows)


KINDS = [
    ("text", "'a'", str),
    ("text", "NULL", str | None),
    ("text", "''", str | None),
    ("integer", "1", int | str),
    ("integer", "1", Decimal),
    ("smallint", "1", float),
    ("uuid", "gen_random_uuid()", str),
    ("numeric", "1.50", Decimal),
    ("date", "'2024-01-01'", date | None),
    ("timestamptz", "now()", datetime),
]
REFUSED = [
    ("text", "NULL", str, "value is NULL somewhere"),
    ("text", "'1'", int, "value is text in the database and declared int"),
    ("bigint", "1", float, "value is int8 in the database and declared float"),
    ("text", "'sad'", Mood, "value is text in the database and declared Mood"),
    ("text", "'a'", Literal["a"], "value is text in the database and declared Literal"),
    ("text", "'a'", bool | Literal["b"], "declared"),
    ("text", "'a'", set[str], "value is text in the database and declared set"),
    ("timestamp", "'2024-01-01'", date, "value is timestamp in the database and declared date"),
    ("numeric", "'NaN'", Decimal, "value is somewhere what Python has no value for"),
    ("date", "'infinity'", date, "no value for"),
    ("date", "'0044-03-15 BC'", date, "no value for"),
    ("timestamp", "'-infinity'", datetime, "no value for"),
    ("timestamptz", "'infinity'", datetime, "no value for"),
    ("time", "'24:00'", object, "no value for"),
    ("jsonb", "'1'", object, "value is of a type without a counterpart"),
    ("integer[]", "'{1}'", object, "without a counterpart"),
    ("interval", "'1 year'", object, "without a counterpart"),
]


def declared(annotation):
    return type("Declared", (Object,), {"__annotations__": {"idnumber": str, "value": annotation}})


@pytest.mark.parametrize(("kind", "value", "annotation"), KINDS)
def test_types_that_have_a_counterpart(kind, value, annotation, database, execute, syncer):
    execute(database, f"CREATE TABLE things AS SELECT '1' AS idnumber, {value}::{kind} AS value")
    relation = opened(syncer, declared(annotation), "things")
    [(_, (found,))] = relation.rows()
    assert [found] == [row["value"] for row in syncer.read("things")]


@pytest.mark.parametrize(("kind", "value", "annotation", "reason"), REFUSED)
def test_types_that_have_to_be_read(kind, value, annotation, reason, database, execute, syncer):
    execute(database, f"CREATE TABLE things AS SELECT '1' AS idnumber, {value}::{kind} AS value")
    with pytest.raises(CannotPushDown, match=reason):
        opened(syncer, declared(annotation), "things")


@pytest.mark.parametrize(
    ("columns", "rows", "cls", "reason"),
    [
        ("idnumber text", [("a",), ("a",)], Text, "an idnumber is there twice"),
        ("idnumber text", [(None,)], Text, "idnumber is NULL somewhere"),
        ("idnumber text PRIMARY KEY", [("",)], Text, "idnumber is empty somewhere"),
        ("idnumber bytea PRIMARY KEY", [(b"",)], Anything, "idnumber is empty somewhere"),
        ("idnumber float PRIMARY KEY", [(1.0,)], Anything, "idnumber is float, whose order"),
        (
            "idnumber timestamptz PRIMARY KEY",
            [(NOON,)],
            Anything,
            "idnumber is timestamptz, whose order",
        ),
        ("idnumber text PRIMARY KEY, extra text", [], Text, "extra is not both a column and a field"),
        ("other text PRIMARY KEY", [], Text, "idnumber is not both a column and a field"),
        ("other text PRIMARY KEY", [], Anything, "idnumber is not both a column and a field"),
    ],
)
def test_tables_that_have_to_be_read(columns, rows, cls, reason, database, execute, syncer):
    table(execute, database, columns, rows)
    with pytest.raises(CannotPushDown, match=reason):
        opened(syncer, cls, "things")


def test_children_do_not_share_the_index_of_their_parent(database, execute, syncer):
    table(execute, database, "idnumber text PRIMARY KEY", [("a",)])
    execute(database, "CREATE TABLE more () INHERITS (things)", "INSERT INTO more VALUES ('a')")
    with pytest.raises(CannotPushDown, match="an idnumber is there twice"):
        opened(syncer, Text, "things")


@pytest.mark.parametrize(
    "index",
    ["UNIQUE (idnumber, value)", "UNIQUE (value) INCLUDE (idnumber)", "EXCLUDE (idnumber WITH =) WHERE (false)"],
)
def test_only_an_index_on_the_key_tells_its_rows_apart(index, database, execute, syncer):
    if "EXCLUDE" in index:
        execute(database, "CREATE TABLE things (idnumber text, value text)")
        execute(database, "CREATE UNIQUE INDEX partial ON things (idnumber) WHERE value = 'x'")
    else:
        execute(database, f"CREATE TABLE things (idnumber text, value text, {index})")
    execute(database, "INSERT INTO things VALUES ('a', 'b'), ('a', 'c')")
    with pytest.raises(CannotPushDown, match="an idnumber is there twice"):
        opened(syncer, Anything, "things")


def test_memberships_and_converters_of_ones_own_have_to_be_read(database, execute, syncer):
    class Own(Object):
        idnumber: str
        value: str = attrs.field(converter=str.upper)

    table(execute, database, "idnumber text PRIMARY KEY, value text", [])
    with pytest.raises(CannotPushDown, match="value has a converter of its own"):
        opened(syncer, Own, "things")
    links = {"members": Link("things", "idnumber", "value")}
    with pytest.raises(CannotPushDown, match="members is a membership"):
        open_stored(syncer, table=Table("things", links=links), layout=layout_of(Anything))
