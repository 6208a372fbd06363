"""What goes wrong on the way in, a row of the list of hazards each, shown through the public operators."""

import csv
import datetime
import decimal
import io
import tracemalloc
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import (
    Branch,
    ColumnError,
    ConversionError,
    CSVImporter,
    DataWarning,
    DuplicateError,
    IdnumberError,
    Importer,
    ImporterError,
    MalformedFileError,
    Object,
    SafeguardError,
    SchemaMismatchError,
    SQLImporter,
    Template,
    Tree,
)

PEOPLE = [{"idnumber": str(number), "name": f"name {number}"} for number in range(30)]


class Recorder(Template):
    """Notes all that it is asked to do."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def new(self, action):
        self.calls.append(action)

    update = add_members = remove_members = old = new


class User(Object):
    name: str


class Pupil(Object):
    name: str
    grade: int
    born: datetime.date | None = None


def tree(importer, object_class=Object, *, name="source", template=None):
    return Tree(name, template=template, branches={"users": Branch(object_class, importer=importer)})


def dest_of(rows=PEOPLE, object_class=Object):
    template = Recorder()
    return +tree(rows, object_class, name="dest", template=template), template


@pytest.fixture
def write(tmp_path):
    """Return a function that writes ``users.csv`` and returns its path."""

    def write(content):
        path = tmp_path / "users.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def csv_of(rows, **options):
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n", **options)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


# An empty file, a header without rows, a file that is not there -----------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", None])
def test_an_empty_or_absent_file_is_refused_and_nothing_is_deleted(write, tmp_path, content):
    path = tmp_path / "users.csv" if content is None else write(content)
    dest, template = dest_of()
    source = tree(CSVImporter(path))
    with pytest.raises(MalformedFileError, match=r"source\.users: .*users\.csv.*: (the file|there is no such file)"):
        +source
    with pytest.raises(SafeguardError, match=r"source\.users is empty, and 30 objects of dest\.users would be deleted"):
        source >> dest
    assert template.calls == []
    assert len(dest.users) == 30


def test_a_header_without_rows_deletes_nothing(write):
    dest, template = dest_of()
    source = +tree(CSVImporter(write("idnumber,name\n")))
    assert len(source.users) == 0
    with pytest.raises(SafeguardError, match=r"source\.users is empty"):
        source >> dest
    assert template.calls == []


def test_a_file_that_is_gone_leaves_the_last_import_as_it_was(write):
    path = write(csv_of(PEOPLE))
    source = +tree(CSVImporter(path))
    path.unlink()
    with pytest.raises(MalformedFileError, match="no such file"):
        +source
    assert len(source.users) == 30
    dest, template = dest_of()
    assert (source >> dest).ok
    assert template.calls == []


# A file that is cut off ---------------------------------------------------------------------------------------------

CUT = csv_of(
    [
        {"idnumber": f"{number:03}", "name": name, "note": note}
        for number, (name, note) in enumerate(
            [("Ann", "plain"), ("Zoë, 山", 'a "quoted" note'), ("Bob", "two\nlines")] * 12
        )
    ]
).encode()


@given(data=st.data())
@settings(max_examples=examples(200), deadline=None)
def test_a_file_cut_off_at_any_byte_is_refused_or_deletes_little(tmp_path_factory, data):
    length = data.draw(st.integers(0, len(CUT)))
    path = tmp_path_factory.mktemp("cut") / "users.csv"
    path.write_bytes(CUT)
    dest, template = Tree("dest", branches={"users": Branch(importer=CSVImporter(path))}, template=None), Recorder()
    +dest
    dest.template = template
    path.write_bytes(CUT[:length])
    source = tree(CSVImporter(path))
    try:
        +source
        source >> dest
    except (ImporterError, SafeguardError):
        assert template.calls == []
        assert length < len(CUT)
        return
    deleted = [action for action in template.calls if action.verb == "old"]
    assert len(deleted) <= 8, "a fifth of 36"
    assert CUT[:length].endswith(b"\n"), "a last line without its newline is refused"


# Quotes, widths, headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [2, 3, 17])
def test_an_unclosed_quote_is_refused_with_its_line(write, line):
    rows = [f'{number},"name {number}"' for number in range(30)]
    rows[line - 2] = rows[line - 2][:-1]
    source = tree(CSVImporter(write("\n".join(["idnumber,name", *rows, ""]))))
    with pytest.raises(MalformedFileError, match="quote") as caught:
        +source
    assert caught.value.line == line
    assert f"users.csv:{line}" in str(caught.value)


@pytest.mark.parametrize(("row", "width"), [("7", "1 value"), ("7,a,b", "3 values"), ("7,a,b,c", "4 values")])
def test_a_row_of_another_width_is_refused_with_line_and_widths(write, row, width):
    source = tree(CSVImporter(write(f"idnumber,name\n1,a\n{row}\n2,b\n")))
    with pytest.raises(ColumnError, match=rf"users\.csv:3: the row has {width}, the header 2"):
        +source
    assert len(source.users) == 0


def test_or_it_is_collected_and_reported_and_then_nothing_is_deleted(write):
    rows = "".join(f"{number},name {number}\n" for number in range(28))
    source = +tree(CSVImporter(write(f"idnumber,name\n28\n29,a,b\n{rows}"), on_bad_row="collect"))
    report = source.users.imported
    assert len(source.users) == 28
    assert (report.rows, report.objects, len(report.bad_rows), report.ok) == (28, 28, 2, False)
    assert [error.where.rpartition(":")[2] for error in report.bad_rows] == ["2", "3"]
    assert "users.csv:2" in repr(report)
    assert report.bad_rows[0].row == ["28"]
    dest, template = dest_of()
    with pytest.raises(SafeguardError, match=r"nothing may be deleted, since 2 rows of source\.users"):
        source >> dest
    assert template.calls == []
    assert source.sync_to(dest, exclude="old").ok


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("idnumber,name,name", r"users\.csv:1: columns 2 and 3 of the header are both 'name'"),
        ("idnumber,name,", r"users\.csv:1: column 3 of the header has no name"),
        ("idnumber, ,name", r"users\.csv:1: column 2 of the header has no name"),
    ],
)
def test_a_header_with_a_name_twice_or_empty_is_refused(write, header, message):
    with pytest.raises(MalformedFileError, match=message):
        +tree(CSVImporter(write(f"{header}\n1,a,b\n")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "utf-16"])
def test_a_byte_order_mark_is_read_through(write, encoding):
    marked = "idnumber,name\n1,Zoë\n".encode("utf-8-sig" if encoding == "utf-8" else encoding)
    source = +tree(CSVImporter(write(marked), encoding=encoding))
    assert source.users["1"].name == "Zoë"


# Encodings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ("idnumber,name\n1,Ann\n2,Zoë\n".encode("latin-1"), 3, 5),
        ("idnumber,nämé\n".encode("cp1252"), 1, 11),
        (b"idnumber,name\n1,Ann\n2,B\0b\n", 3, 4),
        (b"idnumber,name\n1,\xff\xfe\n", 2, 3),
        (b"\0idnumber\n", 1, 1),
    ],
)
def test_another_encoding_or_a_nul_is_refused_with_line_and_column(write, content, line, column):
    source = tree(CSVImporter(write(content)))
    with pytest.raises(
        MalformedFileError, match=rf"users\.csv:{line}:{column}: (byte 0x\w\w is not utf-8|a NUL)"
    ) as caught:
        +source
    assert (caught.value.line, caught.value.column) == (line, column)


def test_the_declared_encoding_is_the_one_that_is_read(write):
    content = "idnumber,name\n1,Zoë\n".encode("cp1252")
    assert (+tree(CSVImporter(write(content), encoding="cp1252"))).users["1"].name == "Zoë"


# Text that looks like something else --------------------------------------------------------------------------------

LOOKS = [
    "00123",
    "NA",
    "1e5",
    str(2**53 + 1),
    "2024-01-02",
    "null",
    "None",
    "nan",
    "TRUE",
    "1.0",
    "-0",
    "+1",
    "1_000",
    "Inf",
    " x ",
]


def _csv(rows, tmp_path):
    path = tmp_path / "looks.csv"
    path.write_text(csv_of(rows))
    return CSVImporter(path)


def _polars(rows, _):
    return pytest.importorskip("polars").DataFrame(rows)


def _polars_csv(rows, tmp_path):
    path = _csv(rows, tmp_path).files
    return pytest.importorskip("polars").read_csv(path, infer_schema=False)


def _pandas(rows, _):
    return pytest.importorskip("pandas").DataFrame(rows)


def _pyarrow(rows, _):
    return pytest.importorskip("pyarrow").Table.from_pylist(rows)


def _duckdb(rows, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = _csv(rows, tmp_path).files
    return duckdb.read_csv(str(path), all_varchar=True)


SOURCES = {
    "a list": lambda rows, _: rows,
    "CSV": _csv,
    "polars": _polars,
    "polars from CSV": _polars_csv,
    "pandas": _pandas,
    "pyarrow": _pyarrow,
    "DuckDB": _duckdb,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("object_class", [Object, User])
def test_text_stays_text_unless_a_type_is_declared(kind, object_class, tmp_path):
    rows = [{"idnumber": value, "name": value} for value in LOOKS]
    source = +tree(SOURCES[kind](rows, tmp_path), object_class)
    assert sorted(source.users) == sorted(LOOKS)
    assert all(user.name == key and type(user.name) is str for key, user in source.users.items())


@pytest.mark.parametrize("kind", ["a list", "polars", "pandas", "pyarrow"])
def test_whole_numbers_keep_every_digit(kind, tmp_path):
    rows = [{"idnumber": 2**53 + 1, "name": 2**62 + 1}]
    source = +tree(SOURCES[kind](rows, tmp_path))
    ((key, user),) = source.users.items()
    assert (key, user.name) == (2**53 + 1, 2**62 + 1)
    assert type(key) is type(user.name) is int


def test_what_is_declared_is_converted(write):
    source = +tree(CSVImporter(write("idnumber,name,grade,born\n007,00123,12,2024-01-02\n8,NA,-3,\n")), Pupil)
    assert repr(source.users["007"]) == "Pupil(idnumber='007', name='00123', grade=12, born=datetime.date(2024, 1, 2))"
    assert (source.users["8"].name, source.users["8"].grade, source.users["8"].born) == ("NA", -3, None)


@pytest.mark.parametrize(
    ("row", "column", "value", "declared"),
    [
        ("2,b,seven,", "grade", "seven", "int"),
        ("2,b,1e5,", "grade", "1e5", "int"),
        ("2,b,7.5,", "grade", "7.5", "int"),
        ("2,b,,", "grade", "", "int"),
        ("2,b,NA,", "grade", "NA", "int"),
        ("2,b,7,02/01/2024", "born", "02/01/2024", "date | None"),
        ("2,b,7,2024-02-30", "born", "2024-02-30", "date | None"),
    ],
)
def test_a_value_that_the_type_cannot_take_is_refused_with_all_that_is_known(write, row, column, value, declared):
    source = tree(CSVImporter(write(f"idnumber,name,grade,born\n1,a,7,\n{row}\n")), Pupil)
    with pytest.raises(ConversionError, match=rf"source\.users: .*users\.csv:3: {column}: ") as caught:
        +source
    assert (caught.value.column, caught.value.value) == (column, value)
    assert repr(value) in str(caught.value) or value == ""
    assert f"(declared: {declared})" in str(caught.value)


# Idnumbers ----------------------------------------------------------------------------------------------------------


def test_an_idnumber_twice_is_refused_with_both_lines(write):
    with pytest.raises(DuplicateError, match=r"users\.csv:5: idnumber '2' is already at .*users\.csv:3") as caught:
        +tree(CSVImporter(write("idnumber,name\n1,a\n2,b\n3,c\n2,d\n")))
    assert caught.value.idnumber == "2"
    assert caught.value.first.endswith("users.csv:3")
    assert "differ in name" in str(caught.value)
    assert "resolve_duplicate" in str(caught.value)


def test_an_idnumber_twice_is_left_to_resolve_duplicate(write):
    class Longest(CSVImporter):
        def resolve_duplicate(self, existing, row):
            return max(existing, row, key=lambda one: len(one["name"]))

    source = +tree(Longest(write("idnumber,name\n1,a\n2,bbb\n1,aaaa\n2,b\n")))
    assert [user.name for user in source.users.values()] == ["aaaa", "bbb"]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([{"idnumber": "", "name": "x"}], "''"),
        ([{"idnumber": None, "name": "x"}], "None"),
        ([{"idnumber": float("nan"), "name": "x"}], "NaN"),
        ([{"idnumber": "1", "name": "x"}, {"idnumber": "", "name": "x"}], "''"),
    ],
)
def test_an_empty_idnumber_is_refused(rows, shown):
    with pytest.raises(IdnumberError, match=rf"row {len(rows)}: idnumber is {shown}: every row needs an idnumber"):
        +tree(rows)


def test_an_empty_idnumber_in_a_file_is_refused_with_its_line(write):
    path = write("idnumber,name\n1,a\n,b\n")
    for options in ({}, {"null": ""}):
        with pytest.raises(IdnumberError, match=r"users\.csv:3: idnumber is (''|None)"):
            +tree(CSVImporter(path, **options))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "Ann"),
        ("ann", "ann "),
        ("ann", "\tann"),
        ("caf\u00e9", "cafe\u0301"),
        ("ﬁ", "fi"),
        ("STRASSE", "straße"),
    ],
)
def test_idnumbers_that_look_alike_are_different_and_a_warning_names_them(one, other):
    with pytest.warns(
        DataWarning, match=r"source\.users: idnumbers that differ only in case, Unicode form or blanks"
    ) as caught:
        source = +tree([{"idnumber": one}, {"idnumber": other}])
    assert set(source.users) == {one, other}
    assert repr(one) in str(caught[0].message)
    assert repr(other) in str(caught[0].message)
    dest, _ = dest_of([{"idnumber": one}])
    assert [action.message for action in source - dest] == [f"new_users(idnumber={other!r})"]


# Types that differ between the sides --------------------------------------------------------------------------------


def test_a_key_that_is_text_here_and_a_number_there_is_one_schema_error():
    source = +tree([{"idnumber": str(number), "name": "x"} for number in range(100)])
    dest, template = dest_of([{"idnumber": number, "name": "x"} for number in range(100)])
    with pytest.raises(SchemaMismatchError, match=r"idnumber: str in source\.users and int in dest\.users") as caught:
        source >> dest
    assert len(caught.value.problems) == 1
    assert "declare `idnumber: int`" in str(caught.value)
    assert template.calls == []


def test_a_value_that_is_text_here_and_a_number_there_is_one_schema_error():
    source = +tree([{"idnumber": str(number), "grade": "7", "room": "1"} for number in range(100)])
    dest, template = dest_of([{"idnumber": str(number), "grade": 7, "room": "1"} for number in range(100)])
    with pytest.raises(
        SchemaMismatchError, match=r"grade: str in source.users and int in dest.users .'7' and 7"
    ) as caught:
        source >> dest
    assert len(caught.value.problems) == 1
    assert "declare `grade: int`" in str(caught.value)
    assert template.calls == []


class Course(Object):
    _identifiers = ("school", "code")
    school: str
    code: str
    title: str = ""


def test_composite_keys_never_collide():
    rows = [{"school": "u__v", "code": "w"}, {"school": "u", "code": "v__w"}]
    source = +tree(rows, Course)
    assert list(source.users) == [("u", "v__w"), ("u__v", "w")]
    dest, _ = dest_of(rows[:1], Course)
    assert [action.idnumber for action in source - dest] == [("u", "v__w")]


@pytest.mark.parametrize(
    "value",
    [float("nan"), decimal.Decimal("NaN"), (1, float("nan")), {"a": float("nan")}, {float("nan")}, [float("nan")]],
)
def test_nan_is_equal_to_itself(value):
    def copied(value):
        if isinstance(value, (float, decimal.Decimal)):
            return type(value)("nan")
        if isinstance(value, dict):
            return {key: copied(one) for key, one in value.items()}
        return value if isinstance(value, int) else type(value)(map(copied, value))

    source = +tree([{"idnumber": "1", "value": value}])
    dest, _ = dest_of([{"idnumber": "1", "value": copied(value)}])
    assert not source - dest
    dest, _ = dest_of([{"idnumber": "1", "value": None}])
    assert len(source - dest) == 1


# Too much -----------------------------------------------------------------------------------------------------------


def peak_of(run):
    """Return the most bytes that Python held at a time while something ran."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", ["one line", "quoted lines", "open quote"])
def test_a_field_of_200_megabytes_is_refused_within_bounded_memory(tmp_path, shape):
    path = tmp_path / "users.csv"
    block = b"x" * 2**20 if shape == "one line" else b"many words on a line\n" * 50_000
    with path.open("wb") as file:
        file.write(b"idnumber,name\n1,Ann\n2,")
        file.write(b"" if shape == "one line" else b'"')
        for _ in range(200 * 2**20 // len(block)):
            file.write(block)
        file.write(b'"\n' if shape == "quoted lines" else b"\n")
    source = tree(CSVImporter(path))

    def run():
        with pytest.raises(MalformedFileError, match=r"longer than \d+ characters|newline may be missing") as caught:
            +source
        assert caught.value.line == 3

    assert peak_of(run) < 32 * 2**20


def test_a_row_of_ten_thousand_columns_takes_memory_in_proportion(write):
    names = [f"column_{number}" for number in range(10_000)]
    body = "".join(f"{row}," + ",".join(f"{row}.{number}" for number in range(len(names))) + "\n" for row in range(20))
    path = write(f"idnumber,{','.join(names)}\n{body}")
    source = tree(CSVImporter(path))
    assert peak_of(lambda: +source) < 40 * path.stat().st_size + 64 * 2**20
    assert source.users["19"].column_9999 == "19.9999"


# Markup and escapes -------------------------------------------------------------------------------------------------

ODD = [
    "[red]",
    "[/foo]",
    "<script>alert(1)</script>",
    "&amp;",
    "\x1b[31m\x1b]0;title\x07",
    "\u202egnp.exe",
    "a\nb\rc\td",
    "\0",
    "\u200b",
]


@pytest.mark.parametrize("value", ODD)
def test_markup_and_escapes_are_shown_as_text(value, capsys):
    source = +tree([{"idnumber": value, "name": value}, {"idnumber": "1", "name": value}])
    dest, template = dest_of([{"idnumber": "1", "name": "plain"}])
    preview = source > dest
    printed = capsys.readouterr().out
    report = source - dest | Template
    shown = [
        printed,
        repr(source.users["1"]),
        repr(source - dest),
        (source - dest).text(),
        repr(preview),
        repr(report),
        str(report),
        source.text(),
        repr(source.users),
    ]
    for text in shown:
        assert all(line.isprintable() for line in text.splitlines()), text
    assert len(printed.splitlines()) == 8, "five of the plan, three of the calls"
    if value.startswith("["):
        assert f"+ users '{value}'  name: '{value}'" in printed
    for shows in (source.users["1"], source.users, source, source - dest, preview, report):
        html = shows._repr_html_()
        assert "<script>alert" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html
    assert [action.idnumber for action in template.calls] == []
    assert source.users[value].name == value, "the data itself is as it was"


FORMULAS = ["=cmd()|' /C calc'!A0", "+1+1", "-1", "@SUM(A1)", "\ta", "\nb", "\rc", "'=1", "\uff1d2"]


def test_what_looks_like_a_formula_is_in_a_database_as_it_was(store_url):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from datastoresync.syncers.sql.syncer import SQLSyncer

    engine = sqlalchemy.create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table users (idnumber varchar(40) primary key, name varchar(40))"))
    engine.dispose()
    with SQLSyncer(store_url) as syncer:
        dest = +Tree("dest", syncer=syncer, branches={"users": Branch(User)})
        source = +tree([{"idnumber": value, "name": value} for value in FORMULAS], User)
        assert (source >> dest).ok
        again = +Tree("again", syncer=syncer, branches={"users": Branch(User)})
        assert {key: user.name for key, user in again.users.items()} == {value: value for value in FORMULAS}
        assert not source - again
        query = SQLImporter(syncer, "select idnumber, name from users")
        assert sorted((+tree(query)).users) == sorted(FORMULAS)


def test_what_looks_like_a_formula_comes_in_as_it_is(write):
    source = +tree(
        CSVImporter(write(csv_of([{"idnumber": value, "name": value} for value in FORMULAS], quoting=csv.QUOTE_ALL)))
    )
    assert sorted(source.users) == sorted("=1" if value == "'=1" else value for value in FORMULAS)


# Whatever it is, nothing of it is silent ----------------------------------------------------------------------------


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_any_bytes_are_read_whole_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"idnumber,name\n" + content)
    source = tree(CSVImporter(path))
    refused = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            +source
    except ImporterError as error:
        refused = str(error)
    if refused:
        assert "any.csv" in refused
        assert len(source.users) == 0
        return
    text = (b"idnumber,name\n" + content).decode()
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row][1:]
    assert [[user.idnumber, user.name] for user in source.users.values()] == sorted(rows)


def test_a_row_that_is_no_row_is_refused_with_its_place():
    class Odd(Importer):
        def read(self):
            yield {"idnumber": "1"}
            yield ["2"]

    with pytest.raises(ImporterError, match=r"source\.users: row 2: a row must be a mapping"):
        +tree(Odd)
