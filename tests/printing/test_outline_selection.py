from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync.printing.outline import Grid, Outline, marked, more, select, share


def grown(children, rows):
    children = list(children)
    grid = None if rows is None else Grid(("a", "b"), lambda: [(1, 2)] * rows, rows)
    return Outline("x", children=lambda: children, total=len(children), grid=grid)


outlines = st.recursive(
    st.builds(grown, st.just(()), st.none() | st.integers(0, 5)),
    lambda inner: st.builds(grown, st.lists(inner, max_size=8), st.none() | st.integers(0, 5)),
    max_leaves=25,
)
limits = st.none() | st.integers(1, 40)


def everything(selected):
    every = [selected]
    for one in every:
        every.extend(one.children)
    return every


def lines_of(one):
    return 1 + one.heading + len(one.rows) + bool(one.more_rows) + bool(one.more_children)


@settings(deadline=None)
@given(st.integers(-3, 60), st.lists(st.integers(0, 20), max_size=8))
def test_shares_are_fair_and_spend_all_that_is_wished(amount, wishes):
    shares = share(amount, wishes)
    assert sum(shares) == min(max(amount, 0), sum(wishes))
    for got, wish in zip(shares, wishes, strict=True):
        assert 0 <= got <= wish
        assert got == wish or got >= max(shares) - 1


def test_what_is_left_of_equal_wishes_goes_to_the_first():
    assert share(8, [9, 9, 9]) == [3, 3, 2]


@settings(deadline=None)
@given(outlines, limits, st.none() | st.integers(-1, 4), st.none() | st.integers(0, 3))
def test_shown_and_more_are_all_there_is(outline, lines, rows, depth):
    every = everything(select(outline, lines=lines, rows=rows, depth=depth))
    for one in every:
        total = one.outline.total + (one.outline.grid.total if one.outline.grid else 0)
        shown = len(one.children) + len(one.rows)
        assert shown + one.more_children + one.more_rows + one.more_below == total
        if rows is not None:
            assert max(len(one.children), len(one.rows)) <= max(rows, 0)
        if depth is not None:
            assert one.level <= depth
        assert all(child.level == one.level + 1 for child in one.children)
    if lines is not None:
        assert sum(map(lines_of, every)) <= lines


@settings(deadline=None)
@given(outlines, limits)
def test_no_line_is_wasted(outline, lines):
    every = everything(select(outline, lines=lines))
    if any(one.more_below or one.more_children or one.more_rows for one in every):
        assert sum(map(lines_of, every)) == lines


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(10, 60))
def test_each_of_many_siblings_shows_something(siblings, lines):
    branches = [grown([grown([], None)] * 1000, None) for _ in range(siblings)]
    selected = select(grown(branches, None), lines=lines)
    shown = [len(one.children) for one in selected.children]
    if lines >= 1 + 3 * siblings:
        assert len(shown) == siblings
        assert min(shown) >= 1
        assert max(shown) - min(shown) <= 1


def test_a_million_cost_no_more_than_a_few():
    taken = count()

    def many():
        for _ in range(1_000_000):
            next(taken)
            yield Outline("x")

    def rows():
        for _ in range(1_000_000):
            next(taken)
            yield (1,)

    select(Outline("x", children=many, total=1_000_000, grid=Grid("a", rows, 1_000_000)), lines=25)
    assert next(taken) <= 25


def test_nothing_is_asked_for_when_nothing_is_shown():
    def never():
        raise AssertionError("asked for")

    selected = select(Outline("x", children=never, total=3, grid=Grid("a", never, 2)), lines=1)
    assert selected.more_below == 5
    assert select(Outline("x", children=never), lines=None).more_below == 0


def test_children_that_do_not_come_are_said_to_be_more():
    selected = select(Outline("x", children=lambda: [Outline("a")], total=3), lines=10)
    assert (len(selected.children), selected.more_children) == (1, 2)


def test_the_words_for_more():
    assert more(999_977) == "… and 999,977 more"
    assert more(2, "column") == "… and 2 more columns"


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("new_users(idnumber='1')", "new", ("", "new", "_users(idnumber='1')")),
        ("newcomers", "new", ("", "new", "  newcomers")),
        ("2 failed", "failed", ("2 ", "failed", "")),
        ("would be refused: too many", "refused", ("would be ", "refused", ": too many")),
        ("update_name(value='failed')", "failed", ("", "failed", "  update_name(value='failed')")),
        ("note: it failed", "failed", ("", "failed", "  note: it failed")),
        ("update_failed(idnumber='1')", "failed", ("", "failed", "  update_failed(idnumber='1')")),
        ("", "pending", ("", "pending", "")),
        ("new", "branch", ("new", "", "")),
    ],
)
def test_a_verb_or_status_is_always_said_in_words(text, kind, parts):
    assert marked(Outline(text, kind)) == parts
