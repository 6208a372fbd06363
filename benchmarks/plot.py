"""Draws seconds and memory against size, both on logarithmic scales, as one SVG for light and dark pages."""

import html
import math

_COLOURS = (
    "#d55e00",
    "#e69f00",
    "#cc4778",
    "#8f6bd1",
    "#b07aa1",
    "#0b84d8",
    "#2a9d6f",
    "#888888",
    "#5aa9c9",
    "#8c8c2c",
    "#a0785a",
)
_DASHES = ("", "6 3", "2 3")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 380, 330, 62, 34, 70
_STYLE = """
  text { font: 12px sans-serif; fill: #222 }
  .title { font-weight: bold; font-size: 14px }
  .ours { font-weight: bold }
  .grid { stroke: #ddd }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
"""


class _Scale:
    """Positions of positive numbers between two places, logarithmically."""

    def __init__(self, values, start, stop, margin=0.0):
        self.low, self.high = math.log10(min(values)) - margin, math.log10(max(values)) + margin
        self.start, self.stop = start, stop

    def __call__(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low or 1)
        return round(self.start + share * (self.stop - self.start), 1)

    def decades(self):
        return [10.0**power for power in range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]


def _number(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _lines(results, figure):
    """Return the points of every contestant with two files: how many rows, and the figure."""
    found = {}
    for one in results["contests"]:
        if one["part"] == "files":
            for name, figures in one["figures"].items():
                if figures:
                    found.setdefault(name, []).append((one["rows"], figures[figure]))
    return {name: sorted(points) for name, points in found.items()}


def _look(place, name):
    ours = name.startswith("datastoresync")
    dash = _DASHES[place // len(_COLOURS) if not ours else "memory" in name]
    return f'stroke="{_COLOURS[place % len(_COLOURS)]}" stroke-width="{3 if ours else 1.5}" stroke-dasharray="{dash}"'


def _panel(lines, title, left):
    points = [point for line in lines.values() for point in line]
    x = _Scale([rows for rows, _ in points], left, left + _WIDTH)
    y = _Scale([value for _, value in points], _TOP + _HEIGHT, _TOP, margin=0.1)
    yield f'<text class="title" x="{left}" y="{_TOP - 14}">{title}</text>'
    yield f'<rect class="grid" x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none"/>'
    for value in x.decades():
        yield f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{y.start}" y2="{y.stop}"/>'
        yield f'<text x="{x(value)}" y="{y.start + 18}" text-anchor="middle">{_number(value)}</text>'
    for value in y.decades():
        yield f'<line class="grid" x1="{x.start}" x2="{x.stop}" y1="{y(value)}" y2="{y(value)}"/>'
        yield f'<text x="{left - 8}" y="{y(value) + 4}" text-anchor="end">{_number(value)}</text>'
    yield f'<text x="{left + _WIDTH / 2}" y="{y.start + 36}" text-anchor="middle">rows a side</text>'
    for place, (name, line) in enumerate(lines.items()):
        path = " ".join(f"{x(rows)},{y(value)}" for rows, value in line)
        look, label = _look(place, name), html.escape(name)
        yield f'<polyline points="{path}" fill="none" {look}><title>{label}</title></polyline>'
        for rows, value in line:
            told = f"{label}, {rows:,} rows: {value:.3g}"
            colour = _COLOURS[place % len(_COLOURS)]
            yield f'<circle cx="{x(rows)}" cy="{y(value)}" r="3" fill="{colour}"><title>{told}</title></circle>'


def _legend(names, top):
    for place, name in enumerate(names):
        x, y = _LEFT + place % 2 * (_WIDTH + _GAP), top + place // 2 * 20
        kind = ' class="ours"' if name.startswith("datastoresync") else ""
        yield f'<line x1="{x}" x2="{x + 26}" y1="{y - 4}" y2="{y - 4}" {_look(place, name)}/>'
        yield f'<text x="{x + 34}" y="{y}"{kind}>{html.escape(name)}</text>'


def plot(results, path):
    """Write the plot of the contests with two files; nothing if there were none."""
    panels = {"seconds": "seconds", "megabytes": "highest memory, MB"}
    names = list(_lines(results, "seconds"))
    if not names:
        return
    parts = [
        part
        for place, (figure, title) in enumerate(panels.items())
        for part in _panel(_lines(results, figure), title, _LEFT + place * (_WIDTH + _GAP))
    ]
    top = _TOP + _HEIGHT + 64
    parts += _legend(names, top)
    width, height = _LEFT + 2 * _WIDTH + _GAP + 20, top + -(-len(names) // 2) * 20
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Seconds and memory of every contestant against the number of rows">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n",
        encoding="utf-8",
    )
