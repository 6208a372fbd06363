"""The files of tsut: what each writer writes, by other means, and what each reader reads, as tsut wrote it."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from profiles import examples
from users_and_groups import described, everyones

from datastoresync.errors import ColumnError, DatastoreSyncError, ImporterError
from datastoresync.vocabularies.tsut.apps import (
    TSUGCSVReader,
    TSUGCSVWriter,
    TSUGJsonReader,
    TSUGJSONWriter,
    TSUGOutputWriter,
    TSUGXLSReader,
    TSUGXLSXReader,
    TSUGXLSXWriter,
)
from datastoresync.vocabularies.tsut.io import UGJsonReader, UGXLSReader, UGXLSWriter
from datastoresync.vocabularies.tsut.model import Group, User, UsersAndGroups, Visibility

openpyxl = pytest.importorskip("openpyxl")


def values_of(folder, **more):
    return argparse.Namespace(
        filename=f"{folder}/every one", user_csv=f"{folder}/users", group_csv=f"{folder}/groups.csv", **more
    )


def bob_and_staff():
    """Return a user with all attributes, and two groups, one without privileges."""
    everyone = UsersAndGroups()
    everyone.add_user(
        User("Bob", "pässword", "bob@example.org", "Bob B.", ["staff", 'O\'Neil, "x"'], "NON_SHAREABLE", 1354006445987)
    )
    everyone.add_group(Group("staff", "Staff", "All of it", privileges=["DATADOWNLOADING"]))
    everyone.add_group(Group('O\'Neil, "x"'))
    return everyone


# --- what is written is read ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=examples(20))  # a workbook takes its time
@given(everyones())
def test_each_reader_reads_what_its_writer_writes(tmp_path_factory, everyone):
    folder = tmp_path_factory.mktemp("files")
    for number, (reader, writer, options) in enumerate(
        (
            (TSUGJsonReader(), TSUGJSONWriter(), {}),
            (TSUGXLSXReader(), TSUGXLSXWriter(), {}),
            (TSUGCSVReader(delimiter="|"), TSUGCSVWriter(delimiter="|"), {}),
            (TSUGJsonReader(), TSUGOutputWriter(), {"output_type": "json"}),
        )
    ):
        args = values_of(folder / str(number), **options)
        writer.write(args, everyone)
        assert described(reader.read(args)) == described(everyone)


def test_a_json_file_is_compact_and_has_privileges(tmp_path):
    TSUGJSONWriter().write(values_of(tmp_path), bob_and_staff())
    text = (tmp_path / "every one").read_text(encoding="utf-8")
    assert text.startswith('[{"principalTypeEnum":"LOCAL_USER","name":"Bob","displayName":"Bob B.","mail":"bob@')
    assert '"privileges":["DATADOWNLOADING"],"visibility":"DEFAULT"}]' in text
    assert json.loads(text)[0]["groupNames"] == ["staff", 'O\'Neil, "x"']
    assert not [path for path in tmp_path.iterdir() if path.name != "every one"]


def test_half_a_character_is_kept_in_json(tmp_path):
    everyone = UsersAndGroups()
    everyone.add_user(User("Bob", display_name="\ud83d"))
    TSUGJSONWriter().write(values_of(tmp_path), everyone)
    assert TSUGJsonReader().read(values_of(tmp_path)).get_user("bob").displayName == "\ud83d"


def test_a_workbook_has_the_sheets_users_and_groups(tmp_path):
    UGXLSWriter().write(bob_and_staff(), f"{tmp_path}/x.xlsx")
    assert described(UGXLSReader().read_from_excel(f"{tmp_path}/x.xlsx")) == described(bob_and_staff())
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["Users", "Groups"]
    users, groups = (list(book[name].values) for name in book.sheetnames)
    assert users[0][:6] == ("Name", "Password", "Display Name", "Email", "Description", "Groups")
    assert "Privileges" not in users[0]
    assert users[1][:6] == (
        "Bob",
        "pässword",
        "Bob B.",
        "bob@example.org",
        None,
        '["staff","O\'Neil, \\"x\\""]',
    )
    at = groups[0].index("Privileges")
    assert [row[at] for row in groups[1:]] == ["[]", '["DATADOWNLOADING"]']
    book.close()


def test_csv_files_have_a_column_for_each_attribute(tmp_path):
    args = values_of(tmp_path)
    TSUGCSVWriter(delimiter=";").write(args, bob_and_staff())
    with Path(args.user_csv).open(encoding="utf-8", newline="") as file:
        (bob,) = csv.DictReader(file, delimiter=";")
    assert (bob["Name"], bob["Email"], json.loads(bob["Groups"])) == (
        "Bob",
        "bob@example.org",
        ["staff", 'O\'Neil, "x"'],
    )
    with Path(args.group_csv).open(encoding="utf-8", newline="") as file:
        assert [row["Privileges"] for row in csv.DictReader(file, delimiter=";")] == ["[]", '["DATADOWNLOADING"]']


# --- files as tsut wrote them -----------------------------------------------------------------------------------


def test_json_of_tsut_is_read(tmp_path):
    user = {"principalTypeEnum": "LOCAL_USER", "name": "Bob", "displayName": None, "mail": None, "password": None}
    user |= {"groupNames": ["staff"], "visibility": "NON_SHAREABLE", "created": 1354006445987.0, "id": None}
    group = {"principalTypeEnum": "LOCAL_GROUP", "name": "staff", "description": None, "groupNames": None}
    group |= {"privileges": [], "visibility": None, "created": None, "id": ""}
    file = tmp_path / "users.txt"
    for text in (json.dumps([user, group]), json.dumps([group, user], indent=4), "\ufeff" + json.dumps([user, group])):
        file.write_text(text, encoding="utf-8")
        everyone = UGJsonReader().read_from_file(str(file))
        bob = everyone.get_user("bob")
        assert (bob.displayName, bob.groupNames, bob.visibility) == ("", ["staff"], Visibility.NON_SHAREABLE)
        assert (bob.created, everyone.get_group("staff").privileges) == (1354006445987, [])
    assert described(UGJsonReader().parse_json([user, group])) == described(everyone)


@pytest.mark.parametrize(
    ("titles", "groups"),
    [
        ("Display Name|Email|ID", '["staff", "é"]'),
        ("display_name|mail|id", "['staff', 'é']"),
        ("displayName|E-Mail|Id", "['staff', \"\\u00e9\"]"),
    ],
)
def test_a_workbook_of_tsut_is_read(tmp_path, titles, groups):
    shown, mail, number = titles.split("|")
    book = openpyxl.Workbook()
    users = book.active
    users.title = "Users"
    users.append(["Name", "Password", shown, mail, "Description", "Groups", "Visibility", "Created", number])
    users.append(["Bob", "pw", "Bob B.", "bob@example.org", None, groups, "NON_SHAREABLE", 1354006445987, "guid"])
    users.append([12345, None, "A number", None, None, "staff", None, None, None])
    users.append(["Eve", None, None, None, None, "[]", "DEFAULT", None, None])
    sheet = book.create_sheet("Groups")
    sheet.append(["Name", shown, "Description", "Groups", "Visibility", "Privileges"])
    sheet.append(["staff", None, None, "[]", "DEFAULT", "[]"])
    sheet.append(["é", None, None, None, None, "['DATADOWNLOADING']"])
    book.save(tmp_path / "old.xls")  # as tsut let one call it
    everyone = TSUGXLSReader().read(argparse.Namespace(filename=f"{tmp_path}/old.xls"))
    assert [(user.name, user.groupNames) for user in everyone.get_users()] == [
        ("12345", ["staff"]),
        ("Bob", ["staff", "é"]),
        ("Eve", []),
    ]
    bob = everyone.get_user("bob")
    assert (bob.password, bob.displayName, bob.mail, bob.visibility, bob.created, bob.id) == (
        ("pw", "Bob B.", "bob@example.org", "NON_SHARABLE", 1354006445987, "guid")
    )
    assert [group.privileges for group in everyone.get_groups()] == [[], ["DATADOWNLOADING"]]


def test_csv_files_of_tsut_are_read(tmp_path):
    args = values_of(tmp_path)
    with Path(args.user_csv).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["name", "display_name", "mail", "group_names", "visibility", "created"])
        writer.writeheader()
        writer.writerow({"name": "Bob", "mail": "b@x", "group_names": "['staff']", "created": "1354006445987.0"})
        writer.writerow({"name": "Eve, jr.", "group_names": "staff", "visibility": "NON_SHAREABLE"})
    with Path(args.group_csv).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name", "privileges"], ["staff", "[]"]])
    everyone = TSUGCSVReader().read(args)
    assert everyone.is_valid().result
    assert [(user.name, user.groupNames, user.created) for user in everyone.get_users()] == [
        ("Bob", ["staff"], 1354006445987),
        ("Eve, jr.", ["staff"], None),
    ]
    args.group_csv = None
    assert TSUGCSVReader().read(args).number_groups() == 0


# --- what is refused --------------------------------------------------------------------------------------------


def test_what_is_wrong_in_a_sheet_has_a_place(tmp_path):
    book = openpyxl.Workbook()
    users = book.active
    users.title = "Users"
    users.append(["Name", "Groups"])
    users.append(["Bob", "[staff"])
    book.create_sheet("Groups").append(["Name"])
    file = tmp_path / "old.xlsx"
    args = argparse.Namespace(filename=str(file))
    book.save(file)
    with pytest.raises(ImporterError, match="row 2 of sheet 'Users': Groups is not a JSON list"):
        TSUGXLSReader().read(args)
    users["B1"], users["B2"] = "name", "Eve"
    book.save(file)
    with pytest.raises(ColumnError, match="sheet 'Users': the columns 'Name' and 'name' are one"):
        TSUGXLSReader().read(args)
    users["B1"] = "Colour"
    book.save(file)
    with pytest.raises(ColumnError, match="Colour"):
        TSUGXLSReader().read(args)


@pytest.mark.parametrize("reader", [TSUGJsonReader, TSUGXLSXReader, TSUGCSVReader])
@pytest.mark.parametrize("content", [None, "folder", b"\xff\xfe\x00"])
def test_a_file_that_is_none_is_refused_by_name(tmp_path, reader, content):
    args = argparse.Namespace(filename=f"{tmp_path}/no", user_csv=f"{tmp_path}/no", group_csv=None)
    if content == "folder":
        (tmp_path / "no").mkdir()
    elif content:
        (tmp_path / "no").write_bytes(content)
    with pytest.raises(DatastoreSyncError, match=f"{tmp_path}/no"):
        reader().read(args)


def test_files_that_are_not_there_are_told_so(tmp_path):
    name = str(tmp_path / "nothing.xlsx")
    for read in (UGXLSReader().read_from_excel, UGJsonReader().read_from_file):
        with pytest.raises(ImporterError, match=r"nothing.xlsx cannot be read: (No|there is no) such file"):
            read(name)
    with pytest.raises(ImporterError, match=r"users cannot be read: there is no such file"):
        TSUGCSVReader().get_users_and_groups(values_of(tmp_path))
