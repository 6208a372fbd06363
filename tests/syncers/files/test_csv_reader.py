"""Reading CSV files: what is written comes back with its place, and what is damaged is refused with its place."""

import codecs
import csv as plain_csv
import gzip
import os
import tracemalloc
import warnings
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import ColumnError, DeclarationError, MalformedFileError, RowError
from datastoresync.syncers.files import csv_reader
from datastoresync.syncers.files.csv_reader import read_csv
from datastoresync.syncers.files.patterns import resolve_files
from datastoresync.syncers.records import choose_columns

PEOPLE = "idnumber,name\n1,Ann\n2,Bob\n"

values = st.one_of(
    st.sampled_from(["", "00123", "NA", "1e5", str(2**53 + 1), "2024-01-02", 'a"b', "a,b", "a\nb", "a\r\nb", "a\rb\n"]),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"), max_size=5),
)
names = values.filter(lambda name: name.strip())
tables = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(names, min_size=width, max_size=width, unique=True),
        st.lists(st.lists(values, min_size=width, max_size=width), max_size=6),
    )
)
newlines = st.sampled_from(["\n", "\r\n", "\r"])
small = st.integers(1, 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@pytest.fixture
def people(tmp_path, monkeypatch):
    """Write people.csv into the working folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, encoding="utf-8"):
        content = text if isinstance(text, bytes) else text.encode(encoding)
        (tmp_path / "people.csv").write_bytes(content)
        return "people.csv"

    return write


def written(header, rows, newline="\n", delimiter=","):
    text = StringIO()
    plain_csv.writer(text, lineterminator=newline, delimiter=delimiter, quoting=plain_csv.QUOTE_ALL).writerows(
        [header, *rows]
    )
    return text.getvalue()


def lines_in(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


def rows_of(records):
    return [list(row.values()) for row in records]


def refused(path, error=MalformedFileError, **options):
    """Return the error that reading the whole file gives."""
    with pytest.raises(error) as caught:
        list(read_csv(path, **options))
    return caught.value


# Laws ----------------------------------------------------------------------------------------------------------------


@given(
    tables,
    newlines,
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    small,
    small,
)
@settings(deadline=None, max_examples=examples(200))
def test_what_is_written_is_read_from_its_line(folder, table, newline, delimiter, encoding, block, chunk):
    header, rows = table
    path = folder / "law.csv"
    path.write_bytes(written(header, rows, newline, delimiter).encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", block)
        patch.setattr(csv_reader, "_BATCH", block)
        patch.setattr(csv_reader, "_STEP", 2)
        patch.setattr(csv_reader, "_CHUNK_SIZE", block)
        records = read_csv(path, encoding=encoding, delimiter=delimiter, chunk=chunk)
        assert records.columns == tuple(header)
        assert rows_of(records) == rows
    line = 1
    for index, row in enumerate([header, *rows], -1):
        if index >= 0:
            assert records.where(index) == f"{path}:{line}"
        line += lines_in(written(row, [], "\n"))


@given(st.lists(st.sampled_from(["", "a,b", "a", "a,b,c", '"a\nb",c', '"a\r\n\rb"', '"",""'])), small, newlines)
@settings(deadline=None, max_examples=examples(200))
def test_rows_that_are_left_out_move_no_other_row(folder, lines, chunk, newline):
    path = folder / "left_out.csv"
    path.write_bytes(newline.join(["x,y", *lines, ""]).encode())
    expected, line, bad_lines = [], 2, []
    for text in lines:
        row = next(plain_csv.reader([text]), [])
        if len(row) == 2:
            expected.append((line, row))
        elif row:
            bad_lines.append(line)
        line += 1 + lines_in(text)
    bad = []
    records = read_csv(path, reject=bad.append, chunk=chunk)
    assert rows_of(records) == [row for _, row in expected]
    assert [records.where(index) for index in range(len(expected))] == [f"{path}:{line}" for line, _ in expected]
    assert [error.where for error in bad] == [f"{path}:{line}" for line in bad_lines]


CONTENT = written(
    ["idnumber", "näme"], [["1", "Ann"], ["2", 'B "ob",\nthe 2nd'], ["3", "€"], ["4", ""]], "\r\n"
).encode()
WHOLE = [["1", "Ann"], ["2", 'B "ob",\nthe 2nd'], ["3", "€"], ["4", ""]]


@given(st.integers(0, len(CONTENT) - 1))
@settings(deadline=None, max_examples=len(CONTENT))
def test_a_file_cut_off_at_any_byte_is_refused_or_ends_with_a_whole_row(folder, length):
    path = folder / "cut.csv"
    path.write_bytes(CONTENT[:length])
    try:
        rows = rows_of(read_csv(path))
    except (MalformedFileError, ColumnError):
        return
    assert rows == WHOLE[: len(rows)]


@given(
    st.text(st.sampled_from("aä€😀\n\r,"), max_size=12),
    st.sampled_from(["utf-8", "utf-16-le", "cp932", "gb18030"]),
    small,
)
@settings(deadline=None, max_examples=examples(200))
def test_a_damaged_character_is_placed(folder, text, encoding, block):
    text = text.encode(encoding, "ignore").decode(encoding)
    bad = {"utf-16-le": b"\x00\xdc", "cp932": b"\x81 "}.get(encoding, b"\xff")
    path = folder / "damaged.csv"
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    for damage, message in ((bad, "is not"), ("\0".encode(encoding), "a NUL character")):
        path.write_bytes(text.encode(encoding) + damage + "\nmore\n".encode(encoding))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_reader, "_BLOCK", block)
            error = refused(path, encoding=encoding)
        assert message in error.message
        assert (error.line, error.column) == (whole.count("\n") + 1, len(whole) - whole.rfind("\n"))
        assert error.where == f"{path}:{error.line}:{error.column}"


@given(st.text(st.sampled_from("a\n\r"), max_size=30), small, small)
@settings(deadline=None, max_examples=examples(200))
def test_the_longest_line_is_found(folder, text, block, longest):
    path = folder / "long.csv"
    path.write_bytes(text.encode())
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    too_long = [number for number, line in enumerate(lines, 1) if len(line) > longest + block]
    fine = all(len(line) <= longest for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", block)
        patch.setattr(csv_reader, "LONGEST", longest)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_csv(path)
        except MalformedFileError as error:
            if "the line is longer" in str(error):
                assert not fine
                assert len(lines[error.line - 1]) > longest  # noqa: PT017 - it need not be raised
        else:
            assert not too_long


# What is read --------------------------------------------------------------------------------------------------------


def test_text_stays_text(people):
    path = people('idnumber,value\n00123,NA\n1e5,2024-01-02\n9007199254740993,"  "\n"",=cmd()\n')
    assert rows_of(read_csv(path)) == [
        ["00123", "NA"],
        ["1e5", "2024-01-02"],
        ["9007199254740993", "  "],
        ["", "=cmd()"],
    ]


def test_records_are_columns_in_chunks_and_know_their_place(people):
    path = people("idnumber,name\n" + "".join(f"{number},n{number}\n" for number in range(5)))
    records = read_csv(path, chunk=2)
    assert records.where(3) == "people.csv:5"
    assert [[tuple(column) for column in chunk] for chunk in records.chunks] == [
        [("0", "1"), ("n0", "n1")],
        [("2", "3"), ("n2", "n3")],
        [("4",), ("n4",)],
    ]
    assert records.where(0) == "people.csv:2"
    assert records.where(4) == "people.csv:6"


def test_a_header_without_rows_gives_no_records(people):
    records = read_csv(people("idnumber,name\n"))
    assert records.columns == ("idnumber", "name")
    assert list(records.chunks) == []


def test_empty_lines_are_skipped(people):
    records = read_csv(people("\n\r\nidnumber\n\n1\n\n\n2\n\n"))
    assert rows_of(records) == [["1"], ["2"]]
    assert [records.where(index) for index in (0, 1)] == ["people.csv:5", "people.csv:8"]


def test_a_file_of_one_column_may_hold_empty_values(people):
    assert rows_of(read_csv(people('idnumber\n""\n\n'))) == [[""]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_is_read_through(people, encoding):
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    path = people(mark + '"idnumber",name\n1,Ann\n', encoding)
    assert read_csv(path, encoding=encoding).columns == ("idnumber", "name")


def test_columns_are_taken_and_renamed(people):
    path = people("a,b,c\n1,2,3\n")
    assert list(read_csv(path, columns=["c", "a"])) == [{"c": "3", "a": "1"}]
    assert list(read_csv(path, columns={"idnumber": "b"})) == [{"a": "1", "idnumber": "2", "c": "3"}]
    assert list(read_csv(path, columns=[("idnumber", "b"), "a"])) == [{"idnumber": "2", "a": "1"}]


def test_a_text_may_stand_for_none(people):
    path = people('idnumber,name\n1,NULL\n2,"NULL"\n3,NULL!\n4,\n')
    assert rows_of(read_csv(path, null="NULL")) == [["1", None], ["2", None], ["3", "NULL!"], ["4", ""]]
    assert rows_of(read_csv(path, null=""))[3] == ["4", None]


def test_a_path_object_is_taken(people, tmp_path):
    people(PEOPLE)
    records = read_csv(tmp_path / "people.csv")
    assert rows_of(records) == [["1", "Ann"], ["2", "Bob"]]
    assert records.where(0) == f"{tmp_path / 'people.csv'}:2"


def test_a_row_of_ten_thousand_columns(people):
    header = [f"c{number}" for number in range(10_000)]
    records = read_csv(people(written(header, [header, header])))
    assert rows_of(records) == [header, header]


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_missing_file(people, tmp_path):
    people(PEOPLE)
    error = refused("peple.csv")
    assert str(error) == f"peple.csv: there is no such file in {tmp_path}"
    assert isinstance(error.__cause__, FileNotFoundError)


def test_a_folder_and_a_device(tmp_path):
    assert "not a regular file" in str(refused(tmp_path))
    assert "not a regular file" in str(refused(os.devnull))


def test_a_file_that_may_not_be_read(people, monkeypatch):
    path = people(PEOPLE)

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(csv_reader.Path, "open", forbidden)
    assert str(refused(path)) == (
        "people.csv: the file cannot be read: Permission denied: "
        "check who may read and write there, or name another place"
    )


@pytest.mark.parametrize("content", ["", "\ufeff"])
def test_an_empty_file(people, content):
    assert str(refused(people(content))) == "people.csv: the file is empty: it must have a header"


@pytest.mark.parametrize("content", ["\n", "\r\n\r\n"])
def test_a_file_of_empty_lines(people, content):
    assert "the file has only empty lines: it must have a header" in str(refused(people(content)))


def test_a_name_twice_in_the_header(people):
    error = refused(people("\nidnumber,name,idnumber\n"))
    assert str(error) == (
        "people.csv:2: columns 1 and 3 of the header are both 'idnumber': rename one, or let "
        "columns=('name',) leave others unread; if the header stands further down, skip_lines=2 skips this"
    )
    assert error.line == 2


@pytest.mark.parametrize("header", ["idnumber,,name", "idnumber,  ,name"])
def test_an_empty_name_in_the_header(people, header):
    error = refused(people(f"{header}\n1,2,3\n"))
    assert str(error) == (
        "people.csv:1: column 2 of the header has no name: give it a text, or let "
        "columns=('idnumber', 'name') leave others unread; if the header stands further down, skip_lines=1 skips this"
    )


def test_another_encoding(people):
    error = refused(people("idnumber,name\n1,Ann\n2,Jörg\n".encode("latin-1")))
    assert str(error) == (
        "people.csv:3:4: byte 0xf6 is not utf-8: save the file as utf-8, or give the encoding that it is in, as in "
        "encoding='cp1252'"
    )
    assert (error.line, error.column) == (3, 4)


ONE_BYTE = ("cp1252", "latin-1", "iso8859_15", "cp850", "cp1251", "koi8-r", "mac-roman", "cp1253")


@pytest.mark.parametrize("encoding", ONE_BYTE)
def test_utf8_is_not_read_as_an_encoding_in_which_it_is_other_text(people, encoding):
    error = refused(people("idnumber,name\n1,Ann\n2,Björ\n3,Zoë\n"), encoding=encoding)
    other = "ö".encode().decode(encoding)
    name = codecs.lookup(encoding).name
    assert str(error) == (
        f"people.csv:3:5: the file looks like UTF-8: read as {name}, its 'ö' would be {other!r}; "
        f"encoding='utf-8' reads it, and with check_encoding=False {other!r} is what is meant"
    )
    assert (error.line, error.column) == (3, 5)
    insisted = rows_of(read_csv("people.csv", encoding=encoding, check_encoding=False))
    assert insisted[1:] == [["2", f"Bj{other}r"], ["3", "Zo" + "ë".encode().decode(encoding)]]


beyond_ascii = st.text(st.characters(exclude_characters='\0\r\n,"', exclude_categories=["Cs"]), max_size=4)
any_bytes = st.text(st.characters(codec="latin-1", exclude_characters='\0\r\n,"'), max_size=9)


@settings(max_examples=examples(200))
@given(any_bytes | beyond_ascii.map(lambda text: text.encode().decode("latin-1")), st.integers(1, 9), st.booleans())
def test_what_is_utf8_as_a_whole_is_refused_and_nothing_else(tmp_path_factory, text, block, packed):
    path = tmp_path_factory.mktemp("bytes") / ("people.csv.gz" if packed else "people.csv")
    content = f"idnumber\n-{text}\n".encode("latin-1")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", block)
        try:
            utf8 = not content.isascii() and content.decode()
        except UnicodeDecodeError:
            utf8 = False
        if utf8:
            first = next(index for index, one in enumerate(content) if one > 127)
            assert refused(path, encoding="latin-1").column == first - len("idnumber\n") + 1
        else:
            assert rows_of(read_csv(path, encoding="latin-1")) == [[f"-{text}"]]


def test_what_is_not_in_the_encoding_that_is_given_is_in_another(people):
    error = refused(people("idnumber,name\n1,Jörg ç\n".encode("mac-roman")), encoding="cp1252")
    assert str(error) == (
        "people.csv:2:8: byte 0x8d is not cp1252: save the file as cp1252, or give the encoding that it is in, as in "
        "encoding='mac-roman'"
    )


def test_a_character_cut_in_two(people):
    error = refused(people("idnumber\n€".encode()[:-1]))
    assert (error.line, error.column) == (2, 1)


def test_a_nul(people):
    error = refused(people("idnumber,name\r\n1,A\0nn\r\n"))
    assert str(error).startswith("people.csv:2:4: a NUL character: the file is damaged, or in another encoding")


def test_what_is_damaged_further_down_is_refused_before_any_row_is_delivered(people):
    path = people(PEOPLE.encode() + b"3,\xff\n")
    with pytest.raises(MalformedFileError, match=r"people\.csv:4:3: byte 0xff"):
        read_csv(path)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64"])
def test_an_unknown_encoding(people, encoding):
    with pytest.raises(DeclarationError, match=f"'{encoding}' is no text encoding that Python knows"):
        read_csv(people(PEOPLE), encoding=encoding)


@pytest.mark.parametrize("delimiter", ["", ", ", '"', "\n"])
def test_what_cannot_be_a_delimiter(people, delimiter):
    with pytest.raises(DeclarationError, match="a delimiter is one character"):
        read_csv(people(PEOPLE), delimiter=delimiter)


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ('1,Ann\n2,"Bob\n3,Cid\n', 3, "a quote is opened in the row that begins here, and never closed"),
        ('1,"Ann\n2,Bob\n3,"Cid"\n', 2, "goes on after its closing quote"),
        ('1,"A\nnn"\n\n2,"Bob" \n', 5, "goes on after its closing quote"),
        ('"1\n', 2, "never closed"),
        ('1,Ann\n2,"' + "x\n" * 70_000, 3, "is longer than 131072 characters: a quote may be left open"),
    ],
    ids=["never closed", "closed rows later", "followed by a blank", "in the first value", "longer than the limit"],
)
def test_a_wrong_quote_is_refused_with_the_line_that_its_row_begins_on(people, rows, line, message):
    error = refused(people("idnumber,name\n" + rows))
    assert message in str(error)
    assert error.line == line
    assert error.where == f"people.csv:{line}"


def test_a_wrong_quote_far_down(people):
    path = people("idnumber,name\n" + '1,"a\nb"\n' * 1000 + '2,"Bob\n' + "3,Cid\n" * 1000)
    assert refused(path).line == 2002


def test_a_wrong_quote_in_the_header(people):
    assert refused(people('\nidnumber,"name\n1,Ann\n')).line == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2", "people.csv:3: the row has 1 value, the header 2: it may be cut off"),
        ("2,Bob,x", "people.csv:3: the row has 3 values, the header 2: quote a value that holds ','"),
    ],
)
def test_a_row_of_another_width(people, row, message):
    path = people(f"idnumber,name\n1,Ann\n{row}\n3,Cid\n")
    error = refused(path, ColumnError)
    assert str(error) == message
    assert error.row == row.split(",")
    bad = []
    assert rows_of(read_csv(path, reject=bad.append)) == [["1", "Ann"], ["3", "Cid"]]
    assert [str(error) for error in bad] == [message]


def test_a_chunk_of_nothing_but_bad_rows(people):
    path = people("idnumber,name\n1\n2\n3,Cid\n")
    bad = []
    records = read_csv(path, reject=bad.append, chunk=2)
    assert rows_of(records) == [["3", "Cid"]]
    assert records.where(0) == "people.csv:4"


def test_a_reject_that_raises_ends_it(people):
    def reject(error):
        raise RowError("enough") from error

    refused(people("idnumber,name\n1\n"), RowError, reject=reject)


def test_a_missing_final_newline(people):
    path = people("idnumber,name\n1,Ann\n2,Bo")
    error = refused(path)
    assert str(error) == (
        "people.csv:3: the last line does not end in a newline: the file may be cut off; if such files never end in "
        "one, final_newline=False reads them"
    )
    assert error.line == 3
    assert rows_of(read_csv(path, final_newline=False)) == [["1", "Ann"], ["2", "Bo"]]


def test_a_line_that_is_too_long_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"idnumber,name\n1,Ann\n2,")
        for _ in range(60):
            file.write(b"x" * 2**20)
        file.write(b"\n")
    tracemalloc.start()
    try:
        error = refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.line == 3
    assert "the line is longer than 16777216 characters: a newline may be missing" in str(error)
    assert peak < 10 * 2**20


def test_a_row_of_too_many_lines_is_refused(people, monkeypatch):
    monkeypatch.setattr(csv_reader, "LONGEST", 1000)
    monkeypatch.setattr(csv_reader, "_BATCH", 100)
    path = people("idnumber,name\n1,Ann\n2," + '"x\n",' * 10_000 + "\n")
    error = refused(path)
    assert error.line == 2
    assert "from here on, a row is longer than 1000 characters: a quote may be left open" in str(error)


def test_chunks_of_long_rows_are_small(people, monkeypatch):
    monkeypatch.setattr(csv_reader, "_CHUNK_SIZE", 1000)
    monkeypatch.setattr(csv_reader, "_BATCH", 100)
    records = read_csv(people("idnumber,name\n" + f"1,{'x' * 90}\n" * 1000))
    sizes = [len(chunk[0]) for chunk in records.chunks]
    assert sum(sizes) == 1000
    assert max(sizes) <= 32


def test_memory_does_not_grow_with_the_file(people):
    path = people("idnumber,name\n" + '"1","some text\nin two lines"\n' * 50_000)
    tracemalloc.start()
    try:
        for _ in read_csv(path, chunk=1000).chunks:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * 2**20


@pytest.mark.parametrize("moment", ["before the first chunk", "between chunks", "at the end"])
def test_a_file_that_changes_while_it_is_read(people, moment):
    path = people(PEOPLE)
    records = read_csv(path, chunk=1)
    chunks = iter(records.chunks)
    for _ in range({"before the first chunk": 0, "between chunks": 1, "at the end": 2}[moment]):
        next(chunks)
    with open(path, "a") as file:  # noqa: PTH123
        file.write('3,"Cid\n')
    with pytest.raises(MalformedFileError, match=r"^people\.csv: the file changed while it was read: import it when"):
        next(chunks)


def test_a_file_of_the_same_size_in_its_place(people, tmp_path):
    records = read_csv(people(PEOPLE))
    found = (tmp_path / "people.csv").stat()
    (tmp_path / "other.csv").write_text(PEOPLE.replace("Bob", "Bo\0"))
    os.utime("other.csv", ns=(found.st_atime_ns, found.st_mtime_ns))
    (tmp_path / "other.csv").replace("people.csv")
    with pytest.raises(MalformedFileError, match="the file changed while it was read"):
        list(records)


def test_a_file_that_vanishes(people, tmp_path):
    records = read_csv(people(PEOPLE))
    (tmp_path / "people.csv").unlink()
    with pytest.raises(MalformedFileError, match=r"people\.csv: there is no such file in "):
        list(records)


# Which columns -------------------------------------------------------------------------------------------------------


def test_an_unknown_column_with_the_nearest_name(people):
    path = people("\n" + PEOPLE)
    with pytest.raises(
        ColumnError, match=r"people\.csv:2: there is no column 'nmae', 'x': did you mean 'name'\?$"
    ) as seen:
        read_csv(path, columns=["idnumber", "nmae", "x"])
    assert seen.value.columns == ("nmae", "x")
    with pytest.raises(ColumnError, match="there is no column 'zzz': there are 'idnumber', 'name'"):
        read_csv(path, columns={"x": "zzz"})


@pytest.mark.parametrize("columns", ["idnumber", [], {}])
def test_what_is_no_list_of_columns(people, columns):
    with pytest.raises(DeclarationError, match=r"columns must be a list of names, or a mapping .* \(got "):
        read_csv(people(PEOPLE), columns=columns)


@pytest.mark.parametrize("columns", [["name", "name"], {"name": "idnumber"}])
def test_a_column_named_twice(people, columns):
    with pytest.raises(ColumnError, match=r"people\.csv:1: columns names 'name' twice") as seen:
        read_csv(people(PEOPLE), columns=columns)
    assert seen.value.columns == ("name",)


def test_all_columns_are_taken_unless_some_are_named():
    assert choose_columns(["a", "b"], None) == ([0, 1], ["a", "b"])


# Which files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def exports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(["b/2024-03.csv", "2024-02.csv", "2024-01.csv", "2024-01.txt", "[1].csv"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PEOPLE)
        os.utime(path, (place, place))
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("2024-01.csv", ["2024-01.csv"]),
        ("2024*.csv", ["2024-01.csv", "2024-02.csv"]),
        ("**/2024*.csv", ["2024-01.csv", "2024-02.csv", "b/2024-03.csv"]),
        ("[1].csv", ["[1].csv"]),
        ("*.csv", ["2024-01.csv", "2024-02.csv", "[1].csv"]),
        (["b/*.csv", "2024-02.csv", "2024-0*.csv"], ["2024-01.csv", "2024-02.csv", "b/2024-03.csv"]),
    ],
)
def test_files_are_found_and_sorted(exports, pattern, names):
    assert [file.as_posix() for file in resolve_files(pattern)] == names


def test_a_path_and_an_absolute_pattern(exports):
    assert resolve_files(exports / "2024-01.csv") == [exports / "2024-01.csv"]
    assert resolve_files(f"{exports}/2024*.csv") == [exports / "2024-01.csv", exports / "2024-02.csv"]


def test_the_newest_file(exports):
    assert [file.name for file in resolve_files("**/2024*.csv", newest="modified")] == ["2024-01.csv"]
    assert [file.name for file in resolve_files("**/2024*.csv", newest="name")] == ["2024-03.csv"]
    with pytest.raises(DeclarationError, match=r"newest is 'modified', 'name' or None \(got 'size'\)"):
        resolve_files("*.csv", newest="size")


def test_nothing_that_matches(exports):
    for pattern, message in (
        ("*.tsv", f"*.tsv: no file matches in {exports}"),
        ("b/*.tsv", f"b/*.tsv: no file matches in {exports / 'b'}"),
        ("x/*.csv", f"x/*.csv: no file matches since there is no folder {exports / 'x'}"),
        ("b/x.csv", f"b/x.csv: there is no such file in {exports / 'b'}"),
        ([], "no file is named: give a path or a pattern"),
        (["2024-01.csv", "*.tsv"], f"*.tsv: no file matches in {exports}"),
    ):
        with pytest.raises(MalformedFileError) as caught:
            resolve_files(pattern)
        assert str(caught.value) == message
