"""Users and groups written to a stand-in for ThoughtSpot over a real connection."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from thoughtspot_server import PASSWORD, ThoughtSpotServer

from datastoresync import Branch, Importer, Object, Tree
from datastoresync.app import App, Reader
from datastoresync.errors import (
    ColumnError,
    DeclarationError,
    MissingDependencyError,
    SafeguardError,
    SyncerError,
    SyncInterrupted,
)
from datastoresync.vocabularies.tsut import ThoughtSpotGroup, ThoughtSpotTree, ThoughtSpotUser, ThoughtSpotWriter


@pytest.fixture
def server():
    with ThoughtSpotServer() as server:
        yield server


class Waits(list):
    """Notes how long somebody would have waited."""

    __call__ = list.append


def school(users=(), groups=()):
    """Return a tree; a user or a group is a name, or a name with its groups."""
    tree = ThoughtSpotTree(name="school")
    for branch, items in ((tree.users, users), (tree.groups, groups)):
        for item in items:
            name, members = (item, ()) if isinstance(item, str) else item
            branch.new(name, groups=set(members))
    return tree


def arguments(server, *more):
    parser = argparse.ArgumentParser()
    ThoughtSpotWriter().add_arguments(parser)
    return parser.parse_args(["--url", server.url, "--username", "tsadmin", "--password", PASSWORD, *more])


def write(server, tree, *more, sleep=None):
    return ThoughtSpotWriter(sleep=Waits() if sleep is None else sleep).write(arguments(server, *more), tree)


def preview(server, tree, *more):
    return ThoughtSpotWriter(sleep=Waits()).preview(arguments(server, *more), tree)


def statuses(report):
    return {status: count for status, count in report.counts.items() if count}


class TwoRows(Importer):
    on_bad_row = "collect"

    def read(self):
        return [{"name": "ann"}, {"name": None}]


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
# What ThoughtSpot takes for one name is refused, and is a test of its own.
people = st.lists(names, unique_by=str.lower, max_size=5)


@settings(
    max_examples=examples(30),  # each is a dozen requests
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(users=people, groups=people, size=st.integers(1, 12), data=st.data())
def test_what_was_written_is_there_in_whatever_batches_and_once_more_changes_nothing(server, users, groups, size, data):
    server.users.clear()
    server.groups.clear()
    server.syncs.clear()
    tree = school(groups=[(group, groups[:place]) for place, group in enumerate(groups)])
    memberships = st.sets(st.sampled_from(groups)) if groups else st.just(set())
    for user in users:
        tree.users.new(user, display_name=user[::-1], groups=data.draw(memberships))
    # Without certificates to load, which takes longer than all the rest.
    report = write(server, tree, "--batch-size", str(size), "--disable-ssl")
    assert statuses(report) == ({"succeeded": len(users) + len(groups)} if users or groups else {})
    assert {user["name"]: (user["displayName"], set(user["groupNames"])) for user in server.users.values()} == {
        user.name: (user.display_name, user.groups) for user in tree.users.values()
    }
    assert {group["name"]: set(group["groupNames"]) for group in server.groups.values()} == {
        group.name: group.groups for group in tree.groups.values()
    }
    assert all(0 < len(sync["principals"]) <= size for sync in server.syncs)
    again = write(server, tree, "--batch-size", str(size), "--disable-ssl")
    assert statuses(again) == ({"skipped": len(users) + len(groups)} if users or groups else {})


# --- the protocol -----------------------------------------------------------------------------------------------


def test_principals_are_sent_as_documented(server):
    tree = school(groups=["staff"])
    tree.users.new("bob", display_name="Bob Ö", mail="bob@example.org", groups={"staff"}, password="pw")
    tree.users.new("eve", visibility="NON_SHARABLE")
    tree.groups["staff"].description = "All of it"
    write(server, tree, "--initial-password", "welcome")
    (sync,) = server.syncs
    assert sync.pop("principals") == [
        {
            "principalTypeEnum": "LOCAL_GROUP",
            "name": "staff",
            "displayName": "staff",
            "visibility": "DEFAULT",
            "groupNames": [],
            "description": "All of it",
        },
        {
            "principalTypeEnum": "LOCAL_USER",
            "name": "bob",
            "displayName": "Bob Ö",
            "visibility": "DEFAULT",
            "groupNames": ["staff"],
            "mail": "bob@example.org",
            "password": "pw",
        },
        {
            "principalTypeEnum": "LOCAL_USER",
            "name": "eve",
            "displayName": "eve",
            "visibility": "NON_SHARABLE",
            "groupNames": [],
        },
    ]
    assert sync == {"applyChanges": "true", "removeDeleted": "false", "password": "welcome"}
    assert server.logins == [{"username": "tsadmin", "password": PASSWORD, "rememberme": "false"}]


def test_without_an_initial_password_none_is_sent(server):
    write(server, school(users=["bob"]))
    assert "password" not in server.syncs[0]


def test_1200_users_go_in_batches_behind_their_groups_and_parents_before_children(server):
    tree = school([(f"u{n:04} 名", ["a child"]) for n in range(1200)], [("a child", ["the parent"]), "the parent"])
    report = write(server, tree)
    assert statuses(report) == {"succeeded": 1202}
    assert [len(sync["principals"]) for sync in server.syncs] == [2, 500, 500, 200]
    assert [group["name"] for group in server.syncs[0]["principals"]] == ["the parent", "a child"]
    assert len(server.users) == 1200


def test_parents_come_before_children_though_their_names_are_in_another_case(server):
    write(server, school(groups=[("a", ["B"]), "b"]), "--batch-size", "1")
    assert [sync["principals"][0]["name"] for sync in server.syncs] == ["b", "a"]


def test_the_report_says_what_became_of_each(server):
    write(server, school(["bob", "eve"], ["staff"]))
    tree = school([("bob", ["staff"]), "eve", "zoe"], ["staff"])
    report = write(server, tree)
    assert [(result.status, result.method) for result in report.results] == [
        ("succeeded", "new_users"),
        ("succeeded", "update_users(idnumber='bob')"),
        ("skipped", "sync_groups(idnumber='staff')"),
        ("skipped", "sync_users(idnumber='eve')"),
    ]
    assert report.results[0].action.idnumber == "zoe"
    assert report.ok


def test_what_an_older_version_does_not_mention_is_unchanged(server):
    server.lists_unchanged = False
    write(server, school(["bob"]))
    assert statuses(write(server, school(["bob"]))) == {"skipped": 1}


def test_a_tree_without_anybody_asks_nobody(server):
    assert write(server, school()).results == ()
    assert server.calls == []


def test_a_preview_asks_about_everything_at_once_and_changes_nothing(server):
    report = preview(server, school([("bob", ["staff"])], ["staff"]), "--batch-size", "1")
    assert (statuses(report), report.mock) == ({"planned": 2}, True)
    assert [sync["applyChanges"] for sync in server.syncs] == ["false"]
    assert server.users == server.groups == {}


# --- what fails in passing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 429, "drop"])
def test_what_fails_in_passing_is_tried_again(server, fault):
    waits = Waits()
    server.faults.extend([None, fault, fault])
    assert statuses(write(server, school(["bob"]), sleep=waits)) == {"succeeded": 1}
    assert server.calls == ["/session/login", *["/user/sync"] * 3]
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2


def test_logging_in_is_tried_again(server):
    server.faults.append(503)
    assert write(server, school(["bob"])).ok


def test_no_answer_in_time_is_tried_again(server):
    server.faults.extend([None, "hang"])
    assert write(server, school(["bob"]), "--timeout", "0.2").ok
    assert server.calls.count("/user/sync") == 2


def test_attempts_come_to_an_end_and_say_so(server):
    waits = Waits()
    server.faults.extend([None, *[503] * 6])
    report = write(server, school(["bob"]), sleep=waits)
    assert (statuses(report), len(waits), server.calls.count("/user/sync")) == ({"failed": 1}, 5, 6)
    assert "127.0.0.1 did not answer as it should, in 6 attempts: 503" in report.failures[0].reason
    assert waits == sorted(waits)


def test_nobody_there_is_said():
    with ThoughtSpotServer() as gone:
        pass
    with pytest.raises(SyncerError, match=r"127\.0\.0\.1 did not answer as it should, in 1 attempts: ConnectError"):
        write(gone, school(["bob"]), "--retries", "0")


@pytest.mark.parametrize("seconds", [True, False])
def test_retry_after_is_waited_for(server, seconds):
    told = "7" if seconds else formatdate(time.time() + 60, usegmt=True)  # now, and not when tests are collected
    waits = Waits()
    server.faults.extend([None, (429, {"Retry_After": told})])
    assert write(server, school(["bob"]), sleep=waits).ok
    assert 6 < waits[0] < 61


def test_a_retry_after_that_means_nothing_is_passed_over(server):
    waits = Waits()
    server.faults.extend([None, (503, {"Retry_After": "soon"})])
    assert write(server, school(["bob"]), sleep=waits).ok
    assert waits[0] <= 1


def test_who_is_to_wait_for_an_hour_gives_up(server):
    waits = Waits()
    server.faults.extend([None, (429, {"Retry_After": "3600"})])
    report = write(server, school(["bob"]), sleep=waits)
    assert "not to be asked again for 3,600 s" in report.failures[0].reason
    assert waits == []


def test_a_session_that_expired_is_begun_again(server):
    server.faults.extend([None, None, "expire"])
    report = write(server, school(["bob", "eve"]), "--batch-size", "1")
    assert statuses(report) == {"succeeded": 2}
    assert server.calls == ["/session/login", "/user/sync", "/user/sync", "/session/login", "/user/sync"]


def test_a_session_that_is_never_good_is_a_failure(server):
    server.faults.extend([None, "expire", None, "expire"])
    report = write(server, school(["bob"]))
    assert "refuses to sync: 401" in report.failures[0].reason


# --- what fails for good ----------------------------------------------------------------------------------------


def test_who_is_not_let_in_is_named_and_the_password_is_not(server):
    args = arguments(server)
    args.password = "wr0ng"
    with pytest.raises(SyncerError, match=r"127\.0\.0\.1 does not let 'tsadmin' in \(401\)") as caught:
        ThoughtSpotWriter().write(args, school(["bob"]))
    assert "wr0ng" not in str(caught.value)
    assert server.calls == ["/session/login"]


def test_another_answer_to_logging_in_is_said(server):
    server.faults.append(404)
    with pytest.raises(SyncerError, match=r"cannot log in to 127\.0\.0\.1: 404 Not Found: made up 404"):
        write(server, school(["bob"]))


@pytest.mark.parametrize(
    "answer",
    ["<html>", "[]", "{}", '{"usersAdded": "bob"}', '{"usersAdded": [1]}', '{"usersAdded": null}', b"\xff"],
)
def test_an_answer_that_is_none_is_a_failure_and_not_tried_again(server, answer):
    server.faults.extend([None, answer])
    report = write(server, school(["bob"]))
    assert "whether it was done is not known" in report.failures[0].reason
    assert server.calls.count("/user/sync") == 1


def test_a_batch_that_fails_is_reported_with_its_names_and_the_others_go_on(server):
    server.faults.extend([None, None, 400])
    report = write(server, school(["ann", "bob", "cid", "dan", "eve"]), "--batch-size", "2")
    assert statuses(report) == {"succeeded": 3, "failed": 2}
    assert [result.method for result in report.failures] == [
        "sync_users(idnumber='cid')",
        "sync_users(idnumber='dan')",
    ]
    assert "batch 2 of 3: 127.0.0.1 refuses to sync: 400 Bad Request: made up 400" in report.failures[0].reason
    assert list(server.users) == ["ann", "bob", "eve"]
    assert (report.ok, report.exit_code) == (False, 1)


def test_what_it_says_is_told_without_the_passwords_that_were_sent(server):
    tree = school()
    tree.users.new("bob", groups={"gone"}, password='b0b"ö')
    report = write(server, tree, "--existing-group", "gone", "--initial-password", "w3lcome")
    (failure,) = report.failures
    assert "400 Bad Request: no such groups: gone" in failure.reason
    for secret in ("b0b", "w3lcome", "s3cret"):
        assert secret not in failure.reason
    assert len(failure.reason) < 300


def test_a_password_that_is_quoted_on_its_own_is_hidden(server):
    body = json.dumps({"debug": f"{PASSWORD} and b0b are too short"})
    server.faults.extend([None, (400, {}, body)])
    tree = school()
    tree.users.new("bob", password="b0b")
    assert write(server, tree).failures[0].reason.endswith("400 Bad Request: *** and *** are too short")


def test_a_redirect_is_not_followed(server):
    server.faults.extend([None, (302, {"Location": "http://127.0.0.1:1/"})])
    assert "302 Found: use the URL that it redirects to" in write(server, school(["bob"])).failures[0].reason


def test_ctrl_c_ends_with_a_report_of_what_was_done(server):
    def interrupted(_):
        raise KeyboardInterrupt

    server.faults.extend([None, None, 503])
    with pytest.raises(SyncInterrupted) as caught:
        write(server, school(["ann", "bob", "cid"]), "--batch-size", "1", sleep=interrupted)
    report = caught.value.report
    assert [result.status for result in report.results] == ["succeeded", "failed", "pending"]
    assert report.interrupted
    assert "whether it was done is not known" in report.results[1].reason


# --- what is deleted --------------------------------------------------------------------------------------------


def test_nobody_is_deleted_unless_it_is_said(server):
    write(server, school(["ann", "bob"]))
    write(server, school(["ann"]))
    assert list(server.users) == ["ann", "bob"]


def test_those_that_are_in_thoughtspot_alone_are_deleted(server):
    write(server, school([f"u{n}" for n in range(20)], ["staff"]))
    report = write(server, school([f"u{n}" for n in range(18)], ["staff"]), "--remove-deleted")
    assert statuses(report) == {"succeeded": 2, "skipped": 19}
    assert [result.method for result in report.results[:2]] == ["old_users", "old_users"]
    assert len(server.users) == 18


@pytest.mark.parametrize("call", [write, preview])
def test_too_many_deletions_are_refused_before_any_change_and_may_be_allowed(server, call):
    write(server, school([f"u{n}" for n in range(20)]))
    half = school([f"u{n}" for n in range(10)])
    with pytest.raises(SafeguardError, match=r"ThoughtSpot\.users: 10 deletions, over the limit .*--allow-deletions"):
        call(server, half, "--remove-deleted")
    assert len(server.users) == 20
    assert {sync["applyChanges"] for sync in server.syncs[1:]} == {"false"}
    assert call(server, half, "--remove-deleted", "--allow-deletions", "10").ok
    assert len(server.users) == (10 if call is write else 20)


def test_without_lists_of_what_is_unchanged_deletions_are_counted_the_same(server):
    server.lists_unchanged = False
    write(server, school([f"u{n}" for n in range(20)]))
    with pytest.raises(SafeguardError, match="10 deletions, over the limit of 20% of 20"):
        write(server, school([f"U{n}" for n in range(10)]), "--remove-deleted")


def test_creations_do_not_make_room_for_deletions(server):
    write(server, school([f"u{n}" for n in range(20)]))
    with pytest.raises(SafeguardError, match="6 deletions, over the limit of 20% of 20"):
        write(server, school([f"u{n}" for n in range(6, 120)]), "--remove-deleted")


def test_who_would_be_deleted_though_written_counts_as_deleted(server):
    everybody = [f"u{n}" for n in range(20)]
    server.faults.extend([None, json.dumps({"usersDeleted": everybody[:10]})])
    with pytest.raises(SafeguardError, match="10 deletions, over the limit of 20% of 20"):
        write(server, school(everybody), "--remove-deleted")


def test_an_empty_tree_deletes_nobody(server):
    with pytest.raises(SafeguardError, match="school is empty"):
        write(server, school(), "--remove-deleted", "--allow-deletions", "9")
    assert server.calls == []


def test_a_tree_without_groups_does_not_delete_all_groups(server):
    write(server, school(["ann"], ["staff"]))
    with pytest.raises(SafeguardError, match=r"the tree to be written\.groups is empty"):
        write(server, school(["ann"]), "--remove-deleted", "--allow-deletions", "9")
    assert list(server.groups) == ["staff"]


def test_rows_that_could_not_be_read_are_not_deleted(server):
    class People(ThoughtSpotTree):
        users = Branch(ThoughtSpotUser, importer=TwoRows)

    with pytest.raises(SafeguardError, match=r"People\.users: 1 of its rows could not be read"):
        write(server, +People(), "--remove-deleted")
    assert server.calls == []
    assert write(server, +People()).ok


def test_deletions_need_everything_in_one_batch(server):
    with pytest.raises(SafeguardError, match="leave --batch-size out, or give 2"):
        write(server, school(["ann", "bob"]), "--remove-deleted", "--batch-size", "1")
    assert server.calls == []
    tree = school([f"u{n}" for n in range(600)])
    assert write(server, tree, "--remove-deleted").ok
    assert [len(sync["principals"]) for sync in server.syncs] == [600, 600]  # asked, and done


def test_a_group_that_is_said_to_exist_is_not_deleted(server):
    write(server, school(groups=["staff", *(f"g{n}" for n in range(20))]))
    tree = school([("ann", ["Staff"])], [f"g{n}" for n in range(20)])
    with pytest.raises(SafeguardError, match="group 'staff' is there already, as --existing-group says"):
        write(server, tree, "--remove-deleted", "--existing-group", "STAFF")
    assert "staff" in server.groups


# --- groups that are there, and privileges --------------------------------------------------------------------------


def test_groups_that_nobody_has_are_created_and_those_that_are_there_stay_as_they_are(server):
    server.groups["staff"] = {
        "principalTypeEnum": "LOCAL_GROUP",
        "name": "Staff",
        "description": "All",
        "groupNames": [],
    }
    tree = school([("ann", ["STAFF", "chess"])], [("go", ["games"])])
    for call in (preview, write):
        assert call(server, tree, "--create-groups").ok
        assert sorted(server.groups) == (["staff"] if call is preview else ["chess", "games", "go", "staff"])
    assert server.groups["staff"]["description"] == "All"
    assert server.users["ann"]["groupNames"] == ["STAFF", "chess"]
    assert list(tree.groups) == ["go"], "the tree stays as it is"
    assert statuses(write(server, tree, "--create-groups")) == {"skipped": 2}, "named, they are not created again"


def test_merged_groups_are_those_of_both(server):
    write(server, school([("Ann", ["a", "b"]), "bob"], ["a", "b", "c", ("d", ["a"])]))
    server.users["bob"]["groupNames"] = ["All"]  # which ThoughtSpot does not list
    tree = school([("ann", ["B", "c"]), ("bob", ["c"])], ["c", ("d", ["c"])])
    assert write(server, tree, "--merge-groups", "--create-groups").ok
    assert [server.users[name]["groupNames"] for name in ("ann", "bob")] == [["B", "a", "c"], ["All", "c"]]
    assert sorted(server.groups) == ["a", "b", "c", "d"]
    assert server.groups["d"]["groupNames"] == ["a", "c"]
    assert tree.users["ann"].groups == {"B", "c"}, "the tree stays as it is"


def test_a_group_that_somebody_is_merged_into_is_not_deleted(server):
    write(server, school([("ann", ["g"])], ["g", *(f"g{n}" for n in range(20))]))
    tree = school(["ann"], [f"g{n}" for n in range(20)])
    with pytest.raises(SafeguardError, match="group 'g' is there already"):
        write(server, tree, "--merge-groups", "--remove-deleted")
    assert "g" in server.groups


def test_groups_get_the_privileges_that_they_have_and_a_group_without_any_keeps_its_own(server):
    write(server, school(groups=["staff", "math", "go"]))
    server.privileges = {"staff": ["A", "B"], "math": ["A"], "go": ["C"]}
    tree = school(groups=["go", "math", "new", "staff"])
    for name, privileges in (("Staff", "BC"), ("math", "A"), ("new", "C")):
        tree.groups[name.lower()].privileges = set(privileges)
    report = preview(server, tree)
    messages = ["new_groups(idnumber='new')"]
    for verb, name, privilege, way in (
        ("add", "new", "C", "to"),
        ("add", "staff", "C", "to"),
        ("remove", "staff", "A", "from"),
    ):
        messages.append(f"{verb}_privileges_{way}_groups(idnumber={name!r}, attr='privileges', value={privilege!r})")
    assert [result.action.message for result in report.results if result.status == "planned"] == messages
    assert server.privileges == {"staff": ["A", "B"], "math": ["A"], "go": ["C"]}
    report = write(server, tree)
    assert [result.action.message for result in report.results if result.status == "succeeded"] == messages
    assert server.privileges == {"staff": ["B", "C"], "math": ["A"], "go": ["C"], "new": ["C"]}
    assert server.calls.count("/group/addprivilege") == 1, "a call a privilege"
    assert statuses(write(server, tree)) == {"skipped": 4}


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ([None, None, 403], "refuses to list groups: 403"),
        ([None, None, '[{"header": {"name": "staff"}}]'], "did not answer with groups and their privileges"),
        ([None, None, None, 400], "refuses to add the privilege 'A': 400 Bad Request: made up 400"),
        ([None, 400], "the group is not there"),
    ],
)
def test_privileges_that_are_refused_are_failures(server, faults, why):
    tree = school(groups=["staff"])
    tree.groups["staff"].privileges = {"A"}
    server.faults.extend(faults)
    report = write(server, tree)
    assert why in report.failures[-1].reason
    assert (report.ok, server.privileges) == (False, {})


def test_ctrl_c_between_privileges_ends_with_a_report(server):
    def interrupted(_):
        raise KeyboardInterrupt

    tree = school(groups=["staff"])
    tree.groups["staff"].privileges = {"A", "B"}
    server.faults.extend([None, None, None, None, 503])
    with pytest.raises(SyncInterrupted) as caught:
        write(server, tree, sleep=interrupted)
    results = caught.value.report.results
    assert [(each.status, each.method) for each in results] == [
        ("succeeded", "new_groups"),
        ("succeeded", "add_privileges_to_groups"),
        ("failed", "sync_privileges"),
    ]
    assert server.privileges == {"staff": ["A"]}


# --- what does not fit together ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (school([("ann", ["gone"])]), "user 'ann' is in group 'gone', which does not exist"),
        (school(groups=[("ann", ["gone"])]), "group 'ann' is in group 'gone', which does not exist"),
        (school(["Bob", "bob"]), "user 'bob' and user 'Bob' are one for ThoughtSpot"),
        (school(groups=[("a", ["b"]), ("b", ["A"])]), "groups wait for each other: a → b → a"),
        (school(groups=[("a", ["a"])]), "groups wait for each other: a → a"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_sent(server, tree, why):
    with pytest.raises(SafeguardError, match=why):
        write(server, tree)
    assert server.calls == []


def test_groups_that_are_there_already_may_be_named(server):
    server.groups["staff"] = {"name": "staff"}
    tree = school([("ann", ["Staff", "ALL"])])
    assert write(server, tree, "--existing-group", "staff", "--existing-group", "All").ok
    assert server.users["ann"]["groupNames"] == ["ALL", "Staff"]


# --- any tree ---------------------------------------------------------------------------------------------------


def test_a_tree_of_other_objects_is_written_by_their_idnumbers(server):
    class Users(Tree):
        users = Branch(Object, importer=[{"idnumber": "ann", "mail": "ann@example.org", "groups": ["staff"]}])
        groups = Branch(Object, importer=[{"idnumber": "staff", "display_name": "Staff"}])

    assert write(server, +Users()).ok
    assert server.users["ann"]["mail"] == "ann@example.org"
    assert server.groups["staff"]["displayName"] == "Staff"


def test_an_attribute_that_thoughtspot_does_not_know_is_named(server):
    tree = Tree("other", branches={"groups": Branch(ThoughtSpotGroup), "users": Branch(Object)})
    tree.users.new("ann", displayName="Ann")
    with pytest.raises(ColumnError, match=r"no 'displayName' \(did you mean 'display_name'\?\)"):
        write(server, tree)


def test_names_beside_idnumbers_are_refused(server):
    tree = Tree("other", branches={"groups": Branch(ThoughtSpotGroup), "users": Branch(Object)})
    tree.users.new("1", name="ann")
    with pytest.raises(DeclarationError, match="names beside its idnumbers"):
        write(server, tree)


def test_a_tree_without_groups_is_refused(server):
    with pytest.raises(DeclarationError, match="other has no branch 'groups'"):
        write(server, Tree("other", branches={"users": Branch(ThoughtSpotUser)}))


def test_a_password_is_neither_compared_nor_shown():
    one, other = school(), school()
    user = one.users.new("ann", password="s3cret")
    other.users.new("ann")
    assert not one - other
    assert user.password == "s3cret"
    shown = [repr(user), user._repr_html_(), repr(one), one._repr_html_(), repr(one.users), one.users._repr_html_()]
    assert not any("s3cret" in text for text in shown)


# --- the connection ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate that nobody vouches for, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    signed = (
        builder.not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + signed.public_bytes(pem))
    return path


def test_who_cannot_prove_who_it_is_gets_no_password(certificate):
    waits = Waits()
    with ThoughtSpotServer(certificate=certificate) as server:
        with pytest.raises(SyncerError, match=r"127\.0\.0\.1 cannot prove who it is: .*--disable-ssl"):
            write(server, school(["bob"]), sleep=waits)
        assert (server.logins, waits) == ([], [])
        assert write(server, school(["bob"]), "--disable-ssl").ok


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("thoughtspot.example.org", "is to look like https://"),
        ("ftp://thoughtspot.example.org", "is to look like https://"),
        ("https://[", "is to look like https://"),
        ("https://ann:s3cret@thoughtspot.example.org", "is to be no more than https://thoughtspot.example.org"),
        ("https://thoughtspot.example.org?password=s3cret", "is to be no more than"),
        ("http://thoughtspot.example.org", "would send passwords in the clear: use https"),
    ],
)
def test_a_url_that_is_none_or_gives_passwords_away_is_refused(server, url, why):
    args = arguments(server)
    args.url = url
    with pytest.raises(DeclarationError, match=why) as caught:
        ThoughtSpotWriter(sleep=Waits()).write(args, school(["bob"]))
    assert "s3cret" not in str(caught.value)


def test_without_httpx_the_command_that_installs_it_is_named(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[thoughtspot\]'"):
        write(server, school(["bob"]))


def test_httpx_is_loaded_on_first_use():
    command = "import datastoresync.vocabularies.tsut, sys; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


# --- passwords, and the application -----------------------------------------------------------------------------


class SchoolReader(Reader):
    def read(self, args):
        return school([("bob", ["staff"])], ["staff"])


def run(server, *more):
    return App(SchoolReader(), ThoughtSpotWriter(sleep=Waits())).run(
        ["--url", server.url, "--username", "tsadmin", *more]
    )


def test_the_password_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("THOUGHTSPOT_PASSWORD", PASSWORD)
    assert run(server).ok
    monkeypatch.delenv("THOUGHTSPOT_PASSWORD")
    monkeypatch.setenv("OTHER", PASSWORD)
    monkeypatch.setenv("FIRST", "welcome")
    assert run(server, "--password", "env:OTHER", "--initial-password", "env:FIRST").ok
    assert [sync.get("password") for sync in server.syncs] == [None, "welcome"]


def test_a_terminal_is_asked_for_the_password_and_nothing_else_is(server, monkeypatch):
    monkeypatch.delenv("THOUGHTSPOT_PASSWORD", raising=False)
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or PASSWORD)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    report = run(server)
    assert "set the environment variable THOUGHTSPOT_PASSWORD" in report.reports[0].reason
    assert (report.exit_code, asked, server.calls) == (1, [], [])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert run(server).ok
    assert asked == ["the password of tsadmin: "]
    report = run(server, "--initial-password", "env:GONE")
    assert "set the environment variable GONE" in report.reports[0].reason
    assert asked == ["the password of tsadmin: "] * 2


def test_an_application_writes_and_shows_no_password(server, capsys):
    report = run(server, "--password", PASSWORD, "--verbose")
    assert (report.exit_code, report.reports[0].name, list(server.users)) == (0, "thoughtspot", ["bob"])
    server.faults.extend([None, 400])
    report = run(server, "--password", PASSWORD, "--verbose")
    assert report.exit_code == 1
    error = capsys.readouterr().err
    assert "sync_users(idnumber='bob')" in error
    assert PASSWORD not in error + repr(report)


def test_an_application_previews(server):
    report = run(server, "--password", PASSWORD, "--dry-run")
    assert (report.ok, report.reports[0].returned.mock, server.users) == (True, True, {})


def test_what_is_missing_or_no_number_is_said_first(server, capsys):
    for argv in ([], ["--url", server.url, "--username", "tsadmin", "--batch-size", "0"]):
        with pytest.raises(SystemExit) as stopped:
            App(SchoolReader(), ThoughtSpotWriter()).run(argv)
        assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "--url" in error
    assert "--username" in error
    assert "0 is not 1 or more" in error
    assert server.calls == []


def test_a_preview_prints_each_change_and_how_many_there_are(server, capsys):
    write(server, school(["bob", "eve", *map(str, range(9))], ["staff"]))
    tree = school([("bob", ["staff"]), "new", *map(str, range(9))], ["staff"])
    assert capsys.readouterr().out == ""
    report = preview(server, tree, "--remove-deleted")
    *lines, stat = capsys.readouterr().out.splitlines()
    assert sorted(lines) == ["new_users(idnumber='new')", "old_users(idnumber='eve')", "update_users(idnumber='bob')"]
    assert stat == f"thoughtspot: {report.stat}"


def test_fewer_retries_than_none_are_refused(server, capsys):
    with pytest.raises(SystemExit):
        arguments(server, "--retries", "-1")
    assert "-1 is not 0 or more" in capsys.readouterr().err
    assert arguments(server, "--retries", "0").retries == 0
