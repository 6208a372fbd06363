"""Listings: the changes of a diff as an outline, branch by branch and object by object."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Self

import attrs

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.equality import is_blank
from datastoresync.diffing.filters import hides
from datastoresync.diffing.side import Side
from datastoresync.masking import MASK
from datastoresync.printing.changes import NEW, OLD, change, cut, key_text, literal
from datastoresync.printing.outline import SIGNS, Outline, Span
from datastoresync.printing.text import counted

SCANNED = 10_000
"""Actions of each kind and branch that are looked at where not all are shown."""
_FEW = 20
"""Lines of a branch from which on they are grouped by what happens to the objects."""
_ALIKE = 3
"""Objects that change alike, from which on they are one line."""
_KEYS = 5
"""Keys that are named of such objects."""
_NAME = 60
"""Characters of an object's name beside its key, at most."""
_MEMBERS = 20
"""Members that are shown of those that an object gets, where not all are."""
_ATTR = attrgetter("attr")
_OBJECT_SIGNS: Mapping[str, str] = {verb: SIGNS.get(verb, SIGNS["update"]) for verb in VERBS}
_WORDS: Mapping[str, tuple[str, str]] = {
    "new": ("new", "new"),
    "update": ("value changes", "values change"),
    "add": ("member added", "members added"),
    "remove": ("member removed", "members removed"),
    "old": ("deleted", "deleted"),
}

Sides = tuple[Mapping[str, Side], Mapping[str, Side]]
"""The sides of the source and of the destination, by branch."""
NO_SIDES: Sides = ({}, {})


def shown_sides(sides: Mapping[str, Side], hidden: Collection[tuple[str, str]]) -> dict[str, Side]:
    """Return sides without the attributes that are not shown, as `Diff` has them."""

    def shown(branch: str, side: Side) -> Side:
        return attrs.evolve(side, attributes=tuple(one for one in side.attributes if not hides(hidden, branch, one)))

    return {branch: shown(branch, side) for branch, side in sides.items()} if hidden else dict(sides)


def in_words(counts: Mapping[str, int]) -> str:
    """Return the counts of verbs as a person would say them; nothing of what there is none of.

    >>> in_words({"new": 1, "update": 2, "add": 0, "old": 1})
    '1 new, 2 values change, 1 deleted'
    """
    return ", ".join(f"{count:,} {_WORDS[verb][count != 1]}" for verb, count in counts.items() if count)


@attrs.frozen(eq=False, repr=False)
class Scan:
    """How many actions there are, and the first of them.

    Args:
        counts: How many there are, by branch and verb.
        heads: The first actions, by branch and by what happens to the objects: ``+``, ``~`` or ``-``.
    """

    counts: dict[str, Counter[str]]
    heads: dict[str, dict[str, list[Action]]]

    @classmethod
    def of(cls, actions: Iterable[Action], most: int = SCANNED) -> Self:
        """Scan actions in one pass; keep so many of each kind and branch."""
        scan = cls({}, {})
        deque(scan.noting(actions, most), maxlen=0)
        return scan

    def noting(self, actions: Iterable[Action], most: int) -> Iterator[Action]:
        """Yield actions, and take note of them; all of them are counted once the last one is yielded."""
        for (branch, verb), group in groupby(actions, key=attrgetter("branch", "verb")):
            head = self.heads.setdefault(branch, {}).setdefault(_OBJECT_SIGNS[verb], [])
            counts = self.counts.setdefault(branch, Counter(dict.fromkeys(VERBS, 0)))
            room, number = most - len(head), 0
            for number, action in enumerate(group, 1):
                if number <= room:
                    head.append(action)
                yield action
            counts[verb] += number

    @property
    def total(self) -> Counter[str]:
        """How many there are of each verb; zeros included."""
        total = Counter(dict.fromkeys(VERBS, 0))
        for one in self.counts.values():
            total.update(one)
        return total


def branch_outlines(scan: Scan, sides: Sides) -> list[Outline]:
    """Return an outline a branch: its objects that differ, a line each, or a line for those that change alike.

    What comes behind those that were kept is counted.
    """
    found = []
    for branch, verbs in scan.counts.items():
        name = _name(branch, sides)
        kinds = [
            _kind_outline(name, sign, head, verbs, sides)
            for sign, head in sorted(scan.heads[branch].items(), key=lambda one: "+~-".index(one[0]))
        ]
        found.append(attrs.evolve(_joined(name, verbs, kinds), kind="branch"))
    return found


def whole_outlines(scan: Scan, actions: Iterable[Action], sides: Sides) -> list[Outline]:
    """Return an outline a branch, with a line of each object, and whole values; a pass over one is one over all."""
    found = []
    for branch, verbs in scan.counts.items():
        name = _name(branch, sides)
        line = _section(name, verbs, partial(_each, name, actions, branch, sides), verbs.total(), verbs.total())
        found.append(attrs.evolve(line, kind="branch"))
    return found


def _name(branch: str, sides: Sides) -> str:
    return branch or next((side[branch].owner for side in sides if branch in side), "objects")


def _section(
    text: str, counts: Counter[str], children: Callable[[], Iterable[Outline]], total: int, things: int
) -> Outline:
    """Return an outline above lines that stand for so many of the actions that are counted."""
    return Outline(
        text,
        "",
        in_words(counts),
        children,
        total,
        expanded=True,
        count=counts.total(),
        things=things,
        beyond=counts.total() - things,
        unit="change",
    )


def _kind_outline(name: str, sign: str, head: list[Action], verbs: Counter[str], sides: Sides) -> Outline:
    """Describe the new objects of a branch, those that change, or those that go, given the first of their actions."""
    lines = folded(by_object(head))
    counts = Counter({verb: count for verb, count in verbs.items() if _OBJECT_SIGNS[verb] == sign})
    kind = next(one for one, its in SIGNS.items() if its == sign)
    section = _section("", counts, partial(_some, name, lines, sides), len(lines), len(head))
    return attrs.evolve(section, text=f"{sign} {section.note}", note="", kind=kind)


def _joined(name: str, verbs: Counter[str], kinds: Sequence[Outline]) -> Outline:
    """Describe a branch: line by line, or by kind of change, so that none pushes the others out, if there are many."""
    total = sum(one.total for one in kinds)
    if len(kinds) > 1 and total > _FEW:
        return _section(name, verbs, lambda: kinds, len(kinds), verbs.total())
    things = sum(one.things or 0 for one in kinds)
    return _section(name, verbs, lambda: chain.from_iterable(one.children() for one in kinds), total, things)


_AnObject = list[Action]
"""The actions of one object: its creation, its deletion, or all its changes."""


def by_object(actions: Iterable[Action]) -> list[_AnObject]:
    """Return the actions of one branch, object by object."""
    return list(_groups(actions))


def _groups(actions: Iterable[Action]) -> Iterator[_AnObject]:
    for _, group in groupby(actions, key=lambda action: (_OBJECT_SIGNS[action.verb], action.idnumber)):
        yield list(group)


def _each(name: str, actions: Iterable[Action], branch: str, sides: Sides) -> Iterator[Outline]:
    for one in _groups(action for action in actions if action.branch == branch):
        yield object_outline(name, [one], sides, whole=True)


def _some(name: str, lines: Iterable[Sequence[_AnObject]], sides: Sides) -> Iterator[Outline]:
    return (object_outline(name, objects, sides) for objects in lines)


def folded(objects: Iterable[_AnObject]) -> list[list[_AnObject]]:
    """Return objects that change alike together, in the place of the first, if there are several; others alone."""
    groups: defaultdict[Hashable, list[_AnObject]] = defaultdict(list)
    for one in objects:
        groups[_fold_key(one)].append(one)
    found: list[list[_AnObject]] = []
    for group in groups.values():
        found += [group] if len(group) >= _ALIKE else ([one] for one in group)
    return found


def _fold_key(actions: _AnObject) -> Hashable:
    """Return what is equal of objects that change alike."""
    first = actions[0]
    if first.verb in ("new", "old"):
        return id(actions)
    found = tuple(
        (one.verb, one.attr, *(() if one.attr in one.sensitive else _typed(one.value, one.old_value)))
        for one in actions
    )
    try:
        hash(found)
    except TypeError:
        return repr(found)
    return found


def _typed(*values: Any) -> Iterator[Any]:
    for value in values:
        yield type(value)
        yield value


def object_outline(name: str, objects: Sequence[_AnObject], sides: Sides, *, whole: bool = False) -> Outline:
    """Describe one object, or several of which the same changes; the values, too, if they change alike.

    Args:
        name: The name of their branch.
        objects: The actions of each.
        sides: The sides of their branch.
        whole: Whether whole values are shown.
    """
    first = objects[0]
    verb = first[0].verb
    sign, kind = _OBJECT_SIGNS[verb], verb if verb in SIGNS else "update"
    spans = object_spans(first, sides, whole=whole)
    if len(objects) == 1:
        text = f"{sign} {name} {key_text(first[0].idnumber)}{'' if verb in ('new', 'old') else _short_name(first)}"
        return Outline(text, kind, spans=spans, count=len(first))
    if len(set(map(_fold_key, objects))) > 1:
        spans = [(first[0].attr, "")] if first[0].attr else []
    keys = ", ".join(key_text(one[0].idnumber) for one in objects[:_KEYS])
    spans.append((f"{'  ' if spans else ''}({keys}{', …' if len(objects) > _KEYS else ''})", "note"))
    return Outline(f"{sign} {len(objects):,} {name}", kind, spans=spans, count=sum(map(len, objects)))


def _short_name(actions: _AnObject) -> str:
    """Return what a changed object is called besides its key, as ``_shortname`` of its class says; or nothing."""
    item = actions[0].source if actions[0].dest is None else actions[0].dest
    left_out = {*actions[0].sensitive, *(one.attr for one in actions)}
    parts = []
    for attr in getattr(type(item), "_shortname", ()):
        with suppress(Exception):  # a property that fails is reported when it is compared
            if attr not in left_out and not is_blank(value := getattr(item, attr)):
                parts.append(str(value))
    return f" ({cut(' '.join(parts), _NAME)})" if parts else ""


def object_spans(actions: Sequence[Action], sides: Sides, *, whole: bool = False) -> list[Span]:
    """Return what changes of one object, given its actions: old and new values, members, or all that it has.

    Args:
        actions: Its actions.
        sides: The sides of its branch, which know what a new or deleted object has.
        whole: Whether nothing is shortened.
    """
    first = actions[0]
    if first.verb in ("new", "old"):
        return list(_values(first, sides[first.verb == "old"].get(first.branch), whole=whole))
    hidden: Collection[str] = first.sensitive
    for side in sides:
        found = side.get(first.branch)
        if found is not None and found.sensitive:
            hidden = found.sensitive.union(hidden)
    spans: list[Span] = []
    for attr, group in groupby(actions, key=_ATTR):
        some = list(group)
        spans.append((f", {attr}: " if spans else f"{attr}: ", ""))
        if attr in hidden:
            spans.append((MASK, "note"))
        elif some[0].verb == "update":
            spans += change(some[0].old_value, some[0].value, whole=whole)
        else:
            spans += _members(some, whole=whole)
    return spans


def _members(actions: Sequence[Action], *, whole: bool) -> Iterator[Span]:
    """Yield what an object loses, all of it, and what it gets."""
    removed, added = ([one for one in actions if one.verb == verb] for verb in ("remove", "add"))
    shown = [*removed, *(added if whole else added[:_MEMBERS])]
    for index, one in enumerate(shown):
        kind = "removed" if one.verb == "remove" else "added"
        sign = "-" if one.verb == "remove" else "+"
        yield " " * (index > 0), ""
        yield f"{sign}{cut(literal(one.value), None if whole else OLD)}", kind
    if len(shown) < len(actions):
        yield f" … and {counted(len(actions) - len(shown), 'more member')}", "note"


def _values(action: Action, side: Side | None, *, whole: bool) -> Iterator[Span]:
    """Yield the values of a new or deleted object, but for blank ones."""
    item, kind = (action.source, "added") if action.verb == "new" else (action.dest, "removed")
    if side is None or item is None:
        return
    most, taken = (NEW if action.verb == "new" else OLD), 0
    values = [(name, value) for name, value in zip(side.attributes, side.cells(action.idnumber, item), strict=True)]
    values = [(name, value) for name, value in values if not is_blank(value)]
    for index, (name, value) in enumerate(values):
        text = MASK if name in side.sensitive else cut(literal(value), None if whole else most)
        if not whole and taken > 2 * most:
            yield f", … and {counted(len(values) - index, 'more value')}", "note"
            return
        yield f"{', ' * (index > 0)}{name}: ", ""
        yield text, "note" if text is MASK else kind
        taken += len(name) + len(text)
