"""Actions in short: their counts, the line that says them, and their outline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from datastoresync.diffing.action import VERBS, Action
from datastoresync.printing.outline import Outline
from datastoresync.printing.words import counted

__all__ = ["branch_outline", "counts_of", "stat_line", "stat_of"]

_FEW = 12
"""How many actions of a branch are listed as they come; more are listed by verb."""


def counts_of(actions: Iterable[Action]) -> Counter[str]:
    """Return how many actions there are of each verb, those that there are none of included."""
    found = Counter(action.verb for action in actions)
    return Counter({verb: found[verb] for verb in VERBS})


def stat_of(actions: Iterable[Action]) -> str:
    """Return every verb with its count on one line, always in the same order."""
    return stat_line(counts_of(actions))


def stat_line(counts: Counter[str]) -> str:
    """Return the counts of all verbs on one line."""
    return " ".join([*(f"{verb}={count}" for verb, count in counts.items()), f"total={counts.total()}"])


def branch_outline(name: str, actions: Sequence[Action]) -> Outline:
    """Describe the actions of one branch: as they come, or by verb where they are many."""
    note = stat_of(actions)
    if len(actions) <= _FEW:
        return Outline(name or "objects", "branch", note, partial(_outlines, actions), len(actions), expanded=True)
    verbs = {verb: [action for action in actions if action.verb == verb] for verb in VERBS}
    lines = [_verb_outline(verb, some, name or "object") for verb, some in verbs.items() if some]
    return Outline(name or "objects", "branch", note, lambda: lines, len(lines), expanded=True)


def _verb_outline(verb: str, actions: Sequence[Action], branch: str) -> Outline:
    objects = len({action.idnumber for action in actions})
    note = f"{objects:,} {branch}"
    if len(actions) > objects:
        note += f", {counted(len(actions), 'value')}"
    return Outline(verb, verb, note, partial(_outlines, actions), len(actions))


def _outlines(actions: Iterable[Action]) -> Iterator[Outline]:
    return (action.__outline__() for action in actions)
