from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from spark_session import started

from datastoresync import Branch, Object, SchemaMismatchError, Tree
from datastoresync.errors import ConversionError, DuplicateError

pytestmark = [
    pytest.mark.spark,
    # PySpark warns of every pandas that is newer than itself.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return started(tmp_path_factory.mktemp("spark"))


class Row(Object):
    idnumber: str
    name: str
    grade: int | None
    rate: float | None
    price: Decimal | None
    born: date | None


SCHEMA = "idnumber string, name string, grade string, rate string, price string, born string"
rows = st.dictionaries(
    st.sampled_from(["a", "b", "\u00e9", "e\u0301", "\U0001f600", "'", '"', "\\", "x\ny"]),
    st.tuples(
        st.sampled_from(["", "n", "N", " n", "\u00e9", "e\u0301", "nul\0l", "\U0001f600", "o'neil", "back\\slash"]),
        st.sampled_from(["", None, "7", "07", "-0", "0", "9" * 30]),
        st.sampled_from(["", None, "1", "1.0", "1e0", "-0.0", "0", "nan", "NaN", "-inf", "0.1"]),
        st.sampled_from(["", None, "1.50", "1.5", "15e-1", "0", "-0"]),
        st.sampled_from(["", None, "2024-02-29", "0001-01-04"]),
    ),
    min_size=1,
)


def tree(name, source, engine, cls=Row):
    return +Tree(name, branches={"rows": Branch(cls, importer=source, engine=engine)})


@settings(
    max_examples=3,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # every step of shrinking would be a job of Spark's
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.filterwarnings("ignore::datastoresync.DataWarning")
@given(rows, rows)
def test_spark_gives_the_same_actions_as_memory(session, mine, theirs):
    frames = [
        session.createDataFrame([(key, *values) for key, values in table.items()], SCHEMA) for table in (mine, theirs)
    ]
    diffs = {}
    for engine in ("spark", "memory"):
        source, dest = tree("source", frames[0], engine), tree("dest", frames[1], engine)
        diffs[engine] = source - dest
        assert f"rows: {engine} engine" in diffs[engine].explain()
        assert len(source.rows) == len(mine)
    assert diffs["spark"] == diffs["memory"]


def test_a_function_that_gives_a_dataframe_is_asked_at_every_import(session):
    asked = []

    def frame():
        asked.append(True)
        return session.createDataFrame([(str(len(asked)), "n")], "idnumber string, name string")

    source = tree("source", frame, "auto", Object)
    assert list(source.rows) == ["1"]
    assert list((+source).rows) == ["2"]


@pytest.mark.parametrize(
    ("given", "error"), [([("a", "x")], ConversionError), ([("a", "1"), ("a", "2")], DuplicateError)]
)
def test_what_is_refused_is_refused_as_in_memory(session, given, error):
    class Graded(Object):
        idnumber: str
        grade: int

    messages = []
    for engine in ("spark", "memory"):
        with pytest.raises(error) as caught:
            tree("source", session.createDataFrame(given, "idnumber string, grade string"), engine, Graded)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_mismatch_is_the_same_as_in_memory(session):
    messages = []
    for engine in ("spark", "memory"):
        source = tree("source", session.createDataFrame([("a", "7")], "idnumber string, grade string"), engine, Object)
        dest = tree("dest", session.createDataFrame([("a", 7)], "idnumber string, grade int"), engine, Object)
        with pytest.raises(SchemaMismatchError) as caught:
            source - dest
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.filterwarnings("ignore::datastoresync.DataWarning")
def test_a_branch_is_read_in_order(session):
    given = [(key,) for key in ["b", "\U0001f600", "\uffff", "a", "B", "\u00e9"]]
    held = tree("source", session.createDataFrame(given, "idnumber string"), "auto", Object).rows
    assert list(held) == sorted(key for (key,) in given)
    assert list(reversed(held)) == sorted((key for (key,) in given), reverse=True)


def test_a_column_may_have_any_name(session):
    given = [{"idnumber": "a", "origin": "o", "size": "s", "a b`c": "x"}]
    frame = session.createDataFrame(given)
    assert tree("source", frame, "auto", Object).rows["a"].origin == "o"
