"""Actions, which are named tuples, and the differences that give them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from datastoresync.applying.report import Report
from datastoresync.diffing import action as native
from datastoresync.diffing.diff import Diff
from datastoresync.errors import TemplateError
from datastoresync.masking import MASK


class Action(NamedTuple):
    """One step that makes the destination more like the source.

    Args:
        idnumber: The idnumber of the object.
        obj: The source's object, or the destination's if there is no other.
        source: The source's object, or None.
        dest: The destination's object, or None.
        method: The method of a template that is called for it.
        attribute: The attribute, or None.
        value: The source's value of it, or the member.
        old_value: The destination's value.
    """

    idnumber: Any
    obj: Any
    source: Any
    dest: Any
    method: str
    attribute: str | None
    value: Any
    old_value: Any

    @property
    def message(self) -> str:
        """The name of the method: ``new_students``."""
        return self.method

    def __repr__(self) -> str:
        sensitive = self.attribute in getattr(type(self.obj), "_sensitive", ())
        shown = MASK if sensitive else repr(self.value)
        changed = f", attribute={self.attribute!r}, value={shown}" if self.attribute else ""
        return f"Action(idnumber={self.idnumber!r}, message={self.message!r}{changed})"


def define_action(**fields: Any) -> Action:
    """Return an action with these fields, and None for the others."""
    return Action(**{**dict.fromkeys(Action._fields), **fields})


def method_name(verb: str, subbranch: str, attribute: str, destination: str) -> str:
    """Return the name of a template's method for changes of a kind.

    >>> method_name("add", "classes", "members", "dest")
    'add_classes_members_to_dest'
    """
    name = "_".join(filter(None, (verb, subbranch, attribute)))
    return name + {"add": f"_to_{destination}", "remove": f"_from_{destination}"}.get(verb, "")


def method_names(diff: Diff, *, everything: bool = False) -> Mapping[tuple[str, str, str], str]:
    """Return the names of all methods that a template may have for a diff, by verb, subbranch and attribute.

    Args:
        diff: The diff.
        everything: Whether those for the other subbranches of both branches are wanted, too.
    """
    attributes = {one.name: {*one.left.attributes, *one.right.attributes} for one in diff.branch_diffs}
    for one in diff.branch_diffs if everything else ():
        for side in (one.left, one.right):
            for name, names in side.tree_attributes().items():
                attributes[name] = {*attributes.get(name, ()), *names}
    destination = next((one.right.tree for one in diff.branch_diffs), "")
    kinds = [
        (verb, name, attribute)
        for name, names in attributes.items()
        for attribute in ("", *sorted(names))
        for verb in (("update", "add", "remove") if attribute else ("new", "old"))
    ]
    return {kind: method_name(*kind, destination) for kind in kinds}


def translated(action: native.Action, destination: str) -> Action:
    """Return a native action as one of this module, given the name of the destination's branch."""
    return Action(
        idnumber=action.idnumber,
        obj=action.dest if action.source is None else action.source,
        source=action.source,
        dest=action.dest,
        method=method_name(action.verb, action.branch, action.attr, destination),
        attribute=action.attr or None,
        value=action.value,
        old_value=action.old_value,
    )


@attrs.frozen(eq=False, repr=False)
class Difference(Diff):
    """A diff that knows what could not be compared.

    Args:
        errors: An action for each attribute that one side lacks, and each value that names nothing.
    """

    errors: Sequence[Action] = attrs.field(default=(), kw_only=True)

    @property
    def destination(self) -> str:
        """The name of the destination's branch."""
        return next((one.right.tree for one in self.branch_diffs), "")


class Actions(Iterable[Action]):
    """The changes that make a destination equal to its source, as ``source > destination`` gives them.

    Every loop over them and every ``|`` compares again, so that they are never stale; ``next()`` iterates once, like a
    generator. Those of ``source - destination`` are what was compared at that moment.

    Args:
        source: A branch, or a subbranch.
        destination: Another one of the same kind.
    """

    def __init__(self, source: Any, destination: Any) -> None:
        self._sides: tuple[Any, Any] = source, destination
        self._left: Iterator[Action] | None = None

    @property
    def diff(self) -> Diff:
        """The difference, as it is now."""
        source, destination = self._sides
        found: Diff = source.diff(destination)
        return found

    def __iter__(self) -> Iterator[Action]:
        diff = self.diff
        for action in diff:
            yield translated(action, diff.destination)  # type: ignore[attr-defined]  # of a Difference
        yield from diff.errors  # type: ignore[attr-defined]  # as above

    def __next__(self) -> Action:
        if self._left is None:
            self._left = iter(self)
        return next(self._left)

    def __or__(self, template: Any) -> Report:
        if isinstance(template, types.FunctionType):
            name = template.__name__
            message = f"{name} is a function, not a template: write `class {name}(DefaultTemplate):` rather than `def`"
            raise TemplateError(message)
        report: Report = self.diff | template
        return report

    def __bool__(self) -> bool:
        message = "actions are neither true nor false before they are compared: write `if source - destination`"
        raise TypeError(message)

    def __repr__(self) -> str:
        source, destination = self._sides
        return f"<Actions {source!r} > {destination!r}>"


class Differences(Actions):
    """What ``source - destination`` gives: `Actions` that were compared at that moment, true if there are any."""

    def __init__(self, source: Any, destination: Any) -> None:
        super().__init__(source, destination)
        self._diff: Diff = super().diff

    @property
    def diff(self) -> Diff:
        """The difference, as it was."""
        return self._diff

    def __bool__(self) -> bool:
        return bool(self._diff)

    def __repr__(self) -> str:
        return repr(self._diff)
