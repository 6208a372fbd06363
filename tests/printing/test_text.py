import io
import re
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.printing.outline import Grid, Outline
from datastoresync.printing.text import numeric, text, visible, width, write

NASTY = [
    "[red]",
    "[/foo]",
    "<script>alert(1)</script>",
    "\x1b[31m",
    "a\nb",
    "\u202egnp",
    "\r",
    "山田太郎",
    "e\u0301",
    "x" * 300,
]
KINDS = ["", "note", "branch", "new", "update", "old", "failed", "stat", "whatever"]
texts = st.sampled_from(NASTY) | st.text(max_size=8)
values = texts | st.none() | st.integers() | st.floats() | st.sets(texts, max_size=2) | st.booleans()


def grown(words, kind, note, children, grid):
    children = list(children)
    return Outline(words, kind, note, lambda: children, len(children), grid)


def grid_of(columns, rows):
    return Grid(columns, lambda: rows, len(rows))


grids = st.none() | st.builds(grid_of, st.lists(texts, max_size=6), st.lists(st.lists(values, max_size=7), max_size=5))
outlines = st.recursive(
    st.builds(grown, texts, st.sampled_from(KINDS), texts, st.just(()), grids),
    lambda inner: st.builds(grown, texts, st.sampled_from(KINDS), texts, st.lists(inner, max_size=6), grids),
    max_leaves=12,
)
limits = st.none() | st.integers(0, 60)


def numbered():
    """Outlines whose every line bears a name of its own."""
    shapes = st.recursive(
        st.tuples(st.just([]), st.integers(0, 4)),
        lambda inner: st.tuples(st.lists(inner, max_size=6), st.integers(0, 4)),
    )

    def build(shape, names):
        children = [build(child, names) for child in shape[0]]
        rows = [(f"r{next(names)}",) for _ in range(shape[1])]
        return grown(f"n{next(names)}", "branch", "", children, grid_of(("h",), rows) if rows else None)

    return shapes.map(lambda shape: build(shape, count()))


def flattened(outline):
    every = [outline]
    for one in every:
        every.extend(one.children())
    return every


@settings(deadline=None, max_examples=examples(200))
@given(outlines, limits, st.none() | st.integers(-1, 120))
def test_no_line_is_too_many_or_too_long_or_holds_what_is_hidden(outline, lines, columns):
    shown = text(outline, lines=lines, columns=columns).split("\n")
    if lines is not None:
        assert len(shown) <= max(lines, 1)
    for line in shown:
        assert visible(line) == line
        if columns is not None:
            assert width(line) <= max(columns, 0)


@settings(deadline=None)
@given(outlines, limits, st.none() | st.integers(0, 120))
def test_colours_change_nothing_else(outline, lines, columns):
    coloured = text(outline, lines=lines, columns=columns, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == text(outline, lines=lines, columns=columns)


@settings(deadline=None)
@given(numbered(), st.none() | st.integers(1, 30))
def test_shown_and_more_are_all_there_is(outline, lines):
    shown = text(outline, lines=lines, columns=None)
    names = set(re.findall(r"n\d+", shown))
    rows = re.findall(r"r\d+", shown)
    left_out = sum(int(number.replace(",", "")) for number in re.findall(r"… and ([\d,]+) more", shown))
    below = sum(one.total + (one.grid.total if one.grid else 0) for one in flattened(outline) if one.text in names)
    assert len(names) - 1 + len(rows) + left_out == below


@settings(deadline=None)
@given(numbered())
def test_without_limits_all_is_shown_in_order(outline):
    def expected(one):
        yield one.text
        if one.grid:
            yield "h"
            yield from (name for (name,) in one.grid.rows())
        for child in one.children():
            yield from expected(child)

    assert text(outline, lines=None, columns=None).split() == list(expected(outline))


def test_a_tree_reads_like_this():
    users = Outline(
        "users",
        "branch",
        "3 objects",
        grid=grid_of(
            ("idnumber", "name", "grade"), [("11111", "Ann", 7), ("22222", "山田", 12), ("3", None, Decimal("1.5"))]
        ),
    )
    groups = Outline("groups", "branch", children=lambda: [Outline("g1"), Outline("g2")], total=2)
    tree = Outline("source", "tree", "5 objects", lambda: [users, groups], 2)
    assert text(tree) == (
        "source  5 objects\n"
        "  users  3 objects\n"
        "    idnumber  name  grade\n"
        "    11111     Ann       7\n"
        "    22222     山田     12\n"
        "    3         None    1.5\n"
        "  groups\n"
        "    g1\n"
        "    g2"
    )


def test_a_budget_is_shared_by_branches_and_what_is_left_out_is_counted():
    def many():
        return (Outline(f"new_users(idnumber={index})", "new") for index in range(1_000_000))

    branches = [Outline(name, "branch", children=many, total=1_000_000) for name in ("users", "groups")]
    diff = Outline("source - dest", "diff", children=lambda: branches, total=2)
    assert text(diff, lines=8) == (
        "source - dest\n"
        "  users\n"
        "    new_users(idnumber=0)\n"
        "    new_users(idnumber=1)\n"
        "    … and 999,998 more\n"
        "  groups\n"
        "    new_users(idnumber=0)\n"
        "    … and 999,999 more"
    )
    assert text(diff, lines=3) == "source - dest\n  users  … and 1,000,000 more\n  groups  … and 1,000,000 more"
    assert text(diff, lines=1) == "source - dest  … and 2 more"
    assert text(diff, lines=0) == ""


def test_what_is_left_out_is_still_said_on_a_line_that_is_cut():
    assert text(Outline("x" * 50, note="note", total=7), lines=1, columns=30) == f"{'x' * 15}…  … and 7 more"


def test_a_text_that_ends_with_an_ellipsis_keeps_its_note():
    assert text(Outline("wait…", note="please")) == "wait…  please"


def test_a_line_is_cut_only_once():
    assert text(Outline("山" * 10, note="note"), columns=6) == "山山…"


def test_a_grid_with_room_for_one_line_shows_its_columns():
    assert text(Outline("users", grid=grid_of(("id", "name"), [(1, 2), (3, 4)])), lines=2) == (
        "users  … and 2 more\n  id  name"
    )


def test_a_status_that_the_text_does_not_say_stands_before_it():
    assert (
        text(Outline("update_name(idnumber='1')", "failed", "no right"))
        == "failed  update_name(idnumber='1')  no right"
    )


def test_the_parts_of_a_line_have_colours():
    assert text(Outline("new_users()", "new", "why"), colour=True) == "\x1b[32mnew_users()\x1b[0m\x1b[2m  why\x1b[0m"


def test_a_grid_too_wide_leaves_columns_out_and_counts_them():
    grid = grid_of([f"column{index}" for index in range(10_000)], [range(10_000)])
    lines = text(Outline("wide", grid=grid), columns=60).split("\n")
    assert lines == [
        "wide",
        "  column0  column1  column2  … and 9,997 more columns",
        "        0        1        2",
    ]


def test_a_grid_with_one_long_column_cuts_only_that():
    grid = grid_of(("a", "b", "c"), [("short", "y" * 100, 1)])
    assert text(Outline("x", grid=grid), columns=24) == f"x\n  a      b             c\n  short  {'y' * 11}…  1"


def test_rows_that_are_short_are_filled_up():
    assert text(Outline("x", grid=grid_of(("a", "b"), [(1,), (1, 2, 3)]))) == "x\n  a  b\n  1\n  1  2"


def test_deep_outlines_leave_room_for_words_and_need_no_stack():
    deep = Outline("word")
    for _ in range(5_000):
        deep = Outline("word", children=lambda below=deep: [below], total=1)
    lines = text(deep, lines=None, columns=20).split("\n")
    assert len(lines) == 5_001
    assert {line.strip() for line in lines} == {"word"}


@pytest.mark.parametrize(
    ("numbers", "are"),
    [([1, 2.5, Decimal(3)], True), ([], False), ([1, "2"], False), ([True], False), ([None], False)],
)
def test_numbers_are_told_from_others(numbers, are):
    assert numeric(numbers) is are


def test_writing_ends_with_a_newline_and_asks_the_stream_for_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    write(Outline("new", "new"), file)
    write(Outline("new", "new"), file, colour=False)
    assert file.getvalue() == "\x1b[32mnew\x1b[0m\nnew\n"


def test_writing_escapes_what_the_encoding_does_not_have():
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")
    write(Outline("Zoë 山", total=3), file, lines=1, columns=30, colour=False)
    file.flush()
    assert raw.getvalue() == b"Zo\xeb \\u5c71  ... and 3 more\n"


def test_writing_shows_all_unless_told_otherwise():
    file = io.StringIO()
    write(Outline("x", children=lambda: [Outline("y")] * 100, total=100), file, colour=False)
    assert file.getvalue().count("\n") == 101
