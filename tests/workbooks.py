"""Workbooks for tests: sheets of rows, of merged cells and of any XML, and the values that cells hold."""

from __future__ import annotations

import zipfile
from datetime import UTC

import openpyxl
from hypothesis import strategies as st

SHEET = "xl/worksheets/sheet1.xml"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
texts |= st.sampled_from(
    ["=1+1", "#N/A", "007", "1e5", "_x000D_", "__x0041_", "\r\n", "TRUE", "2024-01-02", "'x", "", " "]
)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.times()
    | st.decimals()
    | st.uuids()
)
tables = st.lists(texts.filter(str.strip), min_size=1, max_size=3, unique=True).flatmap(
    lambda columns: st.lists(st.fixed_dictionaries(dict.fromkeys(columns, values)), min_size=1, max_size=5)
)


def book(path, **sheets):
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(path)


def merge(path, rows, *areas):
    made = openpyxl.Workbook()
    made.active.title = "one"
    for row in rows:
        made.active.append(row)
    for area in areas:
        made.active.merge_cells(area)
    made.save(path)


def rewrite(path, name, old, new, compression=zipfile.ZIP_STORED):
    """Replace something in a part of a workbook."""
    with zipfile.ZipFile(path) as parts:
        held = {part: parts.read(part) for part in parts.namelist()}
    assert old in held[name]
    held[name] = held[name].replace(old, new)
    with zipfile.ZipFile(path, "w", compression) as parts:
        for part, content in held.items():
            parts.writestr(part, content)


def with_sheet(path, rows, *, parts=(), compression=zipfile.ZIP_DEFLATED):
    """Write a workbook whose only sheet has this XML for rows, and may have other parts."""
    book(path, one=[["id"]])
    with zipfile.ZipFile(path) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    before, _, after = kept[SHEET].partition(b"<sheetData>")
    after = after.partition(b"</sheetData>")[2]
    content = rows if isinstance(rows, bytes) else rows.encode()
    kept |= {SHEET: before + b"<sheetData>" + content + b"</sheetData>" + after, **dict(parts)}
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in kept.items():
            new.writestr(name, data)
    return path
