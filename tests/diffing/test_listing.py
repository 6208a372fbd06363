"""What a plan shows: object by object, old values whole, equal changes as one line, and counts of what is not shown."""

import io
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Limits, Object, Preview, Template, Tree
from datastoresync.diffing import listing
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import StreamedActions
from datastoresync.diffing.diff import Diff
from datastoresync.printing.text import text, width


class User(Object):
    name: str = ""
    grade: int = 0
    password: str = ""
    _sensitive = ("password",)


class Group(Object):
    members: set[str] = set()


def tree(name, users=(), groups=()):
    branches = {"users": Branch(User, importer=list(users)), "groups": Branch(Group, importer=list(groups))}
    return +Tree(name, branches=branches)


def lines(diff, **options):
    diff.show(file := io.StringIO(), **options)
    return file.getvalue().splitlines()


words = st.lists(st.sampled_from(["blue", "red", "the", "a", "[-", "'", "\n", "→", "ü", ","]), max_size=30).map(
    " ".join
)
rows = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(words, st.integers(0, 2)), max_size=8)
memberships = st.dictionaries(st.sampled_from("xyz"), st.sets(st.sampled_from("abcdefgh")), max_size=3)


def drawn(name, users, groups):
    return tree(
        name,
        [{"idnumber": key, "name": text, "grade": grade} for key, (text, grade) in users.items()],
        [{"idnumber": key, "members": members} for key, members in groups.items()],
    )


diffs = st.builds(
    lambda left, left_groups, right, right_groups: drawn("a", left, left_groups) - drawn("b", right, right_groups),
    rows, memberships, rows, memberships,
)  # fmt: skip


def leaves(outline):
    below = list(outline.children())
    return [leaf for one in below for leaf in leaves(one)] if below else [outline]


@given(diffs, st.integers(0, 12))
def test_what_is_shown_and_what_is_more_add_up_to_the_stat(diff, limit):
    shown = lines(diff, limit=limit)
    by_text = {
        f"{one.text}  {''.join(words for words, _ in one.spans)}".strip(): one.count for one in leaves(diff.outline())
    }
    more = sum(int(number) for line in shown for number in re.findall(r"… and (\d+) more changes?$", line))
    counted = 0
    for shown_line in shown[1:]:
        if shown_line.startswith("    ") and shown_line.strip()[0] in "+~-":
            name = re.match(r"    ([+~-] (?:\d+ )?\w+(?: \w)?)", shown_line)[1]
            counted += next(count for line, count in by_text.items() if line.startswith(name))
    assert counted + more == len(diff)
    assert not diff or shown[0].endswith(f": {diff.stat}")


@given(diffs)
def test_each_object_that_is_shown_differs_and_each_that_differs_is_shown(diff):
    shown = re.findall(r"^    [+~-] (\w+) (\w)(?:  |$)", "\n".join(lines(diff, limit=None)), re.MULTILINE)
    assert set(shown) == {(action.branch, action.idnumber) for action in diff}


@given(diffs)
def test_old_values_are_whole(diff):
    for action in (one for one in diff if one.verb == "update"):
        spans = list(listing.object_spans([action], listing.NO_SIDES))
        before = "".join(text for text, kind in spans if kind in ("", "removed", "cut"))
        after = "".join(text for text, kind in spans if kind in ("", "added", "put"))
        assert before == f"{action.attr}: {action.old_value!r}"
        assert after == f"{action.attr}: {action.value!r}"


@given(diffs, st.integers(20, 80))
def test_no_width_cuts_what_changes(diff, columns):
    for line in (one for one in leaves(diff.outline()) if one.spans):
        wide, narrow = (text(line, columns=one) for one in (None, columns))
        assert re.sub(r"\s", "", narrow) == re.sub(r"\s", "", wide)
        assert all(width(one) <= columns for one in narrow.split("\n"))


def test_a_line_ends_in_the_place_of_a_blank():
    words = " ".join(["grade"] * 15)
    (line,) = leaves((tree("a", [{"idnumber": "1", "name": words}]) - tree("b", [])).outline())
    first, *rest = text(line, columns=40).split("\n")
    assert not [one for one in (first, *rest) if one.endswith(" ")]
    assert {len(one) - len(one.lstrip()) for one in rest} == {4}
    assert " ".join(map(str.strip, (first, *rest))) == text(line, columns=None)


def test_equal_changes_are_one_line_with_a_count():
    old = [{"idnumber": str(number), "name": "x", "grade": 7} for number in range(240)]
    diff = tree("a", [{**row, "grade": 8} for row in old]) - tree("b", old)
    assert lines(diff) == [
        "a - b: new=0 update=240 add=0 remove=0 old=0 total=240",
        "  users  240 values change",
        "    ~ 240 users  grade: 7 → 8  (0, 1, 10, 100, 101, …)",
    ]
    assert len(lines(diff, limit=None)) == 242
    assert "    ~ users 17  grade: 7 → 8" in lines(diff, limit=None)


@pytest.mark.parametrize("values", [(1, True), (1, 1.0), ("1", 1), (Decimal("1.0"), Decimal("1.00"))])
def test_only_what_looks_alike_is_one_line(values):
    actions = [Action("update", "users", key, "x", values[key > 1], None) for key in range(6)]
    alike = {key: str(value) for key, value in enumerate(values)}
    expected = [(2, alike[0]), (4, alike[1])] if type(values[0]) is not type(values[1]) else None
    found = [(one.count, one.text) for one in leaves(Diff(actions).outline())]
    if expected:
        assert found == [(1, "~ users 0"), (1, "~ users 1"), (4, "~ 4 users")]


def test_new_and_old_objects_have_their_values():
    diff = tree("a", [{"idnumber": "1", "name": "Ann", "grade": 7}]) - tree("b", [{"idnumber": "2", "name": "Bo"}])
    assert lines(diff)[2:] == [
        "    + users 1  grade: 7, name: 'Ann', password: ***",
        "    - users 2  grade: 0, name: 'Bo', password: ***",
    ]


def test_sensitive_values_are_masked_and_do_not_tell_who_has_the_same():
    rows = [{"idnumber": key, "password": "old"} for key in "abcd"]
    diff = tree("a", [{**row, "password": f"new{row['idnumber'] > 'b'}"} for row in rows]) - tree("b", rows)
    assert lines(diff)[2:] == ["    ~ 4 users  password: ***  (a, b, c, d)"]
    assert "new" not in diff.text(lines=None).partition("\n")[2]


def test_members_that_go_are_all_there_and_new_ones_are_counted():
    here = [{"idnumber": "g", "members": {f"n{number}" for number in range(1000)}}]
    there = [{"idnumber": "g", "members": {f"o{number}" for number in range(60)}}]
    shown = "\n".join(lines(tree("a", groups=here) - tree("b", groups=there)))
    assert len(re.findall(r"-'o\d+'", shown)) == 60
    assert len(re.findall(r"\+'n\d+'", shown)) == 20
    assert shown.endswith("… and 980 more members")


def test_words_that_change_in_a_long_text_are_marked():
    old = "Plays the cello in the school orchestra, and likes horses."
    diff = tree("a", [{"idnumber": "1", "name": old.replace("cello", "violin")}]) - tree(
        "b", [{"idnumber": "1", "name": old}]
    )
    marked = "Plays the [-cello-]{+violin+} in the school orchestra, and likes horses."
    assert lines(diff)[-1] == f"    ~ users 1  name: '{marked}'"
    (painted,) = (line for line in lines(diff, colour=True) if "violin" in line)
    assert "\x1b[9;31mcello\x1b[0m\x1b[4;32mviolin\x1b[0m" in painted
    assert "[-" not in painted
    assert '<del class="dss-cut dss-red">cello</del><ins class="dss-put dss-green">violin</ins>' in diff._repr_html_()


def test_a_bounded_listing_formats_only_what_it_shows():
    class Loud:
        said = 0

        def __repr__(self):
            Loud.said += 1
            return "loud"

    actions = [Action("update", "users", key, "name", Loud(), "") for key in range(100_000)]
    shown = lines(Diff(actions))
    assert shown[-2:] == [
        "    … and 99,950 more changes",
        "all of it: (source - dest).show(limit=None)",
    ]
    assert len(shown) < 60
    assert Loud.said < 200
    (users,) = listing.branch_outlines(listing.Scan.of(actions, 30), listing.NO_SIDES)
    assert (users.things, users.beyond) == (30, 99_970)


def test_a_streamed_diff_is_passed_over_once():
    class Streamed(StreamedActions):
        passes = 0

        def __iter__(self):
            self.passes += 1
            return (Action("new", "users", key) for key in range(5_000))

    diff = Diff(actions := Streamed([], (), {}))
    assert repr(diff).endswith("… and 4,978 more changes")
    assert diff.stat in repr(diff)
    assert (actions.passes, len(diff)) == (2, 5_000), "one to see whether there is any"


def test_a_terminal_is_as_wide_as_it_is(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    old = "the quick brown fox jumps over the lazy dog " * 9
    diff = tree("a", [{"idnumber": "1", "name": ""}]) - tree("b", [{"idnumber": "1", "name": old}])
    diff.show(file := Terminal())
    shown = file.getvalue().splitlines()
    assert max(map(width, shown[1:])) <= 60
    assert f"{old}' → ''".replace(" ", "") in "".join(shown).replace(" ", "")
    assert not any("\x1b" in line for line in shown)


def test_verdict_and_stat_come_first():
    rows = [{"idnumber": str(number)} for number in range(100)]
    preview = Preview.of(tree("a", rows[:50]) - tree("b", rows))
    title, verdict, *_ = lines(preview)
    assert title == "a - b: new=0 update=0 add=0 remove=0 old=50 total=50"
    assert verdict.startswith("  would be refused: b.users: 50 deletions, over the limit of 20%")
    preview = Preview.of(preview.diff, limits=Limits(deletions=50))
    assert lines(preview)[1] == "  within the limits"
    assert "within the limits" in preview._repr_html_()
    assert lines(Preview.of(tree("a") - tree("b"))) == [
        "a - b: new=0 update=0 add=0 remove=0 old=0 total=0",
        "  no differences",
    ]


def test_a_terminal_without_arrows_gets_plain_ones():
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="cp1252", newline="\n")
    (tree("a", [{"idnumber": "1", "name": "ő"}]) - tree("b", [{"idnumber": "1", "name": "é"}])).show(file)
    file.flush()
    assert raw.getvalue().decode("cp1252").splitlines()[-1] == r"    ~ users 1  name: 'é' -> '\u0151'"


def test_equal_failures_are_one_line_with_a_count():
    class Failing(Template):
        def new_users(self, action):
            raise OSError("no room" if action.idnumber != "7" else "no name")

    report = (tree("a", [{"idnumber": str(number)} for number in range(10)]) - tree("b")) | Failing
    assert report.text().splitlines()[1:] == [
        "  failed: + 9 users  (0, 1, 2, 3, 4, …): OSError: no room",
        "  failed: + users 7: OSError: no name",
    ]
    assert len(str(report).splitlines()) == 11
    assert len(lines(report, limit=None)) == 11


def test_a_changed_object_is_named_beside_its_key_but_not_by_what_changes_or_is_secret():
    class Pupil(Object):
        _shortname = ("first", "last", "pin")
        _sensitive = ("pin",)
        first: str
        last: str
        pin: str
        grade: int

    def pupils(name, *rows):
        named = [dict(zip(("idnumber", "first", "last", "pin", "grade"), row, strict=True)) for row in rows]
        return +Tree(name, branches={"pupils": Branch(Pupil, importer=named)})

    old = pupils("old", ("1", "Ann", "Lee", "s3cret", 7), ("2", "Bob", "", "s3cret", 7), ("3", "Cid", "Poe", "", 7))
    new = pupils("new", ("1", "Ann", "Lee", "s3cret", 8), ("2", "Bob", "", "s3cret", 9), ("3", "Cid", "Roe", "", 7))
    shown = [line.strip() for line in lines(new - old)]
    assert "~ pupils 1 (Ann Lee)  grade: 7 → 8" in shown
    assert "~ pupils 2 (Bob)  grade: 7 → 9" in shown
    assert "~ pupils 3 (Cid)  last: 'Poe' → 'Roe'" in shown
