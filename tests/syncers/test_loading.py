"""What a ``load`` may give is taken alike wherever it is read; a ``dump`` is given a list, unless it streams."""

from __future__ import annotations

import asyncio

import pytest

from datastoresync import Branch, Link, Object, Table, Tree
from datastoresync.app import App, SyncerReader, SyncerWriter
from datastoresync.app.syncer_writer import table_state
from datastoresync.errors import DatastoreSyncError, SyncerError
from datastoresync.syncers.changes import Change
from datastoresync.syncers.loading import given_records, load_records
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter
from datastoresync.syncers.records import Records

PEOPLE = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": None}]
COLUMNS = {"idnumber": ["1", "2"], "name": ["Ann", None]}


class Store:
    """Gives whatever it is told to give."""

    name = "store"

    def __init__(self, make):
        self.make, self.dumped = make, None

    def tables(self):
        return ["users"]

    def load(self, identifier):
        return self.make() if self.dumped is None else self.dumped

    def dump(self, identifier, *, data):
        assert isinstance(data, list), f"{type(data).__name__} has neither a length nor a second time"
        assert not data or data[0] is not None
        self.dumped = [dict(record) for record in data]


def frame(library, make):
    def made():
        return make(pytest.importorskip(library))

    return pytest.param(made, id=library)


def arrow_reader(pyarrow):
    return pyarrow.RecordBatchReader.from_batches(pyarrow.table(COLUMNS).schema, pyarrow.table(COLUMNS).to_batches())


GOOD = [
    pytest.param(lambda: PEOPLE, id="list"),
    pytest.param(lambda: tuple(PEOPLE), id="tuple"),
    pytest.param(lambda: (dict(record) for record in PEOPLE), id="generator"),
    pytest.param(lambda: iter(PEOPLE), id="iterator"),
    pytest.param({"a": PEOPLE[0], "b": PEOPLE[1]}.values, id="view"),
    pytest.param(lambda: Records(COLUMNS, [list(COLUMNS.values())], str), id="records"),
    frame("pandas", lambda pandas: pandas.DataFrame(COLUMNS)),
    frame("polars", lambda polars: polars.DataFrame(COLUMNS)),
    frame("pyarrow", lambda pyarrow: pyarrow.table(COLUMNS)),
    pytest.param(lambda: pytest.importorskip("pyarrow").table(COLUMNS).to_batches()[0], id="batch"),
    pytest.param(lambda: arrow_reader(pytest.importorskip("pyarrow")), id="reader"),
    pytest.param(lambda: pytest.importorskip("pyarrow").table(COLUMNS).to_pylist(), id="pylist"),
]


async def coroutine():
    return PEOPLE


async def stream():
    yield PEOPLE[0]


BAD = [
    (lambda: None, "load gives None for table 'users' of store"),
    (lambda: "idnumber,name", "load gives a str for table"),
    (lambda: b"x", "load gives a bytes for table"),
    (lambda: COLUMNS, "load gives a dict for table"),
    (lambda: 7, "load gives an int for table"),
    (coroutine, "load gives a coroutine for table"),
    (stream, "load gives an async_generator for table"),
    (lambda: pytest.importorskip("polars").LazyFrame(COLUMNS), "load gives a LazyFrame for table"),
    (lambda: pytest.importorskip("pandas").Series([1, 2]), "a single column is no table: make it a frame first"),
    (lambda: [("1", "Ann")], "record 1 of table 'users' of store is a tuple: it must be a mapping"),
    (lambda: iter([PEOPLE[0], None]), "record 2 of table 'users' of store is None"),
]


def through_load(store):
    return [dict(record) for record in load_records(store, "users")]


def through_a_tree(store):
    tree = +Tree("t", syncer=store, branches={"users": Branch(Object)})
    return [{"idnumber": key, "name": user.name} for key, user in tree.users.items()]


def through_other_columns(store):
    table = Table("users", columns={"title": "name"})
    tree = +Tree("t", syncer=store, branches={"users": Branch(Object, table=table)})
    return [{"idnumber": key, "name": user.title} for key, user in tree.users.items()]


def through_links(store):
    table = Table("users", links={"names": Link("users", "idnumber", "name")})
    tree = +Tree("t", syncer=store, branches={"users": Branch(Object, table=table)})
    assert [user.names for user in tree.users.values()] == [{"Ann"}, {None}]
    return [{"idnumber": key, "name": user.name} for key, user in tree.users.items()]


def through_changes(store):
    change = Change("update", Table("users"), ("idnumber",), ("2",), {"name": "Bob"}, {"name": None})
    LoadDumpAdapter(store).apply_changes([change], same=lambda _change, _name, raw, expected: raw == expected)
    assert store.dumped[1]["name"] == "Bob"
    return [store.dumped[0], store.dumped[1] | {"name": None}]


def through_an_app(store):
    destination = Store(list)
    report = App(SyncerReader(store), SyncerWriter(destination, mode="replace")).run([])
    if not report.ok:
        raise report.reader.error
    return destination.dumped


def through_the_state_of_a_table(store):
    return [{"idnumber": key, "name": name} for key, name in table_state(store, "users", key=COLUMNS).keys]


WAYS = [
    through_load,
    through_a_tree,
    through_other_columns,
    through_links,
    through_changes,
    through_an_app,
    through_the_state_of_a_table,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("make", GOOD)
def test_all_that_holds_records_is_taken_in_every_way(make, way):
    assert way(Store(make)) == PEOPLE


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("make", "says"), BAD, ids=[says for _, says in BAD])
def test_all_else_is_refused_in_one_sentence_in_every_way(make, says, way):
    with pytest.raises(DatastoreSyncError, match=says) as caught:
        way(Store(make))
    assert "\n" not in str(caught.value)


def test_a_frame_of_spark_is_taken_row_by_row():
    class Row(tuple):
        __slots__ = ()

        def asDict(self):  # noqa: N802 - Spark's own spelling
            return dict(zip(COLUMNS, self, strict=True))

    class Frame:
        columns = list(COLUMNS)

        def toLocalIterator(self):  # noqa: N802 - Spark's own spelling
            return iter([Row(("1", "Ann")), Row(("2", None))])

    assert through_load(Store(Frame)) == PEOPLE


def test_a_coroutine_is_closed_so_that_nothing_warns_of_it():
    made = coroutine()
    with pytest.raises(SyncerError, match="coroutine"):
        through_load(Store(lambda: made))
    with pytest.raises(RuntimeError):
        asyncio.run(made)


@pytest.mark.parametrize(("streams", "kind"), [(True, "generator"), (False, "list"), (None, "list")])
def test_data_are_a_list_unless_the_syncer_streams(streams, kind):
    class Taking(Store):
        pass

    if streams is not None:
        Taking.streams = streams
    given = given_records(Taking(list), (record for record in PEOPLE))
    assert type(given).__name__ == kind
    assert list(given) == PEOPLE


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_the_command_line_gives_lists_in_every_mode(mode):
    class Keyed(Store):
        def append(self, identifier, *, data):
            self.dump(identifier, data=data)

        def upsert(self, identifier, *, data, key):
            self.dump(identifier, data=data)

    destination = Keyed(list)
    assert App(SyncerReader(Store(lambda: PEOPLE)), SyncerWriter(destination, mode=mode)).run([]).ok
    assert destination.dumped == PEOPLE
