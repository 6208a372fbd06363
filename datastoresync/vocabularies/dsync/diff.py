"""Diffs as diffsync has them: what differs and what does not, by model and name, nested as the models are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import total_ordering
from typing import TYPE_CHECKING, Any

from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists
from datastoresync.vocabularies.dsync.flags import DiffSyncActions
from datastoresync.vocabularies.dsync.listed import same

if TYPE_CHECKING:
    from datastoresync.applying.report import Report
    from datastoresync.diffing.diff import Diff as Native
    from datastoresync.vocabularies.dsync.elements import Elements

__all__ = ["Diff", "DiffElement"]

Text = str  # what `str` and `dict` are in the rest of the classes are methods
Dictionary = dict

_COUNTED = (DiffSyncActions.CREATE, DiffSyncActions.UPDATE, DiffSyncActions.DELETE, "no-change")


class Diff:
    """What a destination must do to become its source, by model and name.

    `Adapter.diff_from` makes it. ``native`` is the diff that it is made of, and ``report`` what a sync with it did.
    Subclass it, with a method ``order_children_<modelname>(self, children)`` that yields the elements of such a
    mapping, to say in which order things are shown and done; an element that it leaves out is not done.
    """

    def __init__(self) -> None:
        self._elements: Dictionary[Text, Dictionary[Text, DiffElement]] = defaultdict(Dictionary)
        self.rest: Callable[[], Dictionary[Text, Dictionary[Text, DiffElement]]] | None = None
        self.native: Native | None = None
        self.made: Elements | None = None
        self.report: Report | None = None
        self.unchanged = 0
        self.models_processed = 0
        self.skipped = 0

    @property
    def children(self) -> Dictionary[Text, Dictionary[Text, DiffElement]]:
        """The elements by model and name, with those of models that do not differ."""
        if self.rest is not None:
            rest, self.rest = self.rest, None
            self._elements = defaultdict(Dictionary, rest())
        return self._elements

    @property
    def differing(self) -> Dictionary[Text, Dictionary[Text, DiffElement]]:
        """The elements by model and name, without those that nobody has asked for as yet since nothing differs."""
        return self._elements

    def complete(self) -> None:
        """Hear that the diff is complete. Override it to keep the diff somewhere."""

    def add(self, element: DiffElement) -> None:
        """Take an element.

        Raises:
            ObjectAlreadyExists: if there is one of its type and name.
        """
        group = self._elements[element.type]
        if element.name in group:
            message = f"the diff has a {element.type} {element.name!r} already"
            raise ObjectAlreadyExists(message, element)
        group[element.name] = element

    def groups(self) -> list[Text]:
        """Return the names of the models."""
        return list(self.children)

    def has_diffs(self) -> bool:
        """Say whether anything differs."""
        return any(element.has_diffs() for group in self._elements.values() for element in group.values())

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements, each model's in its order."""
        for group, elements in self.children.items():
            yield from self.in_order(group, elements)

    def in_order(self, group: Text, elements: Dictionary[Text, DiffElement]) -> Iterable[DiffElement]:
        """Return elements of one model in the order that a subclass gives them."""
        found: Iterable[DiffElement] = getattr(self, f"order_children_{group}", self.order_children_default)(elements)
        return found

    @classmethod
    def order_children_default(cls, children: Dictionary[Text, DiffElement]) -> Iterator[DiffElement]:
        """Yield elements in the order in which their models were added."""
        yield from children.values()

    def __len__(self) -> int:
        counts = self.summary()
        return sum(counts[action] for action in _COUNTED)

    def summary(self) -> Dictionary[Text, int]:
        """Return how many models are to be created, updated and deleted, do not differ, and were skipped."""
        counts = dict.fromkeys(_COUNTED, 0)
        native = self.native is not None
        for group in (self._elements if native else self.children).values():
            for element in group.values():
                for action, count in (element.changes() if native else element.summary()).items():
                    counts[action] += count
        if native:
            counts["no-change"] = self.unchanged
        return {**counts, DiffSyncActions.SKIP: self.skipped}

    def str(self, indent: int = 0) -> Text:
        """Return what differs as text, a line each."""
        margin = " " * indent
        lines = []
        for group, elements in self._elements.items():
            shown = [element.str(indent + 2) for element in elements.values() if element.has_diffs()]
            lines += [f"{margin}{group}", *shown] if shown else []
        return "\n".join(lines) or "(no diffs)"

    def print_detailed(self, indent: int = 0) -> None:
        """Print what differs."""
        print(self.str(indent))  # noqa: T201 - that is what it is for

    def dict(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return what differs as dictionaries, by model and name."""
        found: Dictionary[Text, Dictionary[Text, Any]] = {}
        for group, elements in self._elements.items():
            for element in self.in_order(group, elements):
                if element.has_diffs():
                    found.setdefault(group, {})[element.name] = element.dict()
        return found


@total_ordering
class DiffElement:
    """One model in a diff.

    Args:
        obj_type: The model's name.
        name: The short name, or whatever names it among its siblings.
        keys: Its identifiers and their values.
        source_name: What the source is called.
        dest_name: What the destination is called.
        diff_class: What its children are kept in.
    """

    def __init__(
        self,
        obj_type: Text,
        name: Text,
        keys: Dictionary[Text, Any],
        source_name: Text = "source",
        dest_name: Text = "dest",
        diff_class: type[Diff] = Diff,
    ) -> None:
        for what, value in (("obj_type", obj_type), ("name", name)):
            if not isinstance(value, Text):
                message = f"{what} must be text (got {value!r})"
                raise ValueError(message)  # noqa: TRY004 - a ValueError in diffsync
        self.type = obj_type
        self.name = name
        self.keys = keys
        self.source_name = source_name
        self.dest_name = dest_name
        self.source_attrs: Dictionary[Text, Any] | None = None
        self.dest_attrs: Dictionary[Text, Any] | None = None
        self.child_diff = diff_class()

    def _place(self) -> tuple[Text, Text]:
        return self.type, self.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiffElement):
            return NotImplemented
        mine, theirs = ((one.keys, one.source_attrs, one.dest_attrs) for one in (self, other))
        return self._place() == other._place() and mine == theirs

    def __lt__(self, other: DiffElement) -> bool:
        return self._place() < other._place()

    __hash__ = None  # type: ignore[assignment]  # it changes, and is equal to others

    def __str__(self) -> Text:
        sides = f"{self.source_name} → {self.dest_name}"
        return f'{self.type} "{self.name}" : {self.keys} : {sides} : {self.get_attrs_diffs()}'

    def __repr__(self) -> Text:
        return f"<DiffElement {self.type} {self.name!r}: {self.action or 'no change'}>"

    def __len__(self) -> int:
        return 1 + sum(map(len, self.get_children()))

    @property
    def action(self) -> Text | None:
        """What is to be done with the model itself: create, update, delete, or None for nothing."""
        if self.dest_attrs is None:
            return None if self.source_attrs is None else DiffSyncActions.CREATE
        if self.source_attrs is None:
            return DiffSyncActions.DELETE
        return DiffSyncActions.UPDATE if self._differing() else None

    def _differing(self) -> list[Text]:
        source, dest = self.source_attrs or {}, self.dest_attrs or {}
        return [name for name in dest if name in source and not same(source[name], dest[name])]

    def add_attrs(self, source: Dictionary[Text, Any] | None = None, dest: Dictionary[Text, Any] | None = None) -> None:
        """Take the attributes of the source's or the destination's model, whichever is not None."""
        self.source_attrs = self.source_attrs if source is None else source
        self.dest_attrs = self.dest_attrs if dest is None else dest

    def get_attrs_keys(self) -> list[Text]:
        """Return the names of the attributes that both sides have, or the one side that there is."""
        if self.source_attrs is None or self.dest_attrs is None:
            return list(self.source_attrs or self.dest_attrs or ())
        return [name for name in self.dest_attrs if name in self.source_attrs]

    def get_attrs_diffs(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return the differing attributes: under ``"+"`` as the source has them, under ``"-"`` as the destination."""
        both = self.source_attrs is not None and self.dest_attrs is not None
        names = self._differing() if both else self.get_attrs_keys()
        sides = (("-", self.dest_attrs), ("+", self.source_attrs))
        return {sign: {name: held[name] for name in names} for sign, held in sides if held is not None}

    def add_child(self, element: DiffElement) -> None:
        """Take an element below this one."""
        self.child_diff.add(element)

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements below this one, each model's in its order."""
        yield from self.child_diff.get_children()

    def has_diffs(self, include_children: bool = True) -> bool:  # noqa: FBT001, FBT002 - diffsync's order
        """Say whether the model differs, or something below it."""
        return self.action is not None or (include_children and self.child_diff.has_diffs())

    def summary(self) -> Dictionary[Text, int]:
        """Return how many models from here on are to be created, updated and deleted, and do not differ."""
        counts = dict.fromkeys(_COUNTED, 0)
        counts[self.action or "no-change"] += 1
        for child in self.get_children():
            for action, count in child.summary().items():
                counts[action] += count
        return counts

    def changes(self) -> Dictionary[Text, int]:
        """Return how many models from here on are to be created, updated and deleted."""
        counts = {self.action: 1} if self.action is not None else {}
        for group in self.child_diff.differing.values():
            for child in group.values():
                for action, count in child.changes().items():
                    counts[action] = counts.get(action, 0) + count
        return counts

    def str(self, indent: int = 0) -> Text:
        """Return what differs from here on as text, a line each."""
        margin = " " * indent
        found = f"{margin}{self.type}: {self.name}"
        if self.source_attrs is None and self.dest_attrs is None:
            found += "" if self.child_diff.has_diffs() else " (no diffs)"
        elif self.source_attrs is None or self.dest_attrs is None:
            found += f" MISSING in {self.source_name if self.source_attrs is None else self.dest_name}"
        else:
            for name in self._differing():
                values = f"{self.source_name}({self.source_attrs[name]})    {self.dest_name}({self.dest_attrs[name]})"
                found += f"\n{margin}  {name}    {values}"
        return f"{found}\n{self.child_diff.str(indent + 2)}" if self.child_diff.has_diffs() else found

    def dict(self) -> Dictionary[Text, Any]:
        """Return what differs from here on as dictionaries."""
        return {**self.get_attrs_diffs(), **self.child_diff.dict()}
