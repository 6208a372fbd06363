"""Lines that do not fit into memory together are compared some at a time."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastoresync import Branch, CSVImporter, DuckDB, Object
from datastoresync.engines import comparison

DUCKDB = DuckDB(threads=1)
PEOPLE = st.dictionaries(st.integers(0, 40).map(str), st.sampled_from(["Ann", "Bob", "", "Zoë"]), min_size=1)


@pytest.fixture(autouse=True, scope="module")
def running():
    held = DUCKDB.opened()
    yield
    del held


def branch(folder, name, people, engine):
    path = folder / f"{name}.csv"
    lines = ["idnumber,name", *(f"{key},{value}" for key, value in people.items())]
    path.write_text("".join(f"{line}\n\n" for line in lines), encoding="utf-8")
    return +Branch(Object, importer=CSVImporter(path), engine=engine)


@given(source=PEOPLE, dest=PEOPLE, passes=st.integers(2, 4))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_of_them_are_compared(source, dest, passes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    memory = branch(folder, "source", source, "memory") - branch(folder, "dest", dest, "memory")
    sides = branch(folder, "source", source, DUCKDB), branch(folder, "dest", dest, DUCKDB)
    size = min(one.contents.objects.relation.whole()[2] for one in sides)
    conditions = []

    def parts(unlike, size):
        conditions.extend(split(unlike, size))
        return conditions

    split = comparison._parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "_NEEDED", (passes - 0.5) * 1.3 * 2**30 / size)  # the limit is rounded
        patch.setattr(comparison, "_parts", parts)
        found = sides[0] - sides[1]
    assert list(found) == list(memory)
    assert "whole lines" in found.explain()
    assert len(conditions) == passes
