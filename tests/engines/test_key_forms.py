"""Keys in one form: every engine gives the same actions, and says why it is objects that are compared."""

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, CSVImporter, Object, SQLImporter, Tree
from datastoresync.importing.file_importers import ParquetImporter

KEYS = st.dictionaries(
    st.sampled_from(["ann", "bob", "cid", "straße", "é"]),
    st.tuples(st.sampled_from([str, str.upper, str.title]), st.text("xy", min_size=1, max_size=1)),
    min_size=1,
    max_size=5,
)


class Person(Object):
    idnumber: str
    name: str
    boss: str
    _references = {"boss": "people"}


class Spelled(Person):
    _key = str.casefold


def rows_of(held):
    return [{"idnumber": spell(key), "name": name, "boss": spell(key)} for key, (spell, name) in held.items()]


def in_csv(folder, name, rows):
    path = folder / f"{name}.csv"
    lines = [f"{row['idnumber']},{row['name']},{row['boss']}" for row in rows]
    path.write_text("\n".join(["idnumber,name,boss", *lines, ""]), encoding="utf-8")
    return {"importer": CSVImporter(path), "engine": "duckdb"}


def in_parquet(folder, name, rows):
    import pyarrow
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return {"importer": ParquetImporter(path), "engine": "duckdb"}


def in_frame(folder, name, rows):
    del folder, name
    import pyarrow

    return {"importer": lambda: pyarrow.Table.from_pylist(rows), "engine": "duckdb"}


def in_database(folder, name, rows, url=None):
    engine = sqlalchemy.create_engine(url or f"sqlite:///{folder}/{name}.db", poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop table if exists {name}")
        connection.exec_driver_sql(f"create table {name} (idnumber text primary key, name text, boss text)")
        connection.execute(sqlalchemy.text(f"insert into {name} values (:idnumber, :name, :boss)"), rows)
    return {"importer": SQLImporter(engine, table=name), "engine": "duckdb" if url is None else "database"}


def opened(name, keywords, cls):
    return +Tree(name, branches={"people": Branch(cls, **keywords)})


WAYS = {"csv": in_csv, "parquet": in_parquet, "frame": in_frame, "database": in_database}


@pytest.mark.parametrize("classes", [(Spelled, Spelled), (Spelled, Person), (Person, Spelled)])
@pytest.mark.parametrize("ways", [("csv", "parquet"), ("frame", "csv"), ("parquet", "database"), ("csv", "csv")])
@given(KEYS, KEYS)
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
def test_every_engine_gives_the_actions_of_the_one_in_memory(tmp_path_factory, classes, ways, here, there):
    folder = tmp_path_factory.mktemp("forms")
    sides = [rows_of(here), rows_of(there)]
    memory = [
        opened(name, {"importer": rows, "engine": "memory"}, cls)
        for name, rows, cls in zip(("left", "right"), sides, classes, strict=True)
    ]
    tables = [
        opened(name, WAYS[way](folder, name, rows), cls)
        for name, way, rows, cls in zip(("left", "right"), ways, sides, classes, strict=True)
    ]
    expected = memory[0] - memory[1]
    for left, right in (tables, (tables[0], memory[1]), (memory[0], tables[1])):
        assert left - right == expected
        assert right - left == -expected
    folded = [{key.casefold(): name for key, (_, name) in held.items()} for held in (here, there)]
    assert {action.idnumber for action in expected if action.verb == "new"} == folded[0].keys() - folded[1].keys()
    assert {action.idnumber for action in expected if action.verb == "update"} == {
        key for key in folded[0].keys() & folded[1].keys() if folded[0][key] != folded[1][key]
    }


@pytest.mark.parametrize("classes", [(Spelled, Spelled), (Spelled, Person), (Person, Spelled)])
def test_rows_of_postgresql_become_objects_and_the_reason_is_given(tmp_path, database, classes):
    here = [{"idnumber": "Ann", "name": "x", "boss": "ANN"}, {"idnumber": "new", "name": "x", "boss": "ann"}]
    there = [{"idnumber": "ANN", "name": "y", "boss": "ann"}, {"idnumber": "Old", "name": "x", "boss": "Old"}]
    left = opened("left", in_database(tmp_path, "here", here, database), classes[0])
    right = opened("right", in_database(tmp_path, "there", there, database), classes[1])
    diff = left - right
    assert [(action.verb, action.idnumber, action.attr) for action in diff] == [
        ("new", "new", ""),
        ("update", "ann", "name"),
        ("old", "old", ""),
    ]
    reasons = {
        Spelled: "a _key, which gives keys their one form, is Python",
        Person: "its keys or values are written otherwise than those of ",
    }
    for name, cls in zip(("left", "right"), classes, strict=True):
        assert f"{name}.people is in memory: {reasons[cls]}" in diff.explain()
