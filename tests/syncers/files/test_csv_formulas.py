"""Text that a spreadsheet would compute: made harmless, and given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.conversion.formulas import escape_formula, unescape_formula

texts = st.text() | st.text(alphabet="'=+-@\t\r\n1.e ＝＋－＠x", max_size=6)  # noqa: RUF001 - the wide signs are meant


@given(texts)
def test_every_text_comes_back(text):
    assert unescape_formula(escape_formula(text)) == text


@given(texts, texts)
def test_no_two_texts_are_written_alike(one, other):
    assert (escape_formula(one) == escape_formula(other)) == (one == other)


@given(texts)
def test_nothing_that_is_written_is_computed_but_plain_numbers(text):
    written = escape_formula(text)
    if written[:1] in {"=", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}:  # noqa: RUF001 - as above
        pytest.fail(f"{written!r} begins like a formula")
    if written[:1] in {"+", "-"}:
        float(written)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("-5", "-5"),
        ("+1.5e-3", "+1.5e-3"),
        ("-", "'-"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ("", ""),
        ("-\u0661", "'-\u0661"),
    ],
)
def test_what_is_written(text, written):
    assert escape_formula(text) == written
