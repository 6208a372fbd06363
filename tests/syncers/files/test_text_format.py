"""Files as people have them: refused with the option that reads them, wherever that is given, and read with it."""

from __future__ import annotations

import gzip
import json
import re
import time
import warnings
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote

import pytest

from datastoresync import Branch, CSVImporter, Object, Template, Tree, TSVImporter
from datastoresync.app import App, SyncerReader, SyncerWriter
from datastoresync.conversion.converters import converter
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.errors import DataWarning, DeclarationError, ImporterError, MalformedFileError, SyncerError
from datastoresync.syncers import open_syncer
from datastoresync.syncers.files.csv import CSVSyncer, TSVSyncer
from datastoresync.syncers.files.csv_reader import read_csv
from datastoresync.syncers.files.text_format import TextFormat, options_of

PEOPLE = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]
# What a file holds, the options that read it, each as the message has it and as a text, and whether it is refused.
FILES = {
    "semicolon": ("idnumber;name\n1;Ann\n2;Bob\n", {"delimiter": ";"}, {"delimiter": ";"}),
    "sep": ("sep=;\nidnumber;name\n1;Ann\n2;Bob\n", {"skip_lines": 1, "delimiter": ";"}, {"delimiter": ";"}),
    "title": ("Students, 2024\n\nidnumber,name\n1,Ann\n2,Bob\n", {"skip_lines": 2}, {}),
    "lone title": ("Students\nidnumber,name\n1,Ann\n2,Bob\n", {"skip_lines": 1}, {}),
    "title of quotes": ('The "best",,\nidnumber,name\n1,Ann\n2,Bob\n', {"skip_lines": 1}, {"skip_lines": 1}),
    "no header": ("1,Ann\n2,Bob\n", {"header": ("idnumber", "name")}, {}),
    "no header, an unwanted column": ("1,x,Ann\n2,y,Bob\n", {"header": ("idnumber", "", "name")}, {}),
    "footer": ("idnumber,name\n1,Ann\n2,Bob\n\nTotal\n2\n", {"footer": 2}, {"footer": 2}),
    "unnamed": ("idnumber,name,,\n1,Ann,x,\n2,Bob,,y\n", {"columns": ("idnumber", "name")}, {"columns": "names"}),
    "repeated": ("x,idnumber,name,x\n1,1,Ann,2\n3,2,Bob,4\n", {"columns": ("idnumber", "name")}, {"columns": "names"}),
    "ghosts": ("idnumber,name\n1,Ann\n,\n2,Bob\n , \n,\n", {"blank_rows": "skip"}, {"blank_rows": "skip"}),
    "short ghosts": (
        "idnumber,name,\n1,Ann,\n , \n2,Bob,\n",
        {"blank_rows": "skip", "columns": ["idnumber", "name"]},
        {},
    ),
    "trailing": ("idnumber,name,\n1,Ann,\n2,Bob,\n", {"trailing_delimiter": True}, {"trailing_delimiter": True}),
    "trailing in rows": ("idnumber,name\n1,Ann,\n2,Bob,\n", {"trailing_delimiter": True}, {"trailing_delimiter": True}),
    "cut off or not": ("idnumber,name\n1,Ann\n2,Bob", {"final_newline": False}, {"final_newline": False}),
    "utf-16": ("idnumber,name\n1,Ann\n2,Bob\n".encode("utf-16"), {"encoding": "utf-16"}, {"encoding": "utf-16"}),
    "semicolons and quotes": ('"idnumber";"name"\n"1";"Ann"\n"2";"Bob"\n', {"delimiter": ";"}, {"delimiter": ";"}),
    "colons": ("idnumber:name\n1:Ann\n2:Bob\n", {"delimiter": ":"}, {"delimiter": ":"}),
    "SEP in capitals": (
        "SEP=;\r\nidnumber;name\r\n1;Ann\r\n2;Bob\r\n",
        {"skip_lines": 1, "delimiter": ";"},
        {"skip_lines": 1, "delimiter": ";"},
    ),
    "utf-16-be without a mark": (
        "idnumber,name\n1,Ann\n2,Bob\n".encode("utf-16-be"),
        {"encoding": "utf-16-be"},
        {"encoding": "utf-16-be"},
    ),
    "utf-32": ("idnumber,name\n1,Ann\n2,Bob\n".encode("utf-32"), {"encoding": "utf-32"}, {"encoding": "utf-32"}),
    "utf-16 without a mark": (
        "idnumber,name\n1,Ann\n2,Bob\n".encode("utf-16-le"),
        {"encoding": "utf-16-le"},
        {"encoding": "utf-16-le"},
    ),
}


@pytest.fixture
def people(tmp_path):
    """Write people.csv, and return its path."""

    def write(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def as_text(value):
    if isinstance(value, (tuple, list)):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def rows(branch):
    return [{"idnumber": one.idnumber, "name": one.name} for one in branch.values()]


def told(advised, spelling):
    names = {name: ("idnumber", "name") if value == "names" else value for name, value in advised.items()}
    return [TextFormat(spelling=spelling).option(name, value) for name, value in names.items()]


@pytest.mark.parametrize("content, options, advised", FILES.values(), ids=FILES)  # noqa: PT006 - as the table has them
class TestEachFile:
    def test_an_importer(self, people, content, options, advised):
        path = people(content)
        with pytest.raises(ImporterError) as caught:
            +Branch(Object, importer=CSVImporter(path))
        assert all(option in str(caught.value) for option in told(advised, "python"))
        assert rows(+Branch(Object, importer=CSVImporter(path, **options))) == PEOPLE

    def test_a_url(self, people, content, options, advised):
        url = f"csv:{people(content)}"
        with pytest.raises(ImporterError) as caught:
            +Tree("source", syncer=open_syncer(url), branches={"people": Branch(Object)})
        assert all(option in str(caught.value) for option in told(advised, "url"))
        query = "&".join(f"{name}={quote(as_text(value))}" for name, value in options.items())
        tree = +Tree("source", syncer=open_syncer(f"{url}?{query}"), branches={"people": Branch(Object)})
        assert rows(tree.people) == PEOPLE

    def test_the_command_line(self, people, tmp_path, content, options, advised):
        argv = ["--from", f"csv:{people(content)}", "--to", f"json:{tmp_path}/out"]
        report = App(SyncerReader(), SyncerWriter()).run(argv)
        assert not report.ok
        assert all(option in str(report.parts[0].reason) for option in told(advised, "option"))
        assert not (tmp_path / "out").exists()
        flags = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", as_text(value))]
        assert App(SyncerReader(), SyncerWriter()).run([*argv, *flags]).ok
        assert json.loads((tmp_path / "out" / "people.json").read_text()) == PEOPLE


@pytest.mark.parametrize("name", ["semicolon", "title", "title of quotes", "no header", "footer", "unnamed", "ghosts"])
def test_every_engine_reads_the_same(people, name):
    content, options, _ = FILES[name]
    assert rows(+Branch(Object, importer=CSVImporter(people(content), **options), engine="duckdb")) == PEOPLE


def test_lines_are_counted_from_the_top(people):
    path = people('Title\n"x\nidnumber,name\n1,Ann\n\n2,"B\nb"\n3\n')
    records = read_csv(path, skip_lines=2, footer=1, chunk=1)
    assert [row["idnumber"] for row in records] == ["1", "2"]
    assert [records.where(index) for index in (0, 1)] == [f"{path}:4", f"{path}:6"]
    with pytest.raises(ImporterError, match=r"people.csv:8: the row has 1 value"):
        list(read_csv(path, skip_lines=2))
    with pytest.raises(MalformedFileError, match=r"people.csv:2: a quote is opened"):
        list(read_csv(people('T\n"x,name\n1,Ann\n'), skip_lines=1))
    with pytest.raises(MalformedFileError, match=r"has 3 lines, and skip_lines=9"):
        read_csv(path.parent / people("a\nb\nc\n").name, skip_lines=9)


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
@pytest.mark.parametrize("footer", range(5))
def test_the_last_rows_are_left_unread_however_they_are_chunked(people, chunk, footer):
    path = people("idnumber\n" + "".join(f"{number}\n\n" for number in range(4)))
    assert [row["idnumber"] for row in read_csv(path, footer=footer, chunk=chunk)] == list("0123")[: 4 - footer]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_fewer_rows_than_are_left_unread_are_refused(people, chunk):
    path = people("idnumber\n1\n2\n")
    with pytest.raises(MalformedFileError, match=r"people.csv: the table has 2 rows, and footer=3: it may be cut off"):
        list(read_csv(path, footer=3, chunk=chunk))


def test_a_row_without_its_trailing_delimiter_or_with_a_value_behind_it_is_refused(people):
    for bad in ("1,Ann", "1,Ann,x", "1,"):
        with pytest.raises(ImporterError, match="the header 3: "):
            list(read_csv(people(f"idnumber,name,\n{bad}\n"), trailing_delimiter=True))


# Packed files --------------------------------------------------------------------------------------------------------


def test_a_packed_file_is_read_and_one_cut_off_anywhere_is_refused(people):
    packed = gzip.compress(b"idnumber,name\n1,Ann\n2,Bob\n", mtime=0)
    path = people(packed, "people.csv.gz")
    assert rows(+Branch(Object, importer=CSVImporter(path), engine="duckdb")) == PEOPLE
    assert open_syncer(str(path)).tables() == open_syncer(f"csv:{path.parent}").tables() == ["people"]
    assert open_syncer(f"csv:{path}").load("people") == PEOPLE
    with pytest.raises(SyncerError, match="only read: unpack it"):
        open_syncer(f"csv:{path.parent}").append("people", data=PEOPLE)
    assert path.read_bytes() == packed
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(MalformedFileError):
            list(read_csv(path))
    with pytest.raises(MalformedFileError, match="packed by gzip: call it so"):
        read_csv(people(packed))


# Columns -------------------------------------------------------------------------------------------------------------


def test_a_new_name_stands_before_the_old_one_everywhere_and_the_others_stay(people, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from datastoresync import ParquetImporter, Table

    columns = {"idnumber": "id"}
    path = people("id,name,x\n1,Ann,2\n")
    parquet.write_table(pyarrow.table({"id": ["1"], "name": ["Ann"], "x": ["2"]}), tmp_path / "people.parquet")
    whole = [{"idnumber": "1", "name": "Ann", "x": "2"}]
    branches = [
        +Branch(Object, importer=CSVImporter(path, columns=columns)),
        +Branch(Object, importer=ParquetImporter(tmp_path / "people.parquet", columns=columns)),
        (
            +Tree(syncer=CSVSyncer(path), branches={"people": Branch(Object, table=Table("people", columns=columns))})
        ).people,
        (+Tree(syncer=open_syncer(f"csv:{path}?columns=idnumber%3Did"), branches={"people": Branch(Object)})).people,
    ]
    assert [[vars(one) for one in branch.values()] for branch in branches] == [whole] * 4
    with pytest.raises(ImporterError, match=re.escape("the new name that stands first, as in {'idnumber': 'id'}")):
        read_csv(path, columns={"id": "idnumber"})
    assert list(open_syncer(f"csv:{path}?columns=idnumber%3Did,x").load("people")) == [{"idnumber": "1", "x": "2"}]


def test_twenty_thousand_columns_take_no_time(people):
    names = ["idnumber", *(f"c{number}" for number in range(20_000))]
    path = people("".join(f"{','.join(line)}\n" for line in (names, names, ["2", *[""] * 20_000])))
    started = time.process_time()
    tree = +Tree("source", syncer=CSVSyncer(path), branches={"people": Branch(Object)})
    assert len(tree.people) == len(+Branch(Object, importer=CSVImporter(path, columns=["idnumber", "c7"]))) == 2

    class Person(Object):
        name: str

    with pytest.raises(ImporterError, match="and 19,981 more") as caught:
        +Branch(Person, importer=CSVImporter(path))
    assert len(str(caught.value)) < 2000
    assert time.process_time() - started < 4
    other = people(path.read_bytes()[:-3] + b",x,\n", "other.csv")
    for reader in (CSVImporter, lambda path: CSVSyncer(path).read(path.stem)):
        started = time.process_time()
        sides = [+Tree(path.stem, branches={"people": Branch(Object, importer=reader(path))}) for path in (path, other)]
        assert [action.attr for action in sides[0] - sides[1]] == ["c19998"]
        assert time.process_time() - started < 4


# Values --------------------------------------------------------------------------------------------------------------


class Pupil(Object):
    score: Decimal | None
    grade: int | None
    born: date | None
    seen: datetime | None
    active: bool
    note: str


EUROPEAN = "idnumber;score;grade;born;seen;active;note\n1;1,50;7,0;02.01.2024;02.01.2024 13:00;ja;1,5\n2;;;;;nein;ja\n"
FORMS = {"decimal": ",", "dates": ("%d.%m.%Y", "%d.%m.%Y %H:%M"), "true": "ja", "false": ("nein",)}


@pytest.mark.parametrize("engine", ["memory", "duckdb"])
def test_values_are_read_as_they_are_written_where_a_type_is_declared(people, engine):
    path = people(EUROPEAN)
    branch = +Branch(Pupil, importer=CSVImporter(path, delimiter=";", **FORMS), engine=engine)
    assert [(one.score, one.grade, one.born, one.seen, one.active, one.note) for one in branch.values()] == [
        (Decimal("1.50"), 7, date(2024, 1, 2), datetime.fromisoformat("2024-01-02T13:00"), True, "1,5"),
        (None, None, None, None, False, "ja"),
    ]
    for name, message in (
        ("decimal", "decimal=','"),
        ("dates", "dates='%d.%m.%Y'"),
        ("true", "true='…' and false='…'"),
    ):
        left = {key: value for key, value in FORMS.items() if key != name and (name, key) != ("true", "false")}
        with pytest.raises(ImporterError, match=re.escape(message)):
            +Branch(Pupil, importer=CSVImporter(path, delimiter=";", **left), engine=engine)


@pytest.mark.parametrize("engine", ["memory", "duckdb"])
def test_what_reads_as_usual_too_is_still_read_as_it_is_written(people, engine):
    path = people("idnumber,born,active\n1,2024-01-02,0\n")
    form = {"dates": "%Y-%d-%m", "true": "0", "false": "1"}

    class Swapped(Object):
        born: date
        active: bool

    branch = +Branch(Swapped, importer=CSVImporter(path, **form), engine=engine)
    assert [(one.born, one.active) for one in branch.values()] == [(date(2024, 2, 1), True)]
    untyped = +Branch(Object, importer=CSVImporter(path, **form), engine=engine)
    assert untyped.contents.value_format.dates == ("%Y-%d-%m",)


@pytest.mark.parametrize(
    ("form", "kind", "text"),
    [
        ({"decimal": ","}, float, "1.5"),
        ({"decimal": ","}, Decimal, "1.234,5"),
        ({"decimal": "."}, int, "7.5"),
        ({"decimal": "."}, int, "7."),
        ({"dates": "%d.%m.%Y"}, date, "2024-01-02"),
        ({"dates": "%d.%m.%Y %H:%M"}, date, "02.01.2024 13:00"),
        ({"dates": "%d.%m.%Y"}, datetime, "30.02.2024"),
        ({"true": "ja", "false": "nein"}, bool, "true"),
    ],
)
def test_what_is_written_otherwise_is_refused(form, kind, text):
    with pytest.raises(ValueError, match=re.escape(repr(text)[:-1])):
        ValueFormat(**form).applied(converter(kind)).one(text)


def test_options_that_cannot_be(people):
    path = people(EUROPEAN)
    for options in (
        {"true": "ja"},
        {"decimal": ";"},
        {"header": "idnumber"},
        {"header": ()},
        {"skip_lines": -1},
        {"footer": True},
        {"blank_rows": "drop"},
        {"delimiter": ""},
    ):
        with pytest.raises(DeclarationError, match=next(iter(options))):
            CSVImporter(path, **options)
    with pytest.raises(SyncerError, match="has no option 'skiplines': did you mean 'skip_lines'"):
        open_syncer(f"csv:{path}?skiplines=1")
    with pytest.raises(TypeError, match="has no option 'skiplines': did you mean 'skip_lines'"):
        CSVSyncer(path, skiplines=1)
    report = App(SyncerReader(), SyncerWriter()).run(["--from", f"json:{path}", "--skip-lines", "1", "--to", "csv:x"])
    assert "json: has no --skip-lines" in report.parts[0].reason


def test_the_command_line_reads_values_into_the_columns_types(people, store_url):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "create table people (idnumber varchar(9) primary key, score numeric(9, 2), grade int, born date, "
                "seen timestamp, active boolean, note varchar(9))"
            )
        )
    argv = ["--from", f"csv:{people(EUROPEAN)}?delimiter=%3B", "--to", store_url]
    assert not App(SyncerReader(), SyncerWriter()).run(argv).ok
    words = ["--decimal", ",", "--dates", "%d.%m.%Y|%d.%m.%Y %H:%M", "--true", "ja", "--false", "nein"]
    report = App(SyncerReader(), SyncerWriter()).run([*argv, *words])
    assert report.ok, report
    with engine.begin() as connection:
        found = connection.execute(
            sqlalchemy.text("select score, grade, note from people order by idnumber")
        ).fetchall()
    engine.dispose()
    assert [(float(score or 0), grade, note) for score, grade, note in found] == [(1.5, 7, "1,5"), (0.0, None, "ja")]


def test_an_apostrophe_before_a_formula_is_read_alike_by_importers_and_stores(people):
    path = people("idnumber,phone\n1,'+44 20\n2,'0110\n3,''=x\n")
    for options, expected in (({}, ["+44 20", "'0110", "'=x"]), ({"formulas": "keep"}, ["'+44 20", "'0110", "''=x"])):
        branches = [
            +Branch(Object, importer=CSVImporter(path, **options), engine=engine) for engine in ("memory", "duckdb")
        ]
        branches.append((+Tree(syncer=CSVSyncer(path, **options), branches={"people": Branch(Object)})).people)
        assert [[one.phone for one in branch.values()] for branch in branches] == [expected] * 3


def test_a_part_of_a_key_may_be_empty_if_that_is_said(people, tmp_path):
    path = people("user,group,role\n1,,a\n1,2,b\n")

    class Role(Object):
        _identifiers = ("user", "group")
        user: str
        group: str
        role: str

    class Either(Role):
        _optional_identifiers = ("group",)

    with pytest.raises(ImporterError, match=re.escape("`_optional_identifiers = ('group',)`")):
        +Branch(Role, importer=CSVImporter(path))
    assert list(+Branch(Either, importer=CSVImporter(path), engine="duckdb")) == [("1", ""), ("1", "2")]
    with pytest.raises(DeclarationError, match="_optional_identifiers must be"):
        +Branch(type("All", (Role,), {"_optional_identifiers": ("user", "group")}), importer=CSVImporter(path))
    argv = ["--from", f"csv:{path}", "--to", f"json:{tmp_path}/out", "--key", "user+group"]
    report = App(SyncerReader(), SyncerWriter()).run(argv)
    assert "--optional-key group" in report.parts[0].reason
    for _ in range(2):
        assert App(SyncerReader(), SyncerWriter()).run([*argv, "--optional-key", "group"]).ok
    assert [one["group"] for one in json.loads((tmp_path / "out" / "people.json").read_text())] == ["", "2"]


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_what_is_rewritten_keeps_its_mark_and_its_ends_of_lines(people, mark, end):
    path = people(mark + b"idnumber;name\n1;Ann\n".replace(b"\n", end))
    syncer = open_syncer(f"csv:{path}?delimiter=;")
    syncer.append("people", data=[{"idnumber": "2", "name": "a\nb"}])
    assert path.read_bytes() == mark + b"idnumber;name\n1;Ann\n".replace(b"\n", end) + b'2;"a\nb"' + end
    syncer.dump("people", data=[{"idnumber": "3", "name": "x"}])
    assert path.read_bytes() == mark + b"idnumber;name\n3;x\n".replace(b"\n", end)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_what_is_rewritten_keeps_the_order_of_its_bytes(people, encoding, end):
    head = '"idnumber","na\nme"' if end == "\r" else 'idnumber,"na\nme"'
    text = f"\ufeff{head}{end}1,Ann{end}"
    for given in (encoding, encoding[:6]):
        path = people(text.encode(encoding))
        open_syncer(f"csv:{path}?encoding={given}").append("people", data=[{"idnumber": "2", "na\nme": "Bob"}])
        assert path.read_bytes() == f"{text}2,Bob{end}".encode(encoding)


def test_utf_16_without_a_mark_is_refused_with_the_encoding_that_reads_it(people):
    path = people("idnumber,name\n1,Ann\n".encode("utf-16-be"))
    with pytest.raises(MalformedFileError, match=r"no byte order mark.* encoding='utf-16-be' reads"):
        read_csv(path, encoding="utf-16")


LOSING = {"skip_lines": 1, "header": False, "footer": 1, "columns": ["idnumber"], "blank_rows": "skip", "null": "x"}


@pytest.mark.parametrize(
    "options", [*({name: value} for name, value in LOSING.items()), {"trailing_delimiter": True}, FORMS]
)
def test_nothing_is_written_where_something_was_left_unread(people, options):
    path = people("idnumber,name\n1,Ann\n")
    before = path.read_bytes()
    syncer = CSVSyncer(path, **options)
    for write in (
        lambda: syncer.dump("people", data=PEOPLE),
        lambda: syncer.append("people", data=PEOPLE),
        lambda: syncer.upsert("people", data=PEOPLE, key="idnumber"),
    ):
        with pytest.raises(SyncerError, match=f"is read with {next(iter(options))}="):
            write()
    assert path.read_bytes() == before


def test_all_options_are_listed_once():
    names = set(options_of(TextFormat))
    assert names <= set(CSVImporter.__init__.__annotations__)
    for cls in (CSVSyncer, TSVSyncer):
        assert names | {"path", "name", "timeout"} == set(cls.__signature__.parameters)
    assert TSVImporter("x").delimiter == TSVSyncer("x").delimiter == "\t"


# Warnings ------------------------------------------------------------------------------------------------------------


class Silent(Template):
    def new(self, action):
        pass


def test_every_warning_is_in_the_reports_whether_it_is_shown_or_not():
    def rows_that_warn():
        warnings.warn("the export looks old", DataWarning, stacklevel=1)
        yield from ({"idnumber": "ann"}, {"idnumber": "Ann"}, {"idnumber": "Bob"})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = +Tree("source", branches={"users": Branch(Object, importer=rows_that_warn)})
        dest = +Tree(
            "dest", template=Silent, branches={"users": Branch(Object, importer=lambda: [{"idnumber": "bob"}])}
        )
        said = source.users.imported.warnings
        assert said[0] == "the export looks old"
        assert "'ann' and 'Ann'" in said[1]
        assert "warning: the export looks old" in repr(source.users.imported)
        report = source.sync_to(dest, exclude="old")
    assert report.warnings[:2] == said
    assert "'Bob'" in report.warnings[2]
    assert "the export looks old" in str(report)
