"""Texts in SQL: valid texts are taken, equal values have one canonical form, and lengths stop where SQL's types do."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import Branch, CSVImporter, DuckDB, Object
from datastoresync.engines.duckdb.types import canonical_sql, valid_sql
from datastoresync.object import schema_of

DUCKDB = DuckDB(threads=1)


class Typed(Object):
    int: int
    float: float
    decimal: Decimal
    truth: bool
    day: date
    moment: datetime
    uuid: UUID


CONVERTERS = {name: schema_of(Typed).fields[name].converter for name in Typed.__annotations__}


@pytest.fixture(autouse=True, scope="module")
def running():
    held = DUCKDB.opened()
    yield held
    del held


def asked(instance, name, *texts):
    """Return whether each text is surely taken, and its forms by family."""
    found = canonical_sql("text", CONVERTERS[name], "v")
    query = (
        f"SELECT {valid_sql('text', CONVERTERS[name], 'v')} IS TRUE, {', '.join(found.values())} FROM (SELECT ? AS v)"
    )
    rows = [instance.database.execute(query, [text]).fetchone() for text in texts]
    return [row[0] for row in rows], [dict(zip(found, row[1:], strict=True)) for row in rows]


NINES = "9" * 40
HEX = "0123456789abcdefABCDEF0123456789"
SURE = {
    "int": ["7", "-7", "+7", "007", NINES[:18], f"+{NINES[:18]}", f"-0{NINES[:17]}", str(2**63 - 1), str(-(2**63))],
    "float": [
        *("7", "-7", "+7.5", ".5", "-5.", "1e5", "1E+5", "1e-05", "1e99", NINES[:15], f"0.{NINES[:15]}"),
        f"-{NINES[:15]}.{NINES[:15]}e+{NINES[:2]}",
    ],
    "decimal": ["7", "-7", "7.5", ".5", "-5.", "+7.50", NINES[:18], f"-{NINES[:18]}.{NINES[:18]}"],
    "truth": ["true", "T", "yes", "Y", "on", "1", "FALSE", "f", "No", "n", "off", "0"],
    "day": ["0001-01-01", "2024-02-29", "9999-12-31"],
    "moment": [
        *("2024-02-29T23:59", "2024-02-29 00:00:59", "0001-01-01T00:00:00", "9999-12-31 19:00:00"),
        *("2024-02-29T23:59:59.1", "2024-02-29T23:59:59.123456"),
    ],
    "uuid": [HEX, f"{HEX[:8]}-{HEX[8:12]}-{HEX[12:16]}-{HEX[16:20]}-{HEX[20:]}"],
}
"""The longest that SQL is sure of, and what is written in its own way."""
UNSURE = {
    "int": ["", "+", "7.0", " 7", "7\n", "1_0", "٣", f"+{NINES[:19]}", f"-0{NINES[:18]}", str(2**63), NINES[:23]],
    "float": [
        *("", ".", "1e", "e5", "nan", "1_0", "1e100", "1e400", "1e-100", NINES[:16], f"0.{NINES[:16]}"),
        f"{NINES[:16]}e5",
    ],
    "decimal": ["", ".", "1e5", "NaN", "1_0", NINES[:19], f"0.{NINES[:19]}", f"{NINES[:19]}.5", NINES[:23]],
    "truth": ["", "2", "01", "tru", "yes "],
    "day": ["", "2024-02-30", "2024-2-29", "24-02-29", "12024-02-29", "0000-01-01", "2024-02-29 "],
    "moment": [
        *("", "2024-02-30T00:00", "0000-01-01T00:00", "2024-02-29", "2024-02-29T24:00", "2024-02-29T7:00"),
        *("2024-02-29T07:0", "2024-02-29T07:60", "2024-02-29T07:00:60", "2024-02-29T07:00:0", "2024-02-29T07:000"),
        *("024-02-29T07:00", "12024-02-29T07:00", "2024-2-29T07:00", "2024-02-9T07:00", "2024-002-29T07:00"),
        *("2024-02-029T07:00", "2024-02-29T07:00:00.", "2024-02-29T07:00:00.1234567", "2024-02-29T07:00:00Z"),
    ],
    "uuid": [
        *("", HEX[:31], f"{HEX}0", f"{HEX[:31]}g", f"{{{HEX}}}", f"{HEX[:8]}-{HEX[8:]}"),
        *(
            "-".join(HEX[:width] for width in widths)
            for place in range(5)
            for more in (-1, 1)
            for widths in [[width + more * (place == one) for one, width in enumerate((8, 4, 4, 4, 12))]]
        ),
    ],
}


@pytest.mark.parametrize("name", CONVERTERS)
def test_sql_is_sure_up_to_a_length_and_asks_the_converter_beyond(running, name):
    assert dict(zip(SURE[name], asked(running, name, *SURE[name])[0], strict=True)) == dict.fromkeys(SURE[name], True)
    unsure = asked(running, name, *UNSURE[name])[0]
    assert dict(zip(UNSURE[name], unsure, strict=True)) == dict.fromkeys(UNSURE[name], False)


@st.composite
def written(draw, name):
    """A text that was written in the way of some value, mostly, and of any length; and one that is much like it."""
    digits = st.integers(1, 25).flatmap(lambda length: st.text("0019", min_size=length, max_size=length))
    sign = st.sampled_from(["", "", "-", "+"])
    texts = st.one_of(
        st.tuples(sign, digits),
        st.tuples(sign, digits, st.just("."), digits),
        st.tuples(sign, digits, st.sampled_from(["e", "E+", "e-"]), st.text("0123", max_size=3)),
        st.tuples(sign, digits, st.just("."), digits, st.just("e"), st.text("0123", max_size=2)),
    ).map("".join)
    texts = {"int": texts, "float": texts, "decimal": texts}.get(name, st.sampled_from(SURE[name] + UNSURE[name]))
    one = draw(texts)
    place = draw(st.integers(0, len(one)))
    other = one[:place] + draw(st.sampled_from("0019.ABab")) + one[place + draw(st.integers(0, 1)) :]
    return one, draw(st.sampled_from([other, f"0{one}", one.swapcase(), one.replace("-", ""), one]))


@pytest.mark.parametrize("name", CONVERTERS)
@given(data=st.data())
@settings(deadline=None)
def test_what_sql_is_sure_of_is_taken_and_equal_where_its_forms_are(running, name, data):
    texts = data.draw(written(name))
    sure, found = asked(running, name, *texts)
    values = [CONVERTERS[name].one(text) for text, taken in zip(texts, sure, strict=True) if taken]
    if all(sure):
        for family in found[0]:
            assert (found[0][family] == found[1][family]) == (values[0] == values[1])


DIGITS = "1" * 22
TWINS = [
    ("int", f"{DIGITS}@"),
    ("decimal", f"{DIGITS}@"),
    ("decimal", f"0.{DIGITS}@"),
    ("float", "1e2@0"),
    ("uuid", f"{HEX[:30]}@@"),
]
"""Different values by digit, which stands for `@`, and beyond what SQL compares as numbers."""


@pytest.mark.parametrize(("name", "text"), TWINS)
def test_values_longer_than_sql_has_numbers_for_differ_as_in_memory(tmp_path, name, text):
    cls = type("Long", (Object,), {"__annotations__": {"value": Typed.__annotations__[name]}})
    for place, side in enumerate(("source", "dest")):
        values = [text.replace("@", str((number + place) % 10)) for number in range(100)]
        same = text.replace("@", "5")  # and written in two ways
        values.append(f"+{same}" if place and name != "uuid" else same)
        # In another order of the columns, so that columns are compared and not lines.
        rows = [("idnumber", "value"), *enumerate(values)]
        lines = [f"{row[place]},{row[1 - place]}\n" for row in rows]
        (tmp_path / f"{side}.csv").write_text("".join(lines), encoding="utf-8")

    def compared(engine):
        sides = [
            +Branch(cls, importer=CSVImporter(tmp_path / f"{one}.csv"), engine=engine) for one in ("source", "dest")
        ]
        return sides[0] - sides[1]

    held, found = compared("memory"), compared(DUCKDB)
    assert len(held) == 100
    assert list(found) == list(held)
    assert "keys and columns were compared" in found.explain()
