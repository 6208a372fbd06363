"""Lines for COPY: PostgreSQL reads just the values that they were made of, and what has no such form is left alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastoresync.syncers.sql import copy_staging as sql_lines
from datastoresync.syncers.sql.copy_staging import lines_of

KINDS = {
    "text": (str, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)),
    "bigint": (int, st.integers(-(2**63), 2**63 - 1)),
    "boolean": (bool, st.booleans()),
    "date": (date, st.dates()),
    "uuid": (UUID, st.uuids()),
}
TYPES = [frozenset({kind, type(None)}) for kind, _ in KINDS.values()]
ROWS = st.lists(st.tuples(*(st.none() | values for _, values in KINDS.values())), max_size=12)
HARD = ["\\N", "\\.", "\\", "\t", "\n", "\r", "\r\n", "a\tb\\nc", "", " ", "NULL", '"', "'", ",", "\x7f", "\x1b"]


@pytest.fixture
def read_back(database):
    """Copies lines into a table, and gives what it holds then."""
    engine = sqlalchemy.create_engine(database)
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(KINDS))

    def run(blocks):
        with engine.connect() as connection:  # and taken back
            connection.exec_driver_sql(f"create temp table lines (place integer, {columns})")
            with connection.connection.cursor() as cursor, cursor.copy("copy lines from stdin") as copy:
                for block in blocks:
                    copy.write(block)
            return [tuple(row) for row in connection.exec_driver_sql("select * from lines order by place")]

    yield run
    engine.dispose()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_the_database_reads_what_was_written(rows, data, read_back):
    wanted = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1)))) if rows else []
    columns = list(zip(*rows, strict=True)) or [()] * len(KINDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql_lines, "_ROWS", data.draw(st.integers(1, 5)))
        found = read_back(lines_of(TYPES, columns, wanted))
    assert found == [(number, *rows[number]) for number in wanted]


def test_texts_with_a_meaning_of_their_own_are_only_texts(read_back):
    rows = [(text, None, None, None, None) for text in HARD]
    found = read_back(lines_of(TYPES, list(zip(*rows, strict=True)), range(len(rows))))
    assert [row[1] for row in found] == HARD


@pytest.mark.parametrize("kind", [float, Decimal, bytes])
def test_what_has_several_forms_has_no_lines(kind):
    assert lines_of([*TYPES, frozenset({kind, type(None)})], [()] * (len(TYPES) + 1), ()) is None


def test_no_more_rows_than_a_block_are_made_at_a_time(monkeypatch):
    monkeypatch.setattr(sql_lines, "_ROWS", 2)
    blocks = lines_of([frozenset({int})], [[10, 11, 12, 13, 14]], [0, 1, 2, 4])
    assert list(blocks) == ["0\t10\n1\t11\n", "2\t12\n4\t14\n"]
