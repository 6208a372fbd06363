"""One who is new and one who goes, with one address, may be the same person: that is said, and nothing is done."""

import pytest

from datastoresync import Branch, DeclarationError, Limits, Object, Template, Tree, succeeded
from datastoresync.diffing.renames import renames_of


class Accepting(Template):
    def new(self, action):
        return succeeded()

    old = new


class User(Object):
    _correlate = ("mail", "phone")
    _sensitive = ("phone",)
    mail: str | None = None
    phone: str = ""
    tags: list[str] = []


def tree(name, **mails):
    made = Tree(name, branches={"users": Branch(User)})
    for key, values in mails.items():
        made.users.new(key, **values)
    return made


def both():
    stays = {"mail": "eve@x"}
    source = tree("source", ann2={"mail": "ann@x", "phone": "1"}, bob2={"phone": "2"}, eve=stays, joe={"mail": "eve@x"})
    return source, tree("dest", ann1={"mail": "ann@x", "phone": "3"}, bob1={"phone": "2"}, eve=stays, zoe={})


def test_previews_and_reports_say_what_may_have_been_renamed(capsys):
    source, dest = both()
    assert [(one.old_idnumber, one.idnumber, one.attr) for one in renames_of(source - dest)] == [
        ("ann1", "ann2", "mail"),
        ("bob1", "bob2", "phone"),
    ]
    source > dest
    shown = capsys.readouterr().out
    assert "users 'ann1' may be 'ann2' under another idnumber, as both have mail='ann@x'" in shown
    assert "users 'bob1' may be 'bob2' under another idnumber, as both have phone=***" in shown
    report = Accepting().apply(source - dest, limits=Limits(deletions=10))
    assert [one.split(" under")[0] for one in report.warnings] == [
        "users 'ann1' may be 'ann2'",
        "users 'bob1' may be 'bob2'",
    ]
    assert (report.ok, report.counts["succeeded"]) == (True, 6)
    assert not renames_of(source - dest)


def test_two_of_one_value_are_not_offered():
    source, dest = both()
    source.users.new("ann3", mail="ann@x")
    assert [one.idnumber for one in renames_of(source - dest)] == ["bob2"]


def test_an_attribute_that_is_not_there_is_refused():
    with pytest.raises(DeclarationError, match=r"_correlate names 'mial'.*did you mean 'mail'"):
        type("Wrong", (User,), {"_correlate": ("mial",)})
    with pytest.raises(DeclarationError, match=r"Wrong\._correlate must be a tuple of names, such as \('mail',\)"):
        type("Wrong", (User,), {"_correlate": "mail"})
