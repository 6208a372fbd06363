"""What differs is found the same whether it is held in memory or kept in temporary files."""

from __future__ import annotations

import csv
import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import NO_LIMITS

from datastoresync import Branch, CSVImporter, Object, SafeguardError, Template, Tree
from datastoresync.engines import engine as pairing

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

law = settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMNS = ("idnumber", "name", "grade", "since")
ROWS = st.dictionaries(
    st.sampled_from([f"k{number}" for number in range(12)]),
    st.tuples(
        st.sampled_from(["Ann", "Bob", "é\U0001f600", "a,b", 'a "b"']),
        st.integers(-3, 3).map(str),
        st.dates(datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)).map(str),
    ),
)


class Person(Object):
    name: str
    grade: int
    since: datetime.date


class Accounts(Template):
    def new(self, action):
        """Take it."""

    update = old = new


@pytest.fixture
def streaming(monkeypatch):
    monkeypatch.setattr(pairing, "MANY", 0)


def trees(folder, *sides, object_class=Person, engine="duckdb"):
    """Return a tree over a file for each side."""
    found = []
    for name, rows in zip(("source", "dest"), sides, strict=True):
        path = folder / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            # A table has rows; this one is on both sides.
            writer.writerows([("always", "Zoe", "0", "2024-01-01"), *((key, *rest) for key, rest in rows.items())])

        class People(Tree):
            people = Branch(object_class, importer=CSVImporter(path), engine=engine)

        found.append(+People(name))
    return found


@pytest.mark.parametrize("object_class", [Person, Object])
@law
@given(ROWS, ROWS)
def test_streamed_candidates_give_the_same_diff(streaming, tmp_path, object_class, mine, theirs):
    source, dest = trees(tmp_path, mine, theirs, object_class=object_class)
    streamed = source - dest
    held = trees(tmp_path, mine, theirs, object_class=object_class, engine="memory")
    expected = held[0] - held[1]
    assert streamed.streamed is bool(expected)
    assert list(streamed) == list(expected)
    assert (streamed.stat, streamed.branch_diffs[0].pairs) == (expected.stat, expected.branch_diffs[0].pairs)
    assert list(-streamed) == list(-expected)
    assert [streamed.values(action) for action in streamed] == [expected.values(action) for action in expected]


def test_after_a_streamed_diff_was_applied_the_branch_is_imported_again(streaming, tmp_path):
    source, dest = trees(tmp_path, {"a": ("Ann", "1", "2024-01-01")}, {"b": ("Bob", "1", "2024-01-01")})
    before = dest.people.imported
    report = (source - dest) | Accounts
    assert report.ok
    (tmp_path / "dest.csv").write_bytes((tmp_path / "source.csv").read_bytes())
    assert list(source - dest) == []
    assert dest.people.imported is not before
    assert dest.people["a"].name == "Ann"


def test_what_was_changed_by_hand_beside_too_many_differences_is_compared_in_memory(streaming, tmp_path):
    source, dest = trees(tmp_path, {"a": ("Ann", "1", "2024-01-01")}, {"b": ("Bob", "1", "2024-01-01")})
    dest.people["always"].name = "Zora"
    diff = source - dest
    assert not diff.streamed
    assert [action.message for action in diff] == [
        "new_people(idnumber='a')",
        "update_name(idnumber='always', attr='name', value='Zoe')",
        "old_people(idnumber='b')",
    ]
    assert "changed by hand" in diff.explain()


def test_limits_hold_for_a_streamed_diff(streaming, tmp_path):
    source, dest = trees(tmp_path, {}, {f"k{number}": ("Ann", "1", "2024-01-01") for number in range(9)})
    assert (source > dest).refused
    with pytest.raises(SafeguardError, match="deletions"):
        source - dest | Accounts
    assert Accounts().apply(source - dest, limits=NO_LIMITS).succeeded == 9
