"""An outline as a fragment of HTML for notebooks, or as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from types import MappingProxyType
from typing import Any

from datastoresync.printing.outline import Outline, Selected, Span, marked, more, select
from datastoresync.printing.text import cell, numeric, visible

_LINES = 1_000
_BYTES = 200_000
_PAGE_ROWS, _PAGE_BYTES = 1_000, 5_000_000
_TEXT, _CELL = 300, 80  # columns, as on a terminal
_GRID_COLUMNS = 30

_COLOURS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("new", "add", "succeeded"), "green")
    | dict.fromkeys(("update", "unhandled", "warning"), "yellow")
    | dict.fromkeys(("old", "remove", "failed", "refused"), "red")
    | dict.fromkeys(("skipped", "pending", "planned"), "muted")
    | {"conflict": "purple"}
)
_HEADINGS = frozenset({"datastore", "tree", "branch", "object", "diff", "report", "stat"})


def html(outline: Outline, *, rows: int = 50, depth: int = 8) -> str:
    """Return the outline as a fragment of HTML, at most 200 kB in UTF-8.

    It has its own style for light and dark pages, reads well without one, needs no script, and escapes all text. Lines
    with others below fold. Lines left out are counted.

    Args:
        outline: The outline.
        rows: The most children, and the most rows of a grid, that are shown of any one outline.
        depth: The most levels that are shown below the first.

    >>> "&lt;b&gt;" in html(Outline("<b>"))
    True
    """
    return _sized(outline, rows=rows, depth=depth, lines=_LINES, size=_BYTES)


def page(outline: Outline, *, title: str = "", rows: int = _PAGE_ROWS) -> str:
    """Return the outline as a page of HTML that needs nothing else, at most 5 MB in UTF-8; see `html`.

    Args:
        outline: The outline.
        title: The title and heading; the outline's text if it is empty.
        rows: The most children, and the most rows of a grid, that are shown of any one outline.

    >>> page(Outline("users"), title="A & B")[:88]
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A &amp; B</title><meta'
    """
    heading = _shown(title or outline.text)
    head = f'<meta charset="utf-8"><title>{heading}</title><meta name="viewport" content="width=device-width">'
    fragment = _sized(outline, rows=rows, depth=20, lines=20 * rows, size=_PAGE_BYTES)
    body = f"<main><h1>{heading}</h1>{fragment}</main>"
    return f'<!doctype html><html lang="en"><head>{head}<style>{_PAGE_STYLE}</style></head><body>{body}</body></html>\n'


def _sized(outline: Outline, *, rows: int, depth: int, lines: int, size: int) -> str:
    """Return a fragment with so many lines that it is at most so many bytes long."""
    while True:
        fragment = _fragment(select(outline, lines=lines, rows=rows, depth=depth))
        found = len(fragment.encode())
        if found <= size or lines == 1:
            return fragment
        lines = max(1, min(lines // 2, lines * size // found))


def _fragment(top: Selected) -> str:
    every = [top]
    for one in every:
        every.extend(one.children)
    # From the deepest up, without recursion, since outlines may be deep.
    rendered: dict[int, str] = {}
    for one in reversed(every):
        rendered[id(one)] = _node(one, [rendered.pop(id(child)) for child in one.children])
    return f'<div class="dss-outline"><style>{STYLE}</style>{rendered[id(top)]}</div>'


def _node(one: Selected, children: Sequence[str]) -> str:
    """Return an outline's line, table and children; ``children`` are rendered already."""
    below = _grid(one) if one.outline.grid is not None else ""
    items = [f"<li>{child}</li>" for child in children]
    if one.more_children:
        items.append(f'<li class="dss-more">{more(one.more_children, one.outline.unit)}</li>')
    if items:
        below += f'<ul class="dss-list" role="list">{"".join(items)}</ul>'
    if not below:
        return f'<div class="dss-line">{_line(one)}</div>'
    opened = " open" if one.outline.expanded or not one.level else ""
    return f'<details{opened}><summary class="dss-line">{_line(one)}</summary>{below}</details>'


def _line(one: Selected) -> str:
    outline = one.outline
    before, mark, after = marked(outline)
    if mark:
        colour = _COLOURS[outline.kind]
        after = f"<b>{_shown(after)}</b>" if outline.spans and after.strip(" :") else _shown(after)
        words = f'{_shown(before)}<span class="dss-mark dss-{colour}">{_shown(mark)}</span>{after}'
        line = f'<span class="dss-text dss-code">{words}</span>'
    else:
        tag, heading = ("b", " dss-heading") if outline.kind in _HEADINGS else ("span", "")
        muted = " dss-muted" if outline.kind == "note" else ""
        line = f'<{tag} class="dss-text{heading}{muted}">{_shown(outline.text)}</{tag}>'
    if outline.note:
        line += f' <small class="dss-text dss-note">{_shown(outline.note)}</small>'
    if outline.spans:
        line += f' <span class="dss-text dss-code">{"".join(map(_span, outline.spans))}</span>'
    if one.more_below:
        line += f' <span class="dss-more">{more(one.more_below, outline.unit)}</span>'
    return line


def _span(span: Span) -> str:
    words, kind = escape(visible(span[0])), span[1]
    match kind:
        case "removed" | "cut":
            return f'<del class="dss-{kind} dss-red">{words}</del>'
        case "added" | "put":
            return f'<ins class="dss-{kind} dss-green">{words}</ins>'
        case "note":
            return f'<span class="dss-muted">{words}</span>'
        case _:
            return words


def _shown(value: Any, columns: int = _TEXT) -> str:
    return escape(cell(value, columns))


def _grid(one: Selected) -> str:
    grid, missing = one.outline.grid, f'<div class="dss-more">{more(one.more_rows)}</div>' if one.more_rows else ""
    if grid is None or not one.heading:
        return missing
    count = min(len(grid.columns), _GRID_COLUMNS)
    rows = [list(islice(row, count)) for row in one.rows]
    rows = [row + [""] * (count - len(row)) for row in rows]
    right = [' class="dss-number"' if numeric([row[index] for row in rows]) else "" for index in range(count)]
    head = [
        f'<th scope="col"{aligned}>{_shown(name, _CELL)}</th>'
        for name, aligned in zip(islice(grid.columns, count), right, strict=True)
    ]
    cut = ""
    if count < len(grid.columns):
        head.append(f'<th scope="col" class="dss-more">{more(len(grid.columns) - count, "column")}</th>')
        cut = '<td class="dss-more">…</td>'
    body = "".join(f"<tr>{_cells(row, right)}{cut}</tr>" for row in rows)
    table = f"<thead><tr>{''.join(head)}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="dss-scroll"><table class="dss-grid">{table}</table></div>{missing}'


def _cells(row: Sequence[Any], right: Sequence[str]) -> str:
    """Return the cells of a row; the first one names the row."""
    cells = []
    for index, (value, aligned) in enumerate(zip(row, right, strict=True)):
        words = '<span class="dss-muted">None</span>' if value is None else _shown(value, _CELL)
        cells.append(f"<td{aligned}>{words}</td>" if index else f'<th scope="row"{aligned}>{words}</th>')
    return "".join(cells)


# The page's own colours and background: only marks, muted words and lines have others, by the page's scheme. Notebooks
# that say theirs otherwise are asked first. Selectors outweigh Jupyter's own for tables.
STYLE = """
.dss-outline{--dss-muted:var(--vscode-descriptionForeground,light-dark(#59636e,#a3adb8));
--dss-rule:var(--vscode-editorWidget-border,light-dark(#d1d9e0,#3d444d));
--dss-hover:light-dark(#f3f5f7,#262b31);--dss-green:light-dark(#116329,#56d364);
--dss-yellow:light-dark(#7a4b00,#e3b341);--dss-red:light-dark(#b3151f,#ff8e86);
--dss-purple:light-dark(#6e3bb8,#d2a8ff)}
[data-jp-theme-light="true"] .dss-outline,[data-theme="light"] .dss-outline,.vscode-light .dss-outline,
[data-vscode-theme-kind$="light"] .dss-outline{color-scheme:light}
[data-jp-theme-light="false"] .dss-outline,[data-theme="dark"] .dss-outline,html[theme="dark"] .dss-outline,
.vscode-dark .dss-outline,
:is([data-vscode-theme-kind="vscode-dark"],[data-vscode-theme-kind="vscode-high-contrast"]) .dss-outline{
color-scheme:dark}
.dss-outline{padding:4px 0;font:13px/1.55 var(--jp-ui-font-family,var(--vscode-font-family,system-ui,sans-serif))}
.dss-outline details,.dss-outline .dss-line{margin:0;padding:0}
.dss-outline summary.dss-line{cursor:pointer;list-style:none;border-radius:3px}
.dss-outline summary.dss-line::-webkit-details-marker{display:none}
.dss-outline summary.dss-line:hover{background:var(--dss-hover)}
.dss-outline .dss-line{padding-left:16px;position:relative}
.dss-outline summary.dss-line::before{content:"";position:absolute;left:4px;top:.5em;
border:solid transparent;border-width:4px 0 4px 6px;border-left-color:var(--dss-muted)}
.dss-outline details[open]>summary.dss-line::before{transform:rotate(90deg)}
.dss-outline ul.dss-list.dss-list{list-style:none;margin:0 0 0 7px;padding:0 0 0 9px;
border-left:1px solid var(--dss-rule)}
.dss-outline ul.dss-list.dss-list>li{margin:0;padding:0}
.dss-outline .dss-text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
.dss-outline :is(.dss-removed,.dss-added){text-decoration:none}
.dss-outline .dss-heading{font-weight:600}
.dss-outline .dss-note,.dss-outline .dss-more,.dss-outline .dss-muted{color:var(--dss-muted)}
.dss-outline .dss-note{margin-left:6px;font-size:inherit}
.dss-outline .dss-more{font-weight:400;font-size:12px}
.dss-outline ul.dss-list.dss-list>li.dss-more,.dss-outline div.dss-more{padding-left:16px}
.dss-outline .dss-code,.dss-outline .dss-code~.dss-note,.dss-outline .dss-grid{
font:12px/1.55 var(--jp-code-font-family,var(--vscode-editor-font-family,
ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace))}
.dss-outline .dss-code~.dss-code{margin-left:.6em}
.dss-outline .dss-mark{font-weight:700}
.dss-outline .dss-green{color:var(--dss-green)}
.dss-outline .dss-yellow{color:var(--dss-yellow)}
.dss-outline .dss-red{color:var(--dss-red)}
.dss-outline .dss-purple{color:var(--dss-purple)}
.dss-outline .dss-scroll{overflow-x:auto;margin:2px 0 3px 16px}
.dss-outline table.dss-grid.dss-grid{border-collapse:collapse;margin:0;width:auto;table-layout:auto;
color:inherit;border:0}
.dss-outline .dss-grid.dss-grid tr{background:none;line-height:inherit}
.dss-outline .dss-grid.dss-grid tbody tr:hover{background:var(--dss-hover)}
.dss-outline .dss-grid.dss-grid :is(td,th){padding:1px 18px 1px 0;text-align:left;vertical-align:baseline;
white-space:pre;unicode-bidi:isolate;font-weight:400;line-height:inherit;border:0;max-width:none}
.dss-outline .dss-grid.dss-grid thead th{color:var(--dss-muted);border-bottom:1px solid var(--dss-rule)}
.dss-outline .dss-grid.dss-grid .dss-number{text-align:right}
"""
_PAGE_STYLE = """
:root{color-scheme:light dark}
body{margin:0;background:Canvas;color:CanvasText;font-family:system-ui,sans-serif}
main{max-width:1400px;margin:0 auto;padding:16px 24px 48px}
h1{font-size:20px;overflow-wrap:anywhere}
"""
