"""Files as importers: one or several into one branch, the newest of them, columns that are chosen and renamed."""

import os

import pytest

from datastoresync import (
    Branch,
    ColumnError,
    ConversionError,
    CSVImporter,
    DataWarning,
    DeclarationError,
    DuplicateError,
    Importer,
    MalformedFileError,
    Object,
    Tree,
    TSVImporter,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*has a header and no rows")


class User(Object):
    name: str
    grade: int | None = None


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "students-1.csv": "idnumber,name\n1,Ann\n2,Bob\n",
        "students-2.csv": "name,idnumber\nCec,3\n",
        "students-3.csv": "idnumber,name\n",
        "staff.csv": "idnumber,name\n9,Zed\n",
        "notes.txt": "no table",
    }.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def loaded(importer, object_class=User):
    return (+Tree("source", branches={"users": Branch(object_class, importer=importer)})).users


def names(branch):
    return {key: user.name for key, user in branch.items()}


# Which files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ("staff.csv", "9"),
        ("students-*.csv", "123"),
        ("*.csv", "1239"),
        (["staff.csv", "students-1.csv"], "129"),
        (["students-*.csv", "students-1.csv"], "123"),
        ("students-[12].csv", "123"),
    ],
)
def test_one_several_or_all_that_a_pattern_finds(folder, files, keys):
    patterns = [str(folder / file) for file in ([files] if isinstance(files, str) else files)]
    branch = loaded(CSVImporter(patterns[0] if isinstance(files, str) else patterns))
    assert list(branch) == list(keys)
    assert branch.imported.rows == len(keys)


def test_columns_in_another_order_are_brought_together(folder):
    assert names(loaded(CSVImporter(str(folder / "students-*.csv")))) == {"1": "Ann", "2": "Bob", "3": "Cec"}


@pytest.mark.parametrize("order", ["first", "last"])
def test_files_with_other_columns_are_refused_with_both_names(folder, order):
    name = "a.csv" if order == "first" else "z.csv"
    (folder / name).write_text("idnumber,name,shoe\n7,x,42\n")
    with pytest.raises(ColumnError, match=r"\.csv:2: not the columns of .*\.csv:2: they differ in 'shoe'"):
        loaded(CSVImporter(str(folder / "*.csv")))


@pytest.mark.parametrize("bad", ["students-1.csv", "students-2.csv"])
def test_a_bad_value_is_named_with_the_file_that_it_is_in(folder, bad):
    for number in (1, 2):
        file = f"students-{number}.csv"
        (folder / file).write_text(f"idnumber,name,grade\n{number}0,x,1\n{number}1,x,{'ill' if file == bad else 2}\n")
    (folder / "students-3.csv").unlink()
    with pytest.raises(ConversionError, match=rf"{bad}:3: grade: .*'ill'"):
        loaded(CSVImporter(str(folder / "students-*.csv")))


def test_an_idnumber_in_two_files_is_named_with_both(folder):
    (folder / "students-2.csv").write_text("idnumber,name\n7,x\n\n2,y\n")
    with pytest.raises(DuplicateError, match=r"students-2\.csv:4: idnumber '2' is already at .*students-1\.csv:3"):
        loaded(CSVImporter(str(folder / "students-*.csv")))


@pytest.mark.parametrize("how", ["modified", "name"])
def test_the_newest_by_time_or_by_name(folder, how):
    for number, file in enumerate(["students-2.csv", "students-3.csv", "students-1.csv"]):
        os.utime(folder / file, (1_000_000_000 + number, 1_000_000_000 + number))
    branch = loaded(CSVImporter(str(folder / "students-*.csv"), newest=how))
    assert names(branch) == ({"1": "Ann", "2": "Bob"} if how == "modified" else {})


def test_the_files_are_looked_for_at_every_import(folder):
    importer = CSVImporter(str(folder / "students-*.csv"))
    branch = loaded(importer)
    assert len(branch) == 3
    (folder / "students-4.csv").write_text("idnumber,name\n4,Dan\n")
    assert len(+branch) == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"files": "teachers-*.csv"}, MalformedFileError, r"teachers-\*\.csv: no file matches"),
        ({"files": []}, MalformedFileError, "no file is named"),
        ({"files": "staff.csv", "newest": "largest"}, DeclarationError, "newest is 'modified', 'name' or None"),
        ({"files": "staff.csv", "on_bad_row": "skip"}, DeclarationError, "on_bad_row is 'stop' or 'collect'"),
        ({"files": "staff.csv", "delimiter": ";;"}, DeclarationError, "a delimiter is one character"),
        ({"files": "staff.csv", "encoding": "utf8000"}, DeclarationError, "'utf8000' is no text encoding"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, options, error, message):
    files = options.pop("files")
    with pytest.raises(error, match=message):
        loaded(CSVImporter(str(folder / files) if isinstance(files, str) else files, **options))


# Columns and values -------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("ID,Full name,Grade,Shoe\n1,Ann,7,NULL\n2,NULL,,42\n")
    return path


def test_columns_are_chosen_and_renamed(table):
    branch = loaded(CSVImporter(table, columns=[("idnumber", "ID"), ("name", "Full name"), ("grade", "Grade")]))
    assert [repr(user) for user in branch.values()] == [
        "User(idnumber='1', name='Ann', grade=7)",
        "User(idnumber='2', name='NULL', grade=None)",
    ]


def test_columns_are_chosen_by_name(table):
    branch = loaded(CSVImporter(table, columns=["ID", "Shoe"]), type("Shoe", (Object,), {"_identifiers": ("ID",)}))
    assert [repr(shoe) for shoe in branch.values()] == ["Shoe(ID='1', Shoe='NULL')", "Shoe(ID='2', Shoe='42')"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"idnumber": "ID", "name": "Fullname"}, "there is no column 'Fullname': did you mean 'Full name'"),
        ([("idnumber", "ID"), ("idnumber", "Grade")], "columns names 'idnumber' twice"),
        (["ID", "nothing like it"], "there is no column 'nothing like it': there are 'ID', 'Full name'"),
    ],
)
def test_a_mistyped_column_is_refused_with_the_nearest(table, columns, message):
    with pytest.raises(ColumnError, match=message):
        loaded(CSVImporter(table, columns=columns))


def test_the_text_that_stands_for_none(table):
    columns = {"idnumber": "ID", "name": "Full name", "shoe": "Shoe"}
    branch = loaded(CSVImporter(table, columns=columns, null="NULL"), Object)
    assert [(user.name, user.shoe) for user in branch.values()] == [("Ann", None), (None, "42")]
    with pytest.raises(
        ConversionError, match=r"table.csv:3: column 'Full name' \(name\): it is empty .*`name: str \| None`.*keep"
    ):
        loaded(CSVImporter(table, columns=[("idnumber", "ID"), ("name", "Full name")], null="NULL"))


def test_tabs_semicolons_and_encodings(tmp_path):
    tabs, semicolons = tmp_path / "a.tsv", tmp_path / "b.csv"
    tabs.write_text('idnumber\tname\n1\t"a\tb"\n')
    semicolons.write_bytes("idnumber;name\n2;Zoë, x\n".encode("cp1252"))
    assert names(loaded(TSVImporter(tabs))) == {"1": "a\tb"}
    assert names(loaded(CSVImporter(semicolons, delimiter=";", encoding="cp1252"))) == {"2": "Zoë, x"}


# Subclasses ---------------------------------------------------------------------------------------------------------


def test_hooks_and_settings_of_a_subclass(folder):
    class Students(CSVImporter):
        def keep(self, row):
            return row["name"] != "Bob"

        def prepare(self, row):
            return {**row, "name": row["name"].upper()}

    assert names(loaded(Students(str(folder / "students-*.csv")))) == {"1": "ANN", "3": "CEC"}


def test_a_hook_that_fails_names_the_line(folder):
    class Students(CSVImporter):
        def prepare(self, row):
            return {**row, "grade": {"Ann": 1}[row["name"]]}

    with pytest.raises(ValueError, match=r"students-1\.csv:3: KeyError: 'Bob'"):
        loaded(Students(str(folder / "students-1.csv")))


def test_bad_rows_of_every_kind_are_collected_with_their_lines(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text('idnumber,name,grade\n1,Ann,1\n2,Bob\n3,"C\nec",x\n,Dan,4\n5,Eve,5\n1,Ann,1\n')
    branch = loaded(CSVImporter(path, on_bad_row="collect"))
    assert list(branch) == ["1", "5"]
    bad = {(error.where.rpartition("/")[2], type(error).__name__) for error in branch.imported.bad_rows}
    assert bad == {
        ("users.csv:3", "ColumnError"),
        ("users.csv:4", "ConversionError"),
        ("users.csv:6", "IdnumberError"),
        ("users.csv:8", "DuplicateError"),
    }
    assert branch.imported.stat.endswith("bad=4")


def test_one_importer_may_be_declared_in_a_class(folder):
    class Source(Tree):
        staff = Branch(User, importer=CSVImporter(folder / "staff.csv"))

    one, other = +Source(), +Source()
    assert one.staff["9"] is not other.staff["9"]
    assert isinstance(Source().staff.importer, Importer)


def test_a_file_without_rows_among_others_is_a_warning(folder):
    with pytest.warns(DataWarning, match=r"students-3\.csv:2: the file has a header and no rows"):
        +Branch(Object, importer=CSVImporter(str(folder / "students-*.csv")))
