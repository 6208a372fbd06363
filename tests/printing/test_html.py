import re
from html.parser import HTMLParser
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync.printing.html import html, page
from datastoresync.printing.outline import Grid, Outline
from datastoresync.printing.text import visible

NASTY = [
    "[red]",
    "</details>",
    "<script>alert(1)</script>",
    "\x1b[31m",
    "a\nb",
    "\u202egnp",
    "&lt;",
    "\"'>",
    "</style>",
    "x" * 999,
]
KINDS = ["", "note", "branch", "new", "update", "old", "failed", "skipped", "conflict", '"><b>', "stat"]
texts = st.sampled_from(NASTY) | st.text(max_size=8)
values = texts | st.none() | st.integers() | st.sets(texts, max_size=2)

TAGS = {
    "div",
    "del",
    "ins",
    "style",
    "details",
    "summary",
    "span",
    "code",
    "ul",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "b",
    "small",
}
ATTRIBUTES = {"class", "open", "role", "scope"}


class Page(HTMLParser):
    """Reads a fragment strictly: every tag is known, closed, and in its place."""

    def __init__(self, fragment):
        super().__init__(convert_charrefs=True)
        self.fragment = fragment
        self.open, self.tags, self.texts, self.style = [], [], [], ""
        self.feed(fragment)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS
        for name, value in attributes:
            assert name in ATTRIBUTES
            assert value is None or re.fullmatch(r"[a-z -]+", value)
            if name == "class":
                assert all(one.startswith("dss-") for one in value.split())
        parent = self.open[-1] if self.open else None
        assert {"summary": "details", "li": "ul", "tr": parent, "thead": "table", "tbody": "table"}.get(
            tag, parent
        ) == parent
        assert tag not in {"th", "td"} or parent == "tr"
        self.open.append(tag)
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    def unexpected(self, data):
        raise AssertionError(data)

    handle_comment = handle_decl = handle_pi = unknown_decl = unexpected

    @property
    def words(self):
        return "".join(self.texts)


def grown(words, kind, note, children, grid, expanded):
    children = list(children)
    return Outline(words, kind, note, lambda: children, len(children), grid, expanded)


def grid_of(columns, rows):
    return Grid(columns, lambda: rows, len(rows))


grids = st.none() | st.builds(grid_of, st.lists(texts, max_size=5), st.lists(st.lists(values, max_size=6), max_size=5))
outlines = st.recursive(
    st.builds(grown, texts, st.sampled_from(KINDS), texts, st.just(()), grids, st.booleans()),
    lambda inner: st.builds(
        grown, texts, st.sampled_from(KINDS), texts, st.lists(inner, max_size=6), grids, st.booleans()
    ),
    max_leaves=12,
)


def numbered():
    """Outlines whose every line bears a name of its own."""
    shapes = st.recursive(
        st.tuples(st.just([]), st.integers(0, 4)),
        lambda inner: st.tuples(st.lists(inner, max_size=6), st.integers(0, 4)),
    )

    def build(shape, names):
        children = [build(child, names) for child in shape[0]]
        rows = [(f"r{next(names)}.",) for _ in range(shape[1])]
        return grown(f"n{next(names)}.", "branch", "", children, grid_of(("h",), rows) if rows else None, True)

    return shapes.map(lambda shape: build(shape, count()))


def flattened(outline):
    every = [outline]
    for one in every:
        every.extend(one.children())
    return every


@settings(deadline=None)
@given(outlines, st.integers(0, 8), st.integers(0, 4))
def test_it_is_balanced_and_nothing_of_the_input_is_markup(outline, rows, depth):
    page = Page(html(outline, rows=rows, depth=depth))
    for words in page.texts:
        assert visible(words) == words
    assert len(page.fragment.encode()) <= 200_000


@settings(deadline=None)
@given(texts, st.sampled_from(KINDS), texts)
def test_the_words_are_all_there(words, kind, note):
    page = Page(html(Outline(words, kind, note)))
    for one in (words, note):
        assert visible(one)[:290] in page.words


@settings(deadline=None)
@given(numbered(), st.integers(0, 5), st.integers(0, 4))
def test_shown_and_more_are_all_there_is(outline, rows, depth):
    words = Page(html(outline, rows=rows, depth=depth)).words
    names = set(re.findall(r"n\d+\.", words))
    shown = re.findall(r"r\d+\.", words)
    left_out = sum(int(number.replace(",", "")) for number in re.findall(r"… and ([\d,]+) more", words))
    below = sum(one.total + (one.grid.total if one.grid else 0) for one in flattened(outline) if one.text in names)
    assert len(names) - 1 + len(shown) + left_out == below


@settings(deadline=None)
@given(numbered(), st.integers(0, 5))
def test_no_list_or_table_is_longer_than_its_limit(outline, rows):
    fragment = Page(html(outline, rows=rows)).fragment
    for body in re.findall(r"<tbody>(.*?)</tbody>", fragment):
        assert body.count("<tr>") <= rows
    opened = []
    for tag in re.findall(r"<(/?ul|li(?= |>))", fragment):
        if tag == "ul":
            opened.append(0)
        elif tag == "/ul":
            # One more item says how many are left out.
            assert opened.pop() <= rows + 1
        else:
            opened[-1] += 1


@pytest.mark.parametrize(
    "words",
    ["&" * 400, "\u202e" * 400]
    + [pytest.param(one, marks=pytest.mark.slow) for one in ("e\u0301" * 400, "\U000e0041\U000e0042" * 200)],
)
def test_the_size_is_bounded_whatever_it_is_made_of(words):
    row = [words] * 40
    grid = Grid(row, lambda: (row for _ in range(1_000_000)), 1_000_000)
    tree = Outline(words, "branch", words, grid=grid)
    for _ in range(3):
        tree = Outline(words, "failed", words, lambda below=tree: (below for _ in range(1_000_000)), 1_000_000, grid)
    page = Page(html(tree, rows=1_000, depth=20))
    assert len(page.fragment.encode()) <= 200_000
    assert "… and 9" in page.words or "… and 1,000,000 more" in page.words or "… and 2,000,000 more" in page.words


def test_an_outline_of_a_million_takes_only_what_is_shown():
    taken = count()

    def many():
        for index in range(1_000_000):
            next(taken)
            yield Outline(f"new_users(idnumber={index})", "new")

    page = Page(html(Outline("diff", "diff", children=many, total=1_000_000)))
    assert next(taken) == 50
    assert "… and 999,950 more" in page.words


def test_what_has_something_below_folds_and_the_rest_does_not():
    leaf = Outline("leaf")
    closed = Outline("closed", children=lambda: [leaf], total=1)
    fragment = html(Outline("top", children=lambda: [closed, leaf], total=2, expanded=True))
    tags = [attributes for tag, attributes in Page(fragment).tags if tag == "details"]
    assert tags == [{"open": None}, {}]
    assert fragment.count("<summary") == 2
    assert '<li><div class="dss-line"><span class="dss-text">leaf</span></div></li>' in fragment


def test_levels_too_deep_are_counted_on_their_line():
    leaf = Outline("leaf")
    inner = Outline("inner", children=lambda: [leaf], total=1)
    page = Page(html(Outline("top", children=lambda: [inner], total=1), depth=1))
    assert page.words == "topinner … and 1 more"


def test_a_table_tells_its_headers_and_its_numbers():
    grid = grid_of(("idnumber", "grade"), [("1", 7), (None, 12)])
    fragment = html(Outline("users", "branch", "2 objects", grid=grid))
    assert '<b class="dss-text dss-heading">users</b> <small class="dss-text dss-note">2 objects</small>' in fragment
    assert '<tr><th scope="col">idnumber</th><th scope="col" class="dss-number">grade</th></tr>' in fragment
    assert '<tr><th scope="row">1</th><td class="dss-number">7</td></tr>' in fragment
    assert '<th scope="row"><span class="dss-muted">None</span></th>' in fragment


def test_a_grid_that_nothing_fits_of_is_counted():
    page = Page(html(Outline("users", grid=grid_of(("a",), [(1,), (2,)])), rows=0))
    assert page.words.endswith("… and 2 more")
    page = Page(html(Outline("users", grid=grid_of(("a",), [(1,), (2,)])), depth=0))
    assert page.words == "users … and 2 more"


def test_a_grid_too_wide_counts_its_columns():
    fragment = html(Outline("wide", grid=grid_of([f"c{index}" for index in range(1_000)], [range(1_000), (1,)])))
    assert '<th scope="col" class="dss-more">… and 970 more columns</th>' in fragment
    assert fragment.count('<td class="dss-more">…</td>') == 2
    assert Page(fragment).tags.count(("td", {})) == fragment.count("<td>") > 0


@pytest.mark.parametrize(
    ("kind", "colour"),
    [
        ("new", "green"),
        ("update", "yellow"),
        ("old", "red"),
        ("failed", "red"),
        ("conflict", "purple"),
        ("pending", "muted"),
        ("planned", "muted"),
    ],
)
def test_verbs_and_statuses_are_coloured_words(kind, colour):
    assert f'<span class="dss-mark dss-{colour}">{kind}</span>' in html(Outline("x", kind))


def test_a_note_is_muted():
    assert '<span class="dss-text dss-muted">x</span>' in html(Outline("x", "note"))


def style():
    return Page(html(Outline("x"))).style


def test_every_rule_is_scoped_and_loads_nothing():
    assert not re.search(r"url\(|@import|expression|javascript", style())
    plain = re.sub(r"@media[^{]*\{(.*?\})\}", r"\1", style(), flags=re.DOTALL)
    for selectors in re.findall(r"([^{}]+)\{", plain):
        for selector in re.split(r",(?![^(]*\))", selectors):
            assert ".dss-outline" in selector


def colours():
    """The light and the dark colour of each name; that of VS Code's theme may stand before it."""
    found = re.findall(r"(--dss-[a-z]+):(?:var\(--vscode-[\w-]+,)?light-dark\((#[0-9a-f]{6}),(#[0-9a-f]{6})\)", style())
    return {name: pair for name, *pair in found}


def test_every_colour_that_is_used_is_declared():
    assert set(re.findall(r"var\((--dss-[a-z]+)", style())) == set(colours())


def luminance(colour):
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_is_reckoned_as_in_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_colours_have_contrast_in_light_and_dark():
    # Pages: browsers, JupyterLab and VS Code in light and dark, and what the pointer is on.
    pages = (["#ffffff", "#f7f7f7", "#f3f3f3"], ["#111111", "#121212", "#181818", "#1e1e1e", "#212121"])
    found = colours()
    for scheme, backgrounds in enumerate(pages):
        for name in ("muted", "green", "yellow", "red", "purple"):
            for behind in (*backgrounds, found["--dss-hover"][scheme]):
                assert contrast(found[f"--dss-{name}"][scheme], behind) >= 4.5, (name, behind)


def test_text_and_background_are_those_of_the_page_and_no_element_brings_others():
    assert not re.search(r"[{;]background:(?!none|var\(--dss-hover\))|--jp-layout|--jp-content", style())
    assert not {"code", "pre"} & {tag for tag, _ in Page(html(Outline("x", "failed", spans=[("a", "")]))).tags}


def test_old_and_new_words_are_told_apart_without_a_style():
    spans = [
        ("grade: ", ""),
        ("7", "removed"),
        (" → ", "note"),
        ("<8>", "added"),
        (" a ", ""),
        ("b", "cut"),
        ("c", "put"),
    ]
    fragment = html(Outline("~ users 1", "update", spans=spans))
    Page(fragment)
    bare = re.sub(
        r" class=\"[^\"]*\"",
        "",
        re.sub(r"<style>.*?</style>|</?(?:span|div)(?: class=\"[^\"]*\")?>", "", fragment, flags=re.DOTALL),
    )
    assert bare == ("~<b> users 1</b> grade: <del>7</del> → <ins>&lt;8&gt;</ins> a <del>b</del><ins>c</ins>")


def test_a_page_stands_alone():
    shown = page(Outline("users", children=lambda: [Outline("<b>")] * 200, total=200), title="A & <B>")
    assert shown.startswith("<!doctype html>")
    assert shown.count("&lt;b&gt;") == 200
    assert "<h1>A &amp; &lt;B&gt;</h1>" in shown
    assert not re.search(r"src=|href=|url\(|<script", shown)
