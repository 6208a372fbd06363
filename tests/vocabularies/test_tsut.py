"""tsut in its own words."""

from __future__ import annotations

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thoughtspot_server import PASSWORD, ThoughtSpotServer
from users_and_groups import described, everyones

from datastoresync import SafeguardError, Template
from datastoresync.app import Writer
from datastoresync.errors import ColumnError, DeclarationError, DuplicateError, ImporterError, SyncerError
from datastoresync.vocabularies.tsut import (
    Group,
    ThoughtSpotTree,
    ThoughtSpotWriter,
    TSUGJsonReader,
    TSUGJsonWriter,
    TSUGReader,
    TSUGStdOutWriter,
    TSUGSyncWriter,
    TSUGWriter,
    TSUGXLSReader,
    TSUGXLSWriter,
    TSUserGroupSyncApp,
    User,
    UsersAndGroups,
    Visibility,
)


class TakesAll(Template):
    def new(self, action):
        pass


# --- laws -------------------------------------------------------------------------------------------------------


@given(everyones())
def test_json_loses_nothing(everyone):
    assert described(UsersAndGroups.from_json(everyone.to_json())) == described(everyone)


@given(everyones())
def test_it_is_a_native_tree(everyone):
    other = UsersAndGroups()
    other.tree.template = TakesAll
    assert not other.has_user("x")
    assert (everyone.tree >> other.tree).ok
    assert not everyone.tree - other.tree
    assert all(other.has_user(user.name.lower()) for user in everyone.get_users())
    other.tree.users._check()
    other.tree.groups._check()


@given(
    st.lists(st.tuples(st.sampled_from("aAbB"), st.sampled_from(["add", "remove", "overwrite", "ignore", "update"])))
)
def test_names_are_found_in_whatever_case_they_are_written(steps):
    everyone, expected = UsersAndGroups(), {}
    for name, step in steps:
        there = name.lower() in expected
        if step == "remove":
            if there:
                everyone.remove_user(name)
                del expected[name.lower()]
            else:
                assert everyone.remove_user(name) is None
        elif step == "add" and there:
            with pytest.raises(DuplicateError):
                everyone.add_user(User(name))
        else:
            duplicate = UsersAndGroups.RAISE_ERROR_ON_DUPLICATE if step == "add" else f"{step.upper()}_ON_DUPLICATE"
            everyone.add_user(User(name), duplicate=duplicate)
            if not there or step == "overwrite":
                expected[name.lower()] = name
        assert [user.name for user in everyone.get_users()] == sorted(expected.values())
        for asked in "aAbB":
            assert everyone.has_user(asked) == (asked.lower() in expected)
            assert getattr(everyone.get_user(asked), "name", None) == expected.get(asked.lower())


# --- users, groups and both -------------------------------------------------------------------------------------


def test_users_have_the_old_attributes_and_the_arguments_of_the_old_constructor():
    user = User("Bob", "s3cret", "bob@example.org", "Bob B.", ["staff"], Visibility.NON_SHAREABLE, 7, "guid")
    assert (user.name, user.mail, user.displayName, user.display_name) == ("Bob", "bob@example.org", "Bob B.", "Bob B.")
    assert (user.groupNames, user.group_names, user.visibility) == (["staff"], ["staff"], "NON_SHARABLE")
    assert (user.password, user.created, user.principalTypeEnum) == ("s3cret", 7, "LOCAL_USER")
    assert "s3cret" not in repr(user)
    assert json.loads(user.to_json())["groupNames"] == ["staff"]


def test_groups_have_them_too():
    group = Group("staff", "The staff", "All of it", ["school"], Visibility.DEFAULT, ["DATADOWNLOADING"], 7, "guid")
    assert (group.displayName, group.description, group.groupNames) == ("The staff", "All of it", ["school"])
    assert (group.principalTypeEnum, group.privileges, group.created, group.id) == (
        "LOCAL_GROUP",
        ["DATADOWNLOADING"],
        7,
        "guid",
    )


def test_json_is_compact_and_has_privileges():
    assert Group("staff").to_json() == (
        '{"principalTypeEnum":"LOCAL_GROUP","name":"staff","displayName":"","groupNames":[],"privileges":[],'
        '"visibility":"DEFAULT"}'
    )
    assert "privileges" not in User("Bob").to_json()


def test_an_older_spelling_of_a_visibility_is_read():
    text = '[{"principalTypeEnum":"LOCAL_USER","name":"Bob","visibility":"NON_SHAREABLE"}]'
    assert UsersAndGroups.from_json(text).get_user("bob").visibility == "NON_SHARABLE"


@pytest.mark.parametrize(("number", "left"), [(1, ["new"]), (2, ["old", "new"]), (3, ["old"])])
def test_duplicates_are_resolved_by_number_too(number, left):
    everyone = everyone_with(User("Bob", group_names=["old"]))
    everyone.add_user(User("bob", group_names=["new"]), number)
    assert everyone.get_user("bob").groupNames == left
    with pytest.raises(DuplicateError):
        everyone.add_user(User("bob"), UsersAndGroups.DO_NOT_ADD)
    with pytest.raises(DeclarationError, match="RAISE_ERROR_ON_DUPLICATE"):
        everyone.add_user(User("bob"), 4)


def test_users_of_a_group_are_found_in_any_case():
    everyone = everyone_with(User("Bob", group_names=["Staff"]), User("Eve"))
    assert [user.name for user in everyone.get_all_users_in_group("STAFF")] == ["Bob"]
    assert list(everyone.users) == ["Bob", "Eve"]
    assert (everyone.remove_group("none"), everyone.remove_user("eve").name) == (None, "Eve")


def test_groups_can_be_added_to_a_user_in_every_old_way():
    user = User(name="Bob", group_names=["b", "b"])
    user.groupNames.append("c")
    user.add_group("a")
    user.add_group("a")
    assert user.group_names == ["b", "c", "a"]
    user.displayName, user.groupNames = "B", ["x"]
    assert (user.display_name, user.groups) == ("B", ["x"])
    assert User("Eve", group_names="staff").groupNames == ["staff"]
    assert User("Eve").groupNames is not User("Eve").groupNames


def everyone_with(*users):
    everyone = UsersAndGroups()
    for user in users:
        everyone.add_user(user)
    return everyone


BOB = {"mail": "old@example.org", "password": "old", "group_names": ["a", "b"]}
BOB_AGAIN = {"mail": "new@example.org", "display_name": "B", "group_names": ["b", "c"]}


@pytest.mark.parametrize(
    ("duplicate", "name", "mail", "shown", "password", "groups"),
    [
        (UsersAndGroups.OVERWRITE_ON_DUPLICATE, "BOB", "new@example.org", "B", None, ["b", "c"]),
        (UsersAndGroups.UPDATE_ON_DUPLICATE, "Bob", "new@example.org", "B", "old", ["a", "b", "c"]),
        (UsersAndGroups.IGNORE_ON_DUPLICATE, "Bob", "old@example.org", "", "old", ["a", "b"]),
    ],
)
def test_what_happens_to_a_duplicate(duplicate, name, mail, shown, password, groups):
    everyone = everyone_with(User("Bob", **BOB))
    everyone.add_user(User("BOB", **BOB_AGAIN), duplicate=duplicate)
    (bob,) = everyone.get_users()
    assert (bob.name, bob.mail, bob.displayName, bob.password, bob.groupNames) == (name, mail, shown, password, groups)
    with pytest.raises(DuplicateError, match=r"duplicate user 'bob': '(Bob|BOB)' exists already"):
        everyone.add_user(User("bob"))


def test_groups_are_treated_the_same():
    everyone = UsersAndGroups()
    staff = Group("Staff")
    everyone.add_group(staff)
    everyone.add_group(Group("STAFF", description="All of it"), UsersAndGroups.UPDATE_ON_DUPLICATE)
    assert everyone.get_group("staff") is staff
    assert (staff.description, everyone.number_groups(), everyone.number_users()) == ("All of it", 1, 0)
    assert everyone.has_group("sTAFF")
    with pytest.raises(DuplicateError, match="duplicate group 'staff'"):
        everyone.add_group(Group("staff"))
    everyone.remove_group("STAFF")
    assert (everyone.get_groups(), everyone.get_group("staff"), everyone.get_user("x")) == ([], None, None)


def test_a_slip_is_refused():
    everyone = UsersAndGroups()
    with pytest.raises(DeclarationError, match="a User is needed"):
        everyone.add_user(Group("staff"))
    with pytest.raises(DeclarationError, match="a Group is needed"):
        everyone.add_group("staff")
    with pytest.raises(DeclarationError, match="duplicate is one of RAISE_ERROR_ON_DUPLICATE, OVERWRITE"):
        everyone.add_user(User("Bob"), duplicate="merge")


def test_valid_is_what_fits_together():
    everyone = everyone_with(User("Bob", group_names=["STAFF"]))
    everyone.add_group(Group("staff"))
    assert everyone.is_valid()
    valid, issues = everyone.is_valid()
    assert (valid, issues) == (True, [])
    everyone.get_user("bob").add_group("nowhere")
    everyone.add_group(Group("a", group_names=["b"]))
    everyone.add_group(Group("b", group_names=["a"]))
    validity = everyone.is_valid()
    assert not validity
    assert validity.result is False
    assert validity.issues == [
        "user 'Bob' is in group 'nowhere', which does not exist",
        "groups wait for each other: a → b → a (each is after the next); break the circle",
    ]


def test_the_tree_behind_follows_thoughtspots_own():
    everyone = everyone_with(User("Bob", mail="bob@example.org", group_names=["staff"]), User("Eve"))
    everyone.add_group(Group("staff"))
    native = ThoughtSpotTree()
    native.users.new("Bob", mail="b@example.org")
    native.groups.new("staff")
    assert {action.message.partition("(")[0] for action in everyone.tree - native} == {
        "new_users",
        "update_mail",
        "add_groups_to_users",
    }


def test_what_is_changed_through_the_tree_is_found():
    everyone = everyone_with(User("Bob"))
    assert not everyone.has_user("EVE")
    everyone.tree.users.new("Eve")
    assert everyone.get_user("EVE").name == "Eve"
    everyone.tree.users.remove("Eve")
    everyone.tree.users.new("bob")
    everyone.remove_user("bob")
    assert (everyone.has_user("EVE"), everyone.has_user("BOB")) == (False, True)


def test_what_the_tree_imports_is_found():
    class Store:
        name = "store"

        def load(self, identifier):
            return [{"name": f"{identifier} Ann"}]

        def dump(self, identifier, *, data):
            raise NotImplementedError

    everyone = everyone_with(User("Bob"))
    assert everyone.has_user("BOB")
    everyone.tree.syncer = Store()
    +everyone.tree
    assert (everyone.has_user("BOB"), everyone.has_user("USERS ANN")) == (False, True)


# --- JSON -------------------------------------------------------------------------------------------------------


EXPORT = [
    {
        "principalTypeEnum": "LOCAL_USER",
        "name": "Bob",
        "displayName": "Bob",
        "mail": None,
        "groupNames": ["staff"],
        "visibility": "DEFAULT",
        "created": 1354006445987,
        "modified": 1354006445987,
        "id": "59481331-ee53-42be-a548-bd87be6ddd4a",
    },
    {"principalTypeEnum": "LOCAL_GROUP", "name": "staff", "groupNames": []},
]


def test_an_export_of_thoughtspots_is_read():
    everyone = everyone_with(User("Eve"))
    everyone.load_from_json(json.dumps(EXPORT))
    assert [user.name for user in everyone.get_users()] == ["Bob", "Eve"]
    assert everyone.get_user("bob").created == 1354006445987
    assert everyone.has_group("staff")


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("{", ImporterError, "this is not JSON"),
        ('{"name": "Bob"}', ImporterError, "a list of users and groups is needed"),
        ("[1]", ImporterError, "principal 1: a record whose principalTypeEnum"),
        ('[{"principalTypeEnum": "LDAP_USER"}]', ImporterError, "LOCAL_USER or LOCAL_GROUP is needed"),
        ('[{"principalTypeEnum": ["x"]}]', ImporterError, "LOCAL_USER or LOCAL_GROUP is needed"),
        ('[{"principalTypeEnum": "LOCAL_USER"}]', ImporterError, "principal 1: name"),
        (
            '[{"principalTypeEnum": "LOCAL_USER", "name": "x"}, {"principalTypeEnum": "LOCAL_USER", "name": "X"}]',
            DuplicateError,
            "principal 2: duplicate user 'X'",
        ),
        ('[{"principalTypeEnum": "LOCAL_USER", "name": "EVE"}]', DuplicateError, "duplicate user 'EVE'"),
        ('[{"principalTypeEnum": "LOCAL_USER", "name": "x", "colour": "red"}]', ColumnError, "no 'colour'"),
        ('[{"principalTypeEnum": "LOCAL_USER", "name": "x", "visibility": "?"}]', ImporterError, "visibility"),
    ],
)
def test_what_is_refused_adds_nobody(text, error, why):
    everyone = everyone_with(User("Eve"))
    with pytest.raises(error, match=why):
        everyone.load_from_json(text)
    assert [user.name for user in everyone.get_users()] == ["Eve"]


# --- readers, writers, applications -----------------------------------------------------------------------------


def args_of(writer, *argv):
    parser = argparse.ArgumentParser()
    writer.add_arguments(parser)
    return parser.parse_args(argv)


class Everyone(TSUGReader):
    """Reads Bob."""

    def get_users_and_groups(self, args):
        everyone = everyone_with(User("Bob", password="s3cret", group_names=["staff"]))
        everyone.add_group(Group("staff"))
        return everyone


class Noting(TSUGWriter):
    def __init__(self):
        super().__init__()
        self.seen = []

    def write_users_and_groups(self, args, ugs):
        self.seen.append(ugs)


def test_an_application_gives_all_writers_the_same():
    one, other = Noting(), Noting()
    assert TSUserGroupSyncApp(Everyone(), [one, other]).run([]).ok
    TSUserGroupSyncApp(Everyone(), one).run([])
    assert one.seen[0] is other.seen[0]
    assert len(one.seen) == 2


def test_a_writer_that_fails_hides_no_other_and_the_process_fails(capsys):
    class Failing(TSUGWriter):
        def write_users_and_groups(self, args, ugs):
            raise SyncerError("no disk")

    class Careful(TSUGWriter):
        def write_users_and_groups(self, args, ugs):
            raise SafeguardError("too much")

    noting = Noting()
    with pytest.raises(SystemExit) as stopped:
        TSUserGroupSyncApp(Everyone(), [Failing(), noting, Careful()]).run([])
    assert (stopped.value.code, len(noting.seen)) == (1, 1)
    assert "no disk" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        TSUserGroupSyncApp(Everyone(), [Careful()]).run([])
    assert stopped.value.code == 3


def test_a_reader_that_returns_something_else_is_named():
    class Empty(TSUGReader):
        def get_users_and_groups(self, args):
            pass

    with pytest.raises(DeclarationError, match=r"empty must return UsersAndGroups \(got NoneType\)"):
        TSUserGroupSyncApp(Empty(), Noting()).run([])


@pytest.mark.parametrize("part", [TSUGReader(), TSUGWriter()])
def test_a_method_that_is_missing_is_named(part):
    call = part.read if isinstance(part, TSUGReader) else lambda args: part.write(args, None)
    with pytest.raises(DeclarationError, match=r"must define (get|write)_users_and_groups\(args"):
        call(None)


@pytest.mark.parametrize("add", ["add_parser_args", "add_parser_arguments"])
@pytest.mark.parametrize("write", ["write_users_and_groups", "write_user_and_groups"])
@pytest.mark.parametrize("base", [TSUGWriter, TSUGJsonWriter])
def test_methods_may_have_either_old_name(add, write, base, tmp_path):
    seen = []

    class Old(base):
        pass

    def added(self, parser):
        getattr(super(Old, self), add)(parser)
        parser.add_argument("--out_file")

    def written(self, args, ugs):
        if base is not TSUGWriter:
            getattr(super(Old, self), write)(args, ugs)
        seen.append(args.out_file)

    setattr(Old, add, added)
    setattr(Old, write, written)
    more = [] if base is TSUGWriter else ["--filename", str(tmp_path / "x.json")]
    TSUserGroupSyncApp(Everyone(), Old()).run(["--out_file", "out", *more])
    assert seen == ["out"]
    assert (tmp_path / "x.json").exists() == bool(more)


def test_a_dry_run_calls_no_old_writer(capsys):
    noting = Noting()
    assert TSUserGroupSyncApp(Everyone(), noting).run(["--dry-run"]).ok
    assert noting.seen == []
    assert "2 objects" in capsys.readouterr().out


def test_native_writers_get_the_tree():
    class Native(Writer):
        seen = []

        def write(self, args, tree):
            self.seen.append(("write", list(tree.users)))

        def preview(self, args, tree):
            self.seen.append(("preview", list(tree.users)))

    TSUserGroupSyncApp(Everyone(), Native()).run([])
    TSUserGroupSyncApp(Everyone(), Native()).run(["--dry-run"])
    assert Native.seen == [("write", ["Bob"]), ("preview", ["Bob"])]


def test_files_are_read_and_written_by_an_application(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(EXPORT), encoding="utf-8")
    app = TSUserGroupSyncApp(TSUGJsonReader(), [TSUGXLSWriter()])
    app.run(
        ["--tsug-json-reader-filename", f"{tmp_path}/in.json", "--tsug-xls-writer-filename", f"{tmp_path}/out.xlsx"]
    )
    back = TSUGXLSReader().read(argparse.Namespace(filename=f"{tmp_path}/out.xlsx"))
    assert back.get_user("bob").groupNames == ["staff"]
    assert back.get_user("bob").created == 1354006445987


def test_standard_output_gets_no_passwords(capsys):
    TSUserGroupSyncApp(Everyone(), TSUGStdOutWriter()).run([])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["Bob", "staff"]
    assert "password" not in lines[0]


# --- ThoughtSpot ------------------------------------------------------------------------------------------------


def test_the_sync_writer_writes_to_thoughtspot_by_the_old_options():
    with ThoughtSpotServer() as server:
        known = ["--ts_url", server.url, "--username", "tsadmin", "--password", PASSWORD, "--disable_ssl"]
        app = TSUserGroupSyncApp(Everyone(), TSUGSyncWriter())
        app.run([*known, "--validate_only"])
        app.run([*known, "--dry-run"])
        assert server.users == {}
        app.run([*known, "--global_password", "welcome", "--batch_size", "1"])
        assert [sync["applyChanges"] for sync in server.syncs] == ["false", "false", "true", "true"]
        assert server.users["bob"]["groupNames"] == ["staff"]
        assert server.syncs[-1]["password"] == "welcome"


def test_the_sync_writer_fails_as_the_native_one_does(capsys):
    with ThoughtSpotServer() as server:
        server.faults.extend([None, *[503] * 2])
        writer = TSUGSyncWriter(native=ThoughtSpotWriter(sleep=lambda seconds: None))
        with pytest.raises(SystemExit) as stopped:
            TSUserGroupSyncApp(Everyone(), writer).run(
                ["--ts_url", server.url, "--username", "tsadmin", "--password", PASSWORD, "--retries", "1"]
            )
    assert stopped.value.code == 1
    assert "sync_users(idnumber='Bob')" in capsys.readouterr().err


def test_what_the_sync_writer_needs_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        TSUserGroupSyncApp(Everyone(), TSUGSyncWriter()).run([])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "--ts_url" in error
    assert "--username" in error


@pytest.mark.parametrize("name", ["", " ", None])
def test_who_has_no_name_is_refused(name):
    everyone = UsersAndGroups()
    with pytest.raises(DeclarationError, match=r"a User needs a name .*: write User\(name=…\)"):
        everyone.add_user(User(name))
    with pytest.raises(DeclarationError, match=r"a Group needs a name"):
        everyone.add_group(Group(name))
    assert described(everyone) == []
