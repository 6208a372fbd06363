"""Draw docs/plan.svg, the picture of a plan in colour, out of what ``source - dest`` shows on a terminal.

python tools/plan_picture.py
"""

from __future__ import annotations

import re
from html import escape
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from datastoresync import Branch, Object, Tree
from datastoresync.printing import text

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "plan.svg"
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff", "2": "#9198a1", "1": "#f0f6fc"}
COLUMNS, FONT, LINE = 86, 14, 20
LINES = {"4": "underline", "9": "line-through"}
SEQUENCE = re.compile(r"\x1b\[([\d;]*)m")
ABOUT = "Plays the cello in the orchestra"


def plan() -> str:
    """Return the difference between two small trees, with the sequences that colour it."""
    moved = [str(number) for number in range(1001, 1031)]

    def users(grade: int, about: str, *more: dict[str, object]) -> list[dict[str, object]]:
        ann: dict[str, object] = {"idnumber": "ann", "grade": grade, "about": about}
        return [ann, *({"idnumber": name, "grade": grade} for name in moved), *more]

    rows: list[dict[str, object]] = [{"idnumber": name, "grade": 9, "about": ""} for name in ("bob", "eve")]
    bob, eve = rows
    source = Tree(
        "school",
        branches={
            "users": Branch(Object, importer=users(8, ABOUT.replace("cello", "violin"), eve)),
            "groups": Branch(Object, importer=[{"idnumber": "orchestra", "members": {"ann", "eve"}}]),
        },
    )
    dest = Tree(
        "application",
        branches={
            "users": Branch(Object, importer=users(7, ABOUT, bob)),
            "groups": Branch(Object, importer=[{"idnumber": "orchestra", "members": {"ann", "bob"}}]),
        },
    )
    return text.text((+source - +dest).outline(), columns=COLUMNS, colour=True)


def picture(shown: str) -> str:
    """Return text with sequences that colour it as SVG."""
    lines = shown.splitlines()
    width, height = round(COLUMNS * FONT * 0.602) + 40, len(lines) * LINE + 36
    rows = "\n".join(
        f'<text x="20" y="{32 + LINE * number}" xml:space="preserve">{_spans(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{FONT}" '
        f'fill="#d1d7e0">\n<title>A plan in a terminal</title>\n'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n{rows}\n</svg>\n'
    )


def _spans(line: str) -> str:
    first, *rest = SEQUENCE.split(line)
    pieces = [("", first), *((_style(codes), piece) for codes, piece in zip(rest[::2], rest[1::2], strict=True))]
    grouped = groupby((piece for piece in pieces if piece[1]), key=itemgetter(0))
    texts = ((style, escape("".join(piece for _, piece in found), quote=False)) for style, found in grouped)
    return "".join(f"<tspan{style}>{piece}</tspan>" if style else piece for style, piece in texts)


def _style(codes: str) -> str:
    given = codes.split(";")
    return "".join(
        f' {name}="{values[code]}"'
        for name, values in (("fill", COLOURS), ("text-decoration", LINES))
        for code in given
        if code in values
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(plan()), encoding="utf-8")
