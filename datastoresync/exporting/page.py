"""Rows as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from datastoresync.exporting.export import Export
from datastoresync.exporting.texts import text_of
from datastoresync.printing.html import html
from datastoresync.printing.text import visible

_STYLE = """
:root{color-scheme:light dark;--rule:#d1d9e0;--muted:#59636e;--green:#116329;--yellow:#7a4b00;--red:#b3151f}
@media (prefers-color-scheme:dark){:root{--rule:#3d444d;--muted:#a3adb8;--green:#56d364;--yellow:#e3b341;--red:#ff8e86}}
body{font:14px/1.5 system-ui,sans-serif;margin:1.5em}
h1{font-size:1.3em;overflow-wrap:anywhere}
h2{font-size:1.1em}
table{border-collapse:collapse}
th,td{border-bottom:1px solid var(--rule);padding:2px 1em 2px 0;text-align:left;vertical-align:top}
th{position:sticky;top:0;background:Canvas}
td{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
th,td[class]{white-space:nowrap}
.empty{color:var(--muted)}
.new,.add,.succeeded{color:var(--green)}
.update,.unhandled,.warning,.conflict{color:var(--yellow)}
.old,.remove,.failed,.refused{color:var(--red)}
"""
_COLOURED = ("status", "change")
"""Columns whose words are coloured."""


def html_lines(export: Export) -> Iterator[str]:
    """Yield the head of the page up to that of its table, then a line a row, then the end."""
    title = _shown(export.title)
    names = "".join(f'<th scope="col">{_shown(name)}</th>' for name in export.columns)
    above = f"<p>{_shown(export.summary)}</p>\n"
    if export.outline is not None:
        above = f"{html(export.outline())}\n<h2>Rows</h2>\n{above}"
    coloured = [not export.typed and name in _COLOURED for name in export.columns]
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{above}<table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n"
    )
    for row in export.rows():
        yield f"<tr>{''.join(map(_cell, row, coloured))}</tr>\n"
    yield "</tbody>\n</table>\n</body>\n</html>\n"


def _cell(value: Any, coloured: bool) -> str:  # noqa: FBT001 - one of two columns that are zipped
    text = text_of(value)
    if not text:
        return "<td></td>" if text is None else '<td><span class="empty">empty text</span></td>'
    shown = _shown(text)
    return f'<td class="{shown}">{shown}</td>' if coloured else f"<td>{shown}</td>"


def _shown(text: str) -> str:
    return "\n".join(escape(visible(line)) for line in text.split("\n"))
