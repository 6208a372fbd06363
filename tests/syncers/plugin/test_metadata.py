"""Databases that are plugged in have their tables made, and are told of them, however they are opened."""

from __future__ import annotations

import sqlite3

import pytest

from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers import load_syncer, open_syncer

sqlalchemy = pytest.importorskip("sqlalchemy")

DATABASE = """
import sqlalchemy as sa

class Store:
    __is_database__ = True
    name = "store"

    def __init__(self, path{parameter}):
        self.cnxn = sa.create_engine(f"sqlite:///{{path}}").connect()
        sa.event.listen(sa.schema.MetaData, "after_create", self.capture_metadata)

    def capture_metadata(self, metadata, cnxn, **kw):
        self.metadata = metadata

    def load(self, identifier):
        return [dict(row._mapping) for row in self.cnxn.execute(self.metadata.tables[identifier].select())]

    def dump(self, identifier, *, data):
        table = self.metadata.tables[identifier]
        with self.cnxn.begin_nested():
            self.cnxn.execute(table.delete())
            if data:
                self.cnxn.execute(table.insert(), data)
        self.cnxn.commit()
"""


@pytest.fixture
def metadata():
    found = sqlalchemy.MetaData()
    sqlalchemy.Table("users", found, sqlalchemy.Column("idnumber", sqlalchemy.Integer))
    return found


@pytest.fixture
def database(tmp_path):
    return tmp_path / "place.db"


@pytest.mark.parametrize("parameter", ["", ", metadata", ", metadata=None", ", **options"])
@pytest.mark.parametrize("way", ["load_syncer", "URL", "option"])
def test_tables_are_made_before_the_first_use(plugin, database, metadata, parameter, way):
    folder = plugin(DATABASE.format(parameter=parameter), methods=False)
    if way == "load_syncer":
        store = load_syncer(folder, {"path": str(database)}, metadata=metadata)
    elif way == "URL":
        store = open_syncer(f"plugin:{folder}?path={database}", metadata=metadata)
    else:
        store = open_syncer(f"plugin:{folder}", path=str(database), metadata=metadata)
    store.dump("users", data=[{"idnumber": 7}])
    with sqlite3.connect(database) as connection:
        assert connection.execute("select * from users").fetchall() == [(7,)]
    connection.close()
    assert store.metadata is metadata
    store.cnxn.close()


@pytest.mark.parametrize("parameter", ["", ", metadata"])
def test_without_metadata_it_is_told_of_the_tables_that_are_there(plugin, database, parameter):
    with sqlite3.connect(database) as connection:
        connection.execute("create table users (idnumber integer, name text)")
        connection.execute("insert into users values (1, 'Ann')")
    connection.close()
    folder = plugin(DATABASE.format(parameter=parameter), methods=False)
    store = open_syncer(f"plugin:{folder}?path={database}")
    assert store.load("users") == [{"idnumber": 1, "name": "Ann"}]
    store.cnxn.close()


def test_a_database_that_cannot_be_reached_is_named_without_its_password(plugin):
    code = DATABASE.format(parameter="").replace('f"sqlite:///{path}"', "path").replace(".connect()", "")
    folder = plugin(code, methods=False)
    with pytest.raises(SyncerError, match="the tables of store could not be made") as caught:
        load_syncer(folder, {"path": "postgresql+psycopg://ann:hunter2@127.0.0.1:1/school"})
    assert "hunter2" not in str(caught.value)


def test_what_is_no_metadata_is_refused(plugin, database):
    folder = plugin(DATABASE.format(parameter=""), methods=False)
    with pytest.raises(DeclarationError, match=r"must be a sqlalchemy.MetaData with the tables \(it is a list\)"):
        load_syncer(folder, {"path": str(database)}, metadata=[])
