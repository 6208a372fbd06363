"""Scripts of tsut: the modules that they import from, the helpers that they call, and how they end."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal

import pytest
from thoughtspot_server import PASSWORD, ThoughtSpotServer

from datastoresync.app import Reader
from datastoresync.errors import DatastoreSyncError
from datastoresync.vocabularies.tsut import (
    Group,
    SetGroupPrivilegesAPI,
    SyncUserAndGroups,
    TSUGJSONWriter,
    TSUGOutputWriter,
    TSUGReader,
    TSUGSyncReader,
    TSUGSyncWriter,
    TSUGWriter,
    TSUserGroupSyncApp,
    UGXLSReader,
    User,
    UsersAndGroups,
    add_cnx_parser_arguments,
    eprint,
)

APPS = """
    TSUGXLSXReader TSUGXLSXWriter TSUGJsonReader TSUGJSONWriter TSUGCSVReader TSUGCSVWriter TSUGStdOutWriter
    TSUGOutputWriter TSUGSyncWriter TSUGSyncReader TSUGXLSReader TSUGXLSWriter TSUGReader TSUGWriter TSUserGroupSyncApp
    add_cnx_parser_arguments eprint
"""


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("model", "User Group UsersAndGroups Visibility"),
        ("io", "UGXLSReader UGXLSWriter UGJsonReader"),
        ("apps", APPS),
        ("app", APPS),
        ("util", "eprint add_cnx_parser_arguments"),
        ("api", "SyncUserAndGroups SetGroupPrivilegesAPI"),
    ],
)
def test_every_name_is_in_the_module_that_it_was_in(module, names):
    imported = importlib.import_module(f"datastoresync.vocabularies.tsut.{module}")
    assert [name for name in names.split() if not hasattr(imported, name)] == []
    if module == "apps":
        assert sorted(imported.__all__) == sorted([*names.split(), "TSUGJsonWriter"])


class Bob(TSUGReader):
    """Reads Bob, from what --source says."""

    def __init__(self):
        super().__init__(required_arguments=["source"])

    def add_parser_args(self, parser):
        super().add_parser_args(parser)
        parser.add_argument("--source")

    def get_users_and_groups(self, args):
        everyone = UsersAndGroups()
        everyone.add_user(User("Bob", "s3cret", group_names=["staff"]))
        everyone.add_group(Group("staff", privileges=["DATADOWNLOADING"]))
        return everyone


class Noting(TSUGWriter):
    def __init__(self):
        super().__init__(required_arguments=["place"])
        self.written = []

    def add_parser_args(self, parser):
        parser.add_argument("--place")
        parser.add_argument("--source")

    def write_users_and_groups(self, args, ugs):
        self.written.append((args.place, [user.name for user in ugs.get_users()]))


# --- helpers ----------------------------------------------------------------------------------------------------


def test_eprint_prints_to_standard_error(capsys):
    eprint("one", 2, sep="-", end="!")
    assert capsys.readouterr() == ("", "one-2!")


def test_a_script_has_the_options_of_a_connection(monkeypatch, capsys):
    parser = argparse.ArgumentParser()
    add_cnx_parser_arguments(parser)
    monkeypatch.setenv("THOUGHTSPOT_PASSWORD", "from the environment")
    args = parser.parse_args(["--ts_url", "https://ts", "--username", "ann"])
    assert (args.ts_url, args.username, args.password, args.disable_ssl) == (
        "https://ts",
        "ann",
        "from the environment",
        False,
    )
    monkeypatch.setenv("OTHER", "s3cret")
    args = parser.parse_args(["--password", "env:OTHER", "--disable_ssl"])
    assert (args.password, args.disable_ssl) == ("s3cret", True)
    assert "s3cret" not in repr(args)
    assert parser.parse_args(["--password", "plain"]).password == "plain"


def test_a_part_and_an_application_say_what_they_require(capsys):
    app = TSUserGroupSyncApp(Bob(), [Noting(), TSUGJSONWriter()])
    assert Bob().get_required_arguments() == ["source"]
    assert app.get_required_arguments() == ["source", "place", "filename"]
    assert Bob().has_valid_arguments(argparse.Namespace(source="x"))
    assert not app.has_valid_arguments(argparse.Namespace(source="", place=None, filename="x"))
    error = capsys.readouterr().err
    assert "bob: missing arguments: --source" in error
    assert "noting: missing arguments: --place" in error
    assert "json" not in error


def test_an_application_gives_the_values_of_all_options(capsys):
    app = TSUserGroupSyncApp(Bob(), Noting())
    args = app.get_args(["--bob-source", "a", "--place", "b", "--noting-source", "c"])
    assert (args.source, args.place) == ("a", "b")
    assert app.has_valid_arguments(args)
    with pytest.raises(SystemExit) as stopped:
        app.get_args([])
    assert stopped.value.code == 2
    assert "--place" in capsys.readouterr().err


@pytest.mark.parametrize("strict", [Bob, Noting])
def test_a_part_that_does_not_take_its_arguments_ends_the_run_before_anything_is_read(strict, capsys):
    class Strict(strict):
        def has_valid_arguments(self, args):
            eprint(f"no {args.source}, please")
            return False

        def get_users_and_groups(self, args):
            raise AssertionError

    noting = Noting()
    app = TSUserGroupSyncApp(*((Strict(), noting) if strict is Bob else (Bob(), Strict())))
    with pytest.raises(SystemExit) as stopped:
        app.run([f"--{app.reader.name}-source", "x", f"--{app.writers[0].name}-source", "x", "--place", "p"])
    assert (stopped.value.code, noting.written) == (2, [])
    assert "no x, please" in capsys.readouterr().err


def test_a_required_argument_may_be_told_by_a_method(capsys):
    class Told(Noting):
        def get_required_arguments(self):
            return ["place", "source"]

    with pytest.raises(SystemExit) as stopped:
        TSUserGroupSyncApp(Bob(), Told()).run(["--bob-source", "x", "--place", "p"])
    assert stopped.value.code == 2
    assert "told: missing arguments: --source" in capsys.readouterr().err


# --- the end ----------------------------------------------------------------------------------------------------


def stop():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("where", ["parsing", "reading", "writing"])
def test_ctrl_c_ends_a_script_with_130(where, ctrl_c):
    class Reading(Bob):
        def add_parser_args(self, parser):
            super().add_parser_args(parser)
            if where == "parsing":
                stop()

        def get_users_and_groups(self, args):
            if where == "reading":
                stop()
            return super().get_users_and_groups(args)

    class Writing(Noting):
        def write_users_and_groups(self, args, ugs):
            stop()

    last = Noting()
    app = TSUserGroupSyncApp(Reading(), [Writing(), last])
    with pytest.raises(SystemExit) as stopped:
        app.run(["--reading-source", "x", "--writing-place", "p", "--noting-place", "q"])
    assert (stopped.value.code, last.written) == (130, [])
    assert isinstance(stopped.value.__cause__, KeyboardInterrupt)


def test_a_native_reader_may_stand_before_an_old_writer():
    class Native(Reader):
        def read(self, args):
            return Bob().get_users_and_groups(args)

    noting = Noting()
    assert TSUserGroupSyncApp(Native(), noting).run(["--place", "p"]).ok
    assert noting.written == [("p", ["Bob"])]


# --- output, and ThoughtSpot ------------------------------------------------------------------------------------


def test_the_output_goes_where_its_type_says(tmp_path, capsys):
    app = TSUserGroupSyncApp(Bob(), TSUGOutputWriter())
    app.run(["--source", "x"])
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["Bob", "staff"]
    app.run(["--source", "x", "--output_type", "json", "--filename", f"{tmp_path}/out"])
    assert json.loads((tmp_path / "out").read_text(encoding="utf-8"))[1]["privileges"] == ["DATADOWNLOADING"]
    app.run(["--source", "x", "--output_type", "excel", "--filename", f"{tmp_path}/book"])
    assert UGXLSReader().read_from_excel(f"{tmp_path}/book").get_group("staff").privileges == ["DATADOWNLOADING"]
    with pytest.raises(SystemExit) as stopped:
        app.run(["--source", "x", "--output_type", "excel"])
    assert stopped.value.code == 2
    assert "--output_type excel needs a --filename" in capsys.readouterr().err


def test_what_was_written_to_thoughtspot_is_read_from_there(monkeypatch):
    class Seen(Noting):
        def write_users_and_groups(self, args, ugs):
            self.written.append(ugs)

    with ThoughtSpotServer() as server:
        known = ["--ts_url", server.url, "--username", "tsadmin", "--disable_ssl"]
        monkeypatch.setenv("THOUGHTSPOT_PASSWORD", PASSWORD)
        TSUserGroupSyncApp(Bob(), TSUGSyncWriter()).run(["--source", "x", *known])
        assert server.privileges == {"staff": ["DATADOWNLOADING"]}
        server.users["eve"] = {"principalTypeEnum": "LDAP_USER", "name": "Eve", "groupNames": []}
        server.faults.append(None)
        server.faults.append("expire")
        seen = Seen()
        TSUserGroupSyncApp(TSUGSyncReader(), seen).run([*known, "--place", "p"])
        (everyone,) = seen.written
        assert [(user.name, user.groupNames, user.password, user.id) for user in everyone.get_users()] == [
            ("Bob", ["staff"], None, "guid-Bob"),
            ("Eve", [], None, "guid-Eve"),
        ]
        assert everyone.get_group("staff").privileges == ["DATADOWNLOADING"]


def test_create_groups_and_merge_groups_are_options(monkeypatch):
    with ThoughtSpotServer() as server:
        monkeypatch.setenv("THOUGHTSPOT_PASSWORD", PASSWORD)
        server.groups["math"] = {"principalTypeEnum": "LOCAL_GROUP", "name": "Math", "groupNames": []}
        server.users["bob"] = {"principalTypeEnum": "LOCAL_USER", "name": "bob", "groupNames": ["Math", "Staff"]}

        class Lacking(Bob):
            def get_users_and_groups(self, args):
                everyone = super().get_users_and_groups(args)
                everyone.get_user("bob").add_group("chess")
                return everyone

        known = ["--source", "x", "--ts_url", server.url, "--username", "tsadmin", "--disable_ssl"]
        app = TSUserGroupSyncApp(Lacking(), TSUGSyncWriter())
        with pytest.raises(SystemExit) as stopped:
            app.run(known)
        assert (stopped.value.code, server.syncs) == (3, [])
        assert app.run([*known, "--create_groups", "--merge-groups"]).ok  # with a hyphen, as in messages
        assert server.users["bob"]["groupNames"] == ["Math", "chess", "staff"]
        assert sorted(server.groups) == ["chess", "math", "staff"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ((403, {}), "refuses to list users and groups: 403"),
        ("<html>", "did not answer with users and groups"),
        ('[{"name": "x"}]', "LOCAL_USER or LOCAL_GROUP is needed"),
    ],
)
def test_what_thoughtspot_answers_otherwise_is_refused(fault, why):
    with ThoughtSpotServer() as server:
        server.faults.extend([None, fault])
        args = argparse.Namespace(ts_url=server.url, username="tsadmin", password=PASSWORD, disable_ssl=False)
        with pytest.raises(DatastoreSyncError, match=why):
            TSUGSyncReader().read(args)


def test_single_calls_read_write_and_change_privileges():
    with ThoughtSpotServer() as server:
        known = {"tsurl": server.url, "username": "tsadmin", "password": PASSWORD, "disable_ssl": True}
        sync = SyncUserAndGroups(**known, global_password="first", create_groups=True)
        everyone = UsersAndGroups()
        everyone.add_user(User("Bob", group_names=["staff"]))
        assert sync.sync_users_and_groups(everyone, apply_changes=False).planned == 2
        assert server.users == {}
        assert sync.sync_users_and_groups(users_and_groups=everyone, batch_size=1).succeeded == 2
        assert ([len(one["principals"]) for one in server.syncs], server.syncs[-1]["password"]) == ([2, 1, 1], "first")
        privileges = SetGroupPrivilegesAPI(**known)
        privileges.add_privilege(["staff"], "ADMINISTRATION")
        privileges.add_privilege(groups="staff", privilege="DATADOWNLOADING")
        privileges.remove_privilege(["STAFF"], "ADMINISTRATION")
        assert server.privileges == {"staff": ["DATADOWNLOADING"]}
        assert privileges.get_privileges_for_group("Staff") == ["DATADOWNLOADING"]
        assert privileges.get_privileges_for_group("nobody") is None
        assert sync.get_all_users_and_groups().get_group("staff").privileges == ["DATADOWNLOADING"]
        with pytest.raises(DatastoreSyncError, match="refuses to add the privilege 'A': 400"):
            privileges.add_privilege("nobody", "A")
        server.faults.extend([None, None, 400])
        with pytest.raises(DatastoreSyncError, match=r"failed=1 .*: 127\.0\.0\.1 refuses to sync: 400"):
            sync.sync_users_and_groups(everyone)
