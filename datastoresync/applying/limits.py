"""Limits: how much one run may change, and what to write where it is to change more."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from typing import Any, Self

import attrs

from datastoresync.errors import DeclarationError


class _Usual(float):
    """A share that nobody gave, so that a declared limit takes its place."""


class _UsualCount(int):
    """A count that nobody gave."""


def _limit(_: object, attribute: Any, value: Any) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    good = good or (isinstance(value, float) and 0 <= value <= 1)
    if not good:
        message = f"{attribute.name} is a count such as 500 or a share such as 0.2 (got {value!r})"
        raise DeclarationError(message)


def _count(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{attribute.name} is a count such as 3 (got {value!r})"
        raise DeclarationError(message)


def _names(names: str | Collection[str]) -> Collection[str]:
    return (names,) if isinstance(names, str) else names


def _share(usual: float) -> Any:
    return attrs.field(default=_Usual(usual), validator=_limit)


@attrs.frozen(kw_only=True)
class Limits:
    """How much one run may change in each branch; what is over refuses the whole run before its first change.

    A whole number is a count, a fraction a share of what the destination has. A share is at least five (twenty
    creations; fifty new members, or half of those that there could be); of deletions at most half of so few, and never
    all.

    ``limits = Limits(deletions=50)`` in a tree, or ``Branch(User, limits=Limits(deletions=50))``, holds for every run,
    whether of ``>``, ``>>``, ``|`` or the command line: what the destination declares, then its source; a branch before
    its tree. Give other limits for one call where a big change is meant:
    ``source.sync_to(dest, limits=Limits(deletions=800))``. What a call does not name stays as declared.

    Args:
        deletions: Objects deleted, or switched off (see ``_active`` of `Object`); also, of a part that has at least ten
            (see ``part`` of `Branch`), more than half. Without a share: 20 %.
        updates: Objects of which an attribute changes, other than by members; also, of each attribute, values
            replaced, as a share of the objects that have one. Without a share: 50 %.
        creations: Objects created, unless the branch has none. Without a share: 50 %.
        removals: Members removed, as a share of all members that the destination's objects of the branch have; also of
            each object that has at least ten. Without a share: 50 %.
        additions: Members added, unless there are none; as with removals. Without a share: 100 %.
        blanks: Values of each attribute that become blank, as a share of the objects that have one. Without a share:
            30 %.
        switches: Objects of which what most have becomes False, 0 or a text such as ``"no"`` or ``"inactive"``, or True
            if the attribute's name is such a text (``suspended``), as a share of those that have it. Without a share:
            30 %.
        cascades: Rows of a table outside of the tree that a database deletes or changes along with deleted ones; as a
            share, of its rows. Those inside count as deletions, updates and removals. Without a share: 20 %.
        dangling: Values of ``_references`` that name nothing in the source, and are written or lead to what is deleted.
        empty: The branches that may be empty in the source and still delete what the destination has; the same of
            their parts: ``"users:temps.csv"``, ``"users:_temps"``, ``"users:North"``.
        missing: The attributes (``"users.phone"``) that the source may lack, or have blank in all its objects, where
            the destination has values.
        first_load: The branches that may be filled for the first time although they hold something: without a limit of
            creations and additions.

    >>> Limits(deletions=800).over(Limits(deletions=10, updates=20)).updates
    20
    """

    deletions: float = _share(0.2)
    updates: float = _share(0.5)
    creations: float = _share(0.5)
    removals: float = _share(0.5)
    additions: float = _share(1.0)
    blanks: float = _share(0.3)
    switches: float = _share(0.3)
    cascades: float = _share(0.2)
    dangling: int = attrs.field(default=_UsualCount(0), validator=_count)
    empty: Collection[str] = attrs.field(default=(), converter=_names)
    missing: Collection[str] = attrs.field(default=(), converter=_names)
    first_load: Collection[str] = attrs.field(default=(), converter=_names)

    def __repr__(self) -> str:
        """Show what was given, as the class would be called with it."""
        given = {name: getattr(self, name) for name in (*NUMBERS, *NAMES)}
        usual = (_Usual, _UsualCount)
        shown = (f"{name}={value!r}" for name, value in given.items() if value != () and not isinstance(value, usual))
        return f"Limits({', '.join(shown)})"

    def over(self, declared: Limits | None) -> Limits:
        """Return these limits where they were given, and the declared ones elsewhere; names are allowed by either."""
        if declared is None:
            return self
        found: dict[str, Any] = {}
        for name in NUMBERS:
            if isinstance(getattr(self, name), (_Usual, _UsualCount)):
                found[name] = getattr(declared, name)
        for name in NAMES:
            found[name] = (*getattr(self, name), *getattr(declared, name))
        return attrs.evolve(self, **found)


NAMES = ("empty", "missing", "first_load")
"""The limits that are names of branches, parts or attributes."""
NUMBERS = tuple(one.name for one in attrs.fields(Limits) if one.name not in NAMES)
"""The limits that are shares or counts."""


def check_limits(limits: Any, where: str) -> Limits | None:
    """Return what a tree or a branch declares as its limits.

    Raises:
        DeclarationError: if they are no `Limits`.
    """
    if limits is None or isinstance(limits, Limits):
        return limits
    message = f"{where}: limits are Limits, such as Limits(deletions=50) (got {limits!r})"
    raise DeclarationError(message)


def option(name: str, value: Any) -> str:
    """Return the options of the command line that allow what a limit refuses."""
    values = value if name in NAMES else [value]
    return " ".join(f"--allow-{name.replace('_', '-')} {shlex.quote(str(one))}" for one in values)


class _OptionWords(str):
    """A violation as the command line says it."""

    __slots__ = ("subject",)

    subject: str


class Violation(str):
    """A sentence that says what is over a limit, and how that is allowed in Python.

    Args:
        reason: What is over, or missing.
        advice: What to do, up to the limits to give.
        name: The limit that allows it; empty if none does.
        value: Its value.
        python: What else to do in Python.
        subject: The reason in few words, for the subject of a message; the reason itself if that is empty.
        also: A further limit that may be meant, as words, name and value.
    """

    __slots__ = ("name", "on_command_line", "subject", "value")

    name: str
    value: Any
    on_command_line: str
    subject: str

    def __new__(
        cls,
        reason: str,
        advice: str,
        name: str = "",
        value: Any = None,
        *,
        python: str = "",
        subject: str = "",
        also: tuple[str, str, Any] | None = None,
    ) -> Self:
        """Create the sentence in both languages."""
        ways = [one for one in ((advice, name, value), also) if one and one[1]]
        said = "; ".join(f"{words} limits=Limits({limit}={given!r})" for words, limit, given in ways)
        made = super().__new__(cls, f"{reason}: {said or advice + python}")
        made.name, made.value, made.subject = name, value, subject or reason
        said = "; ".join(f"{words} {option(limit, given)}" for words, limit, given in ways)
        made.on_command_line = words = _OptionWords(f"{reason}: {said or advice}")
        words.subject = made.subject
        return made


def refusal(
    found: Iterable[str],
    given: Limits | None = None,
    *,
    verb: str = "refused, and nothing was changed",
    command_line: bool = False,
) -> str:
    """Return the message that lists violations, and what allows all of them at once, with the limits that were given.

    Those of the command line are not repeated, since an option is added to others.
    """
    found = list(found)
    lines = [f"{verb}:"]
    lines += [f"  - {getattr(one, 'on_command_line', one) if command_line else one}" for one in found]
    needed: dict[str, Any] = {}
    for one in found:
        if isinstance(one, Violation) and one.name in NAMES:
            needed[one.name] = [*needed.get(one.name, ()), *one.value]
        elif isinstance(one, Violation) and one.name:
            needed[one.name] = max(needed.get(one.name, 0), one.value)
    for name in (*NUMBERS, *NAMES) if given is not None and needed and not command_line else ():
        value = getattr(given, name)
        if name in NAMES and value:
            needed[name] = [*value, *needed.get(name, ())]
        elif name in NUMBERS and not isinstance(value, (_Usual, _UsualCount)):
            needed.setdefault(name, value)
    if len(needed) > 1 or any(len(needed[name]) > 1 for name in NAMES if name in needed):
        options = " ".join(option(*one) for one in needed.items())
        python = f"limits=Limits({', '.join(f'{name}={value!r}' for name, value in needed.items())})"
        lines.append(f"  if all of this is meant: {options if command_line else python}")
    return "\n".join(lines)
