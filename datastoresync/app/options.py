"""Gives every option of every part a name of its own on the command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Literal

import attrs

from datastoresync.app.arguments import Argument, Arguments

__all__ = ["Section", "unclashed", "unique"]


@attrs.frozen(eq=False)
class Section:
    """A part's options, as they are shown together.

    Args:
        name: The part's, and no other's.
        kind: What the part is.
        description: What it says of itself, or ``""``.
        required: The names in ``args`` that must have a value.
        parser: What it added its options to.
    """

    name: str
    kind: Literal["reader", "writer"]
    description: str
    required: tuple[str, ...]
    parser: Arguments

    @property
    def title(self) -> str:
        """The heading in ``--help``."""
        return f"{self.name} ({self.kind})"

    @property
    def slug(self) -> str:
        """The name, as it can stand in an option."""
        return re.sub(r"[^\w.]+", "-", self.name).strip("-") or self.kind


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind those that were there before.

    >>> unique(["csv", "csv", "excel", "csv"])
    ['csv', 'csv-2', 'excel', 'csv-3']
    """
    wanted = list(names)
    taken: set[str] = set()
    found: list[str] = []
    for name in wanted:
        free = name
        number = count(2)
        while free in taken or (free != name and free in wanted):
            free = f"{name}-{next(number)}"
        taken.add(free)
        found.append(free)
    return found


def unclashed(sections: Sequence[Section], reserved: Collection[str]) -> Mapping[Argument, tuple[str, ...]]:
    """Return the flags that each argument has on the command line.

    A flag that is reserved, or that two arguments have, gets its part's name in front of it. An argument whose
    derived flags clash (``--no-x`` of ``--x``) has all its flags renamed.
    """
    arguments = [argument for section in sections for argument in section.parser.arguments]
    uses = Counter(string for argument in arguments for string in argument.action.option_strings)
    uses.update(reserved)
    taken = set(uses)
    found: dict[Argument, tuple[str, ...]] = {}
    slugs = unique(section.slug for section in sections)
    for section, slug in zip(sections, slugs, strict=True):
        for argument in section.parser.arguments:
            clashing = {string for string in argument.action.option_strings if uses[string] > 1}
            derived = bool(clashing.difference(argument.flags))
            found[argument] = tuple(
                _prefixed(argument, slug, flag, taken) if flag in clashing or derived else flag
                for flag in argument.flags
            )
    return found


def _prefixed(argument: Argument, slug: str, flag: str, taken: set[str]) -> str:
    """Return a flag that is not taken, and take it with all that is derived from it."""
    base = f"--{slug}-{flag.lstrip('-')}"
    candidates = (base if number == 1 else f"{base}-{number}" for number in count(1))
    free = next(candidate for candidate in candidates if taken.isdisjoint(argument.strings((candidate,))))
    taken.update(argument.strings((free,)))
    return free
