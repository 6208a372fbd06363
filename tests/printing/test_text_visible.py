import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync.printing.text import cell, clipped, visible, width

HIDDEN = "\x00\x07\x1b\x7f\x85\x9b\n\r\t\v\xa0\xad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u2028\u2029\u202e"
HIDDEN += "\u2060\u2066\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\ue000\ud800\udfff\U000e0041\U000e0100\U0010ffff"
ORDINARY = "aZ09 \\[]<>&'\"é山田\u3000\u05e9\u05dc🙂👩🚀❤\u0301\u20e3#️\u093f\u0941"
texts = st.text(st.sampled_from(HIDDEN + ORDINARY) | st.characters(exclude_categories=()), max_size=30)
joined = st.lists(st.sampled_from([*"a1#🙂👩🚀❤\u0301\ufe0f\u200d\u20e3", "\u0301" * 20]), max_size=60).map("".join)


@settings(deadline=None)
@given(texts)
def test_nothing_hidden_comes_out(text):
    shown = visible(text)
    shown.encode()
    for index, character in enumerate(shown):
        if character in "\u200d\ufe0e\ufe0f":
            assert index
            assert unicodedata.category(shown[index - 1]) in {"So", "Sm", "Sk", "Po", "Nd", "Mn", "Ll", "Pd"}
        else:
            assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
            assert character not in HIDDEN


@settings(deadline=None)
@given(texts | joined)
def test_what_is_visible_stays_as_it_is(text):
    assert visible(visible(text)) == visible(text)


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Mc"], exclude_characters=HIDDEN), max_size=30))
def test_ordinary_text_is_left_alone(text):
    assert visible(text) == text


@settings(deadline=None)
@given((texts | joined).map(visible), st.integers(-1, 40))
def test_a_clipped_text_fits_and_says_that_it_was_cut(text, columns):
    shown = clipped(text, columns)
    assert width(shown) <= max(columns, 0)
    if columns > 0 and width(text) <= columns:
        assert shown == text
    elif columns > 0:
        assert shown.endswith("…")
        assert text.startswith(shown[:-1])
        # No room is wasted: only a wide character can leave a column over.
        assert width(shown) >= columns - 1
    assert visible(shown) == shown


@settings(deadline=None)
@given(texts | joined, st.integers(-1, 40))
def test_a_cell_is_the_clipped_text(text, columns):
    assert cell(text, columns) == clipped(visible(text), columns)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u200bb\u00a0c", r"a\u200bb\xa0c"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("1\ufe0f", r"1\ufe0f"),
        ("a\ufe0f\u200d🙂", r"a\ufe0f\u200d🙂"),
        ("\u3164", r"\u3164"),
        ("a\ufe0f\u20e3", "a\\ufe0f\u20e3"),
    ],
)
def test_what_is_hidden_is_escaped(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text", ["", "plain", "Zoë", "e\u0301", "山田\u3000太郎", "👩\u200d🚀", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3", "C:\\x"]
)
def test_these_are_ordinary(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("山田", 4), ("e\u0301", 1), ("🙂", 2), ("नि", 2), ("❤\ufe0f", 2), ("a\u0301\u0302", 1)],
)
def test_widths(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("山田太郎", 7, "山田太…"),
        ("山田太郎", 6, "山田…"),
        ("e\u0301tat", 3, "e\u0301t…"),
        ("👩\u200d🚀x", 3, "👩…"),
    ],
)
def test_clipped_examples(text, columns, shown):
    assert clipped(text, columns) == shown


def test_an_emoji_is_not_taken_apart_where_the_first_look_at_a_text_ends():
    text = "e" + "\u0301" * 4 + "👩\u200d🚀"
    assert cell(text, 5) == text


def test_marks_without_end_are_cut_too():
    text = "a" + "\u0301" * 100_000
    assert width(text) > 90_000
    assert len(clipped(text, 10)) <= 10 * 31


def test_no_more_of_a_huge_text_is_looked_at_than_can_be_shown():
    class Huge(str):
        __slots__ = ()

        def __getitem__(self, key):
            assert isinstance(key, slice)
            assert key.stop < 10_000
            return str.__getitem__(self, key)

        def __iter__(self):
            raise AssertionError("all of it was read")

        isascii = isprintable = __iter__

    assert cell(Huge("x\n" * 1_000_000), 4) == "x\\n…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        (7, "7"),
        (True, "True"),
        (frozenset("hgfedcba"), "{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}"),
        (set(), "{}"),
        (["b", "a"], "['b', 'a']"),
    ],
)
def test_a_cell_shows_any_value(value, shown):
    assert cell(value) == shown
