"""Which models are below which, as nested dictionaries and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def nested(below: Mapping[str, Sequence[str]], tops: Sequence[str]) -> dict[str, Any]:
    """Return the models as nested dictionaries; one that is below itself is shown there once more.

    Args:
        below: The names of all models, with those of their children.
        tops: Which of them come first; those that are below no other follow.
    """
    seen: set[str] = set()

    def expanded(name: str, above: tuple[str, ...]) -> dict[str, Any]:
        seen.add(name)
        if name in above:
            return {}
        return {child: expanded(child, (*above, name)) for child in below.get(name, ())}

    found = {name: expanded(name, ()) for name in tops}
    children = {child for name, names in below.items() for child in names if child != name}
    for name in sorted(below, key=children.__contains__):
        if name not in seen:
            found[name] = expanded(name, ())
    return found


def drawn(tree: Mapping[str, Any], title: str) -> str:
    """Return nested dictionaries as a drawing, a line each."""
    return "\n".join([title, *_lines(tree, "")])


def _lines(tree: Mapping[str, Any], margin: str) -> Iterator[str]:
    last = len(tree) - 1
    for place, (name, below) in enumerate(tree.items()):
        yield f"{margin}{'├── ' if place < last else '└── '}{name}"
        yield from _lines(below, margin + ("│   " if place < last else "    "))
