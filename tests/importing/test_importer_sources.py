"""Where rows may come from besides files and functions: dataframes, databases, syncers."""

import datetime
import decimal

import pytest

from datastoresync import (
    Branch,
    DeclarationError,
    Importer,
    ImporterError,
    Link,
    Object,
    SQLImporter,
    SyncerError,
    Table,
    Tree,
)
from datastoresync.syncers.sql.syncer import SQLSyncer


class Pupil(Object):
    name: str
    grade: int | None = None
    born: datetime.date | None = None


ROWS = [
    {"idnumber": "00123", "name": "Ann", "grade": 7, "born": datetime.date(2010, 1, 2)},
    {"idnumber": "2", "name": "Zoë 山", "grade": None, "born": None},
]


def loaded(importer, object_class=Pupil, **options):
    return (+Tree("source", branches={"pupils": Branch(object_class, importer=importer, **options)})).pupils


def same(branch):
    assert [(item.idnumber, item.name, item.grade, item.born) for item in branch.values()] == [
        tuple(row.values()) for row in ROWS
    ]


# Dataframes ---------------------------------------------------------------------------------------------------------


def polars(rows):
    return pytest.importorskip("polars").DataFrame(rows)


def pandas(rows):
    module = pytest.importorskip("pandas")
    frame = module.DataFrame(rows)
    return frame.astype({"grade": "Int64"}) if "grade" in frame else frame


def pyarrow(rows):
    return pytest.importorskip("pyarrow").Table.from_pylist(rows)


def duckdb(rows):
    module = pytest.importorskip("duckdb")
    table = pyarrow(rows)
    return module.from_arrow(table)


FRAMES = {function.__name__: function for function in (polars, pandas, pyarrow, duckdb)}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("as_function", [False, True])
@pytest.mark.parametrize("object_class", [Object, Pupil])
def test_a_dataframe_is_rows(kind, as_function, object_class):
    frame = FRAMES[kind](ROWS)
    branch = loaded((lambda: frame) if as_function else frame, object_class)
    same(branch)
    assert type(branch["00123"].grade) is int
    if kind != "duckdb":
        same(+branch)


@pytest.mark.parametrize("kind", FRAMES)
def test_the_hooks_see_rows_of_dataframes_too(kind):
    class Upper(Importer):
        def read(self):
            return FRAMES[kind](ROWS)

        def keep(self, row):
            return row["grade"] is not None

        def prepare(self, row):
            return {**row, "name": row["name"].upper()}

    branch = loaded(Upper)
    assert [item.name for item in branch.values()] == ["ANN"]
    assert branch.imported.rows == 2


@pytest.mark.parametrize("kind", FRAMES)
def test_a_bad_value_in_a_dataframe_is_named_with_its_row(kind):
    frame = FRAMES[kind]([{"idnumber": "1", "name": "a"}, {"idnumber": "", "name": "b"}])
    with pytest.raises(ImporterError, match=r"source\.pupils: .*2.*: idnumber is ''"):
        loaded(frame, Object)


@pytest.mark.parametrize("kind", FRAMES)
def test_an_empty_dataframe_is_an_empty_branch(kind):
    frame = FRAMES[kind]([{"idnumber": "1", "name": "a"}])
    empty = frame.filter("false") if kind == "duckdb" else frame[:0]
    assert len(loaded(empty)) == 0


# Databases ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(store_url):
    import sqlalchemy

    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for statement in (
            "create table pupils (number varchar(9) primary key, name varchar(9), grade integer, born date)",
            "create table clubs (idnumber varchar(9) primary key, fee numeric(6, 2))",
            "create table club_members (club varchar(9), pupil varchar(9))",
            "insert into clubs values ('chess', 1.50), ('choir', null)",
            "insert into club_members values ('chess', '00123'), ('chess', '2')",
        ):
            connection.execute(sqlalchemy.text(statement))
        connection.execute(
            sqlalchemy.text("insert into pupils values (:idnumber, :name, :grade, :born)"),
            [{**row, "born": row["born"] and row["born"].isoformat()} for row in ROWS]
            if engine.dialect.name == "sqlite"
            else ROWS,
        )
    return engine


QUERY = "select number as idnumber, name, grade, born from pupils"


@pytest.mark.parametrize("given", ["url", "engine", "syncer"])
def test_a_query_is_rows(engine, store_url, given):
    syncer = SQLSyncer(store_url)
    with syncer:
        importer = SQLImporter({"url": store_url, "engine": engine, "syncer": syncer}[given], QUERY)
        branch = loaded(importer)
        same(branch)
        same(+branch)
        importer.syncer.close()


def test_a_query_may_have_parameters(engine):
    branch = loaded(SQLImporter(engine, f"{QUERY} where name = :name", parameters={"name": "Ann"}))
    assert list(branch) == ["00123"]


def test_a_table_is_rows_with_its_columns_and_links(engine):
    renamed = Table("pupils", columns={"idnumber": "number"})
    same(loaded(SQLImporter(engine, table=renamed)))
    clubs = Table("clubs", links={"members": Link("club_members", "club", "pupil")})

    class Club(Object):
        fee: decimal.Decimal | None
        members: set[str]

    branch = loaded(SQLImporter(engine, table=clubs), Club)
    assert {key: (club.fee, club.members) for key, club in branch.items()} == {
        "chess": (decimal.Decimal("1.50"), {"00123", "2"}),
        "choir": (None, set()),
    }


def test_a_branch_of_a_syncer_reads_its_own_table(engine, store_url):
    with SQLSyncer(store_url) as syncer:
        same(loaded(syncer, table=Table("pupils", columns={"idnumber": "number"})))
        tree = +Tree(
            "dest",
            syncer=syncer,
            branches={
                "pupils": Branch(Pupil, table=Table("pupils", columns={"idnumber": "number"})),
                "clubs": Branch(),
            },
        )
        same(tree.pupils)
        assert list(tree.clubs) == ["chess", "choir"]


def test_a_bad_value_in_a_table_is_named_with_its_row(engine):
    class Odd(Pupil):
        name: int

    with pytest.raises(ImporterError, match=r"source\.pupils: .*row 1.*: name: .*'Ann'.*declared: int"):
        loaded(SQLImporter(engine, f"{QUERY} order by number"), Odd)


@pytest.mark.parametrize("options", [{}, {"query": "select 1", "table": "pupils"}])
def test_a_query_or_a_table_must_be_given(options):
    with pytest.raises(DeclarationError, match="SQLImporter takes a query or a table"):
        SQLImporter("sqlite://", **options)


def test_a_query_that_fails_leaves_what_was_there_and_names_no_value(engine):
    importer = SQLImporter(engine, QUERY)
    branch = loaded(importer)
    branch.importer = SQLImporter(
        engine, "select nothing_like_it from pupils where name = :name", parameters={"name": "s3cret"}
    )
    with pytest.raises(SyncerError) as caught:
        +branch
    assert "nothing_like_it" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    same(branch)


# Other syncers ------------------------------------------------------------------------------------------------------


class Memory:
    """The least that a syncer is."""

    name = "memory"

    def __init__(self, **tables):
        self.tables = tables

    def load(self, identifier):
        return self.tables[identifier]

    def dump(self, identifier, *, data):
        self.tables[identifier] = data


def test_the_least_syncer_feeds_a_branch_or_a_whole_tree():
    memory = Memory(pupils=ROWS, other=[{"number": "7", "name": "x"}])
    same(loaded(memory))
    tree = +Tree(
        "source",
        syncer=memory,
        branches={"pupils": Branch(Pupil), "renamed": Branch(table=Table("other", columns={"idnumber": "number"}))},
    )
    same(tree.pupils)
    assert repr(tree.renamed["7"]) == "Object(idnumber='7', name='x')"


def test_a_branch_may_have_an_importer_of_its_own_beside_the_syncer():
    tree = +Tree("source", syncer=Memory(pupils=[]), branches={"pupils": Branch(Pupil, importer=ROWS)})
    same(tree.pupils)


def test_a_syncer_that_has_read_is_asked_for_the_declared_attributes():
    asked = []

    class Reading(Memory):
        def read(self, table, attributes=None, *, identifiers=None):
            asked.append((table.name, attributes, identifiers))
            return self.tables[table.name]

    +Tree("source", syncer=Reading(pupils=ROWS, open=[]), branches={"pupils": Branch(Pupil), "open": Branch()})
    assert asked == [
        ("pupils", ["idnumber", "name", "grade", "born"], ("idnumber",)),
        ("open", None, ("idnumber",)),
    ]


def test_a_branch_with_nothing_to_read_stays_as_it_is():
    tree = Tree("source", branches={"pupils": Branch(Pupil)})
    tree.pupils.new("1", name="a")
    assert list((+tree).pupils) == ["1"]
    assert tree.pupils.imported is None
