"""Diffs as in diffsync: by model and name, nested like the models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING, Any

from datastoresync.masking import MASK
from datastoresync.vocabularies.dsync.enum import DiffSyncActions
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists
from datastoresync.vocabularies.dsync.utils import OrderedDefaultDict, intersection

if TYPE_CHECKING:
    from datastoresync.applying.report import Report


Text = str  # what `str` and `dict` are in the rest of the classes are methods
Dictionary = dict

_COUNTED = (DiffSyncActions.CREATE, DiffSyncActions.UPDATE, DiffSyncActions.DELETE, "no-change")

Groups = dict[str, list[Any]]
"""By model, in order: elements; or, of equal models with equal ones below, both in a tuple with the groups below."""


class Diff:
    """The changes that make a destination equal to its source, by model and name.

    `Adapter.diff_from` makes it, and ``report`` has the results of a sync. A subclass may set the order of elements in
    `dict` and in a sync, with a method ``order_children_<modelname>(self, children)`` that yields the elements of such
    a mapping; an element that it omits is not synced.
    """

    def __init__(self) -> None:
        self.models_processed = 0
        self.report: Report | None = None
        self.adapters: tuple[Any, Any] | None = None  # the source and the destination
        self._children: OrderedDefaultDict[Text, Dictionary[Text, DiffElement]] = OrderedDefaultDict(Dictionary)
        self._waiting: Groups = {}
        self._equal = 0  # models in the tuples that wait
        self._make: Callable[[Any, Any], DiffElement] | None = None

    def fill(self, groups: Groups, equal: int, make: Callable[[Any, Any], DiffElement]) -> None:
        """Set the content, of which elements for equal models are made when somebody asks for them.

        Args:
            groups: The content.
            equal: The number of models of each side in its tuples.
            make: Makes the element of two equal models.
        """
        self._waiting, self._equal, self._make = groups, equal, make
        if type(self).add is not Diff.add:
            self._load()

    def _load(self) -> None:
        groups, make = self._waiting, self._make
        self._waiting, self._equal = {}, 0
        for group, entries in groups.items():
            names = self._children.get(group, {})
            for entry in entries:
                element = entry
                if type(entry) is tuple and make is not None:
                    source, dest, below = entry
                    element = make(source, dest)
                    if below:
                        equal = sum(map(_count, below.values()))
                        element.child_diff.fill(below, equal, make)
                if element.name in names:  # siblings with one short name
                    element.name = element.unique_id
                self.add(element)
                names = self._children[group]

    @property
    def children(self) -> OrderedDefaultDict[Text, Dictionary[Text, DiffElement]]:
        """The elements by model and name, with those of equal models."""
        if self._waiting:
            self._load()
        return self._children

    @children.setter
    def children(self, children: OrderedDefaultDict[Text, Dictionary[Text, DiffElement]]) -> None:
        self._children, self._waiting, self._equal = children, {}, 0

    def complete(self) -> None:
        """Do something with the complete diff; a hook."""

    def add(self, element: DiffElement) -> None:
        """Add an element.

        Raises:
            ObjectAlreadyExists: if there is one of its type and name.
        """
        group = self.children[element.type]
        if element.name in group:
            message = f"Already storing a {element.type} named {element.name}"
            raise ObjectAlreadyExists(message, element)
        group[element.name] = element

    def groups(self) -> list[Text]:
        """Return the names of the models."""
        return list(self.children)

    def _known(self) -> Iterator[tuple[Text, Iterable[DiffElement]]]:
        """Yield by model the elements that there are, with all that differ."""
        for group, elements in self._children.items():
            yield group, elements.values()
        for group, entries in self._waiting.items():
            yield group, [entry for entry in entries if type(entry) is not tuple]

    def has_diffs(self) -> bool:
        """Say whether there is any difference."""
        return any(element.has_diffs() for _, group in self._known() for element in group)

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements, each model's in its order."""
        for group in self.groups():
            yield from getattr(self, f"order_children_{group}", self.order_children_default)(self.children[group])

    def elements(self) -> Iterable[DiffElement]:
        """Return all elements in their order, but without those of equal models if that order is the usual one."""
        cls: Any = type(self)
        if _has_own_order(cls):
            return self.get_children()
        return (element for _, group in self._known() for element in group)

    @classmethod
    def order_children_default(cls, children: Mapping[Text, DiffElement]) -> Iterator[DiffElement]:
        """Yield elements in the order of their models: the source's first, then others of the destination."""
        yield from children.values()

    def unchanged(self) -> Iterator[Any]:
        """Yield the destination's models, at any depth, that are equal and have no element yet."""
        waiting = list(self._waiting.values())
        for entries in waiting:
            for entry in entries:
                if type(entry) is tuple:
                    yield entry[1]
                    waiting += (entry[2] or {}).values()

    def __len__(self) -> int:
        return sum(map(len, self.elements())) + self._equal

    def __bool__(self) -> bool:
        return bool(self._children or self._waiting)

    def counts(self) -> Dictionary[Text, int]:
        """Return the numbers of models to create, update and delete, and of equal ones."""
        counts = dict.fromkeys(_COUNTED, 0)
        for element in self.elements():
            element.count(counts)
        counts["no-change"] += self._equal
        return counts

    def summary(self) -> Dictionary[Text, int]:
        """Return the numbers of models to create, update and delete, and of equal and skipped ones."""
        counts = self.counts()
        on_both_sides = counts[DiffSyncActions.UPDATE] + counts["no-change"]
        skipped = max(self.models_processed - sum(counts.values()) - on_both_sides, 0)  # 0 in a diff made by hand
        return {**counts, DiffSyncActions.SKIP: skipped}

    def str(self, indent: int = 0) -> Text:
        """Return the differences as text, a line each."""
        margin = " " * indent
        lines = []
        for group, elements in self._known():
            shown = [element.str(indent + 2) for element in elements if element.has_diffs()]
            lines += [f"{margin}{group}", *shown] if shown else []
        return "\n".join(lines) or "(no diffs)"

    def print_detailed(self, indent: int = 0) -> None:
        """Print the differences."""
        print(self.str(indent))  # noqa: T201 - its purpose

    def dict(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return the differences as dictionaries, by model and name."""
        found: Dictionary[Text, Dictionary[Text, Any]] = {}
        for element in self.elements():
            if element.has_diffs():
                found.setdefault(element.type, {})[element.name] = element.dict()
        return found


@lru_cache(maxsize=64)
def _has_own_order(cls: Any) -> bool:
    """Say whether a class yields its elements in an order of its own."""
    methods = (name for name in dir(cls) if name.startswith("order_children_"))
    return cls.get_children is not Diff.get_children or any(
        getattr(getattr(cls, name), "__func__", None) is not _DEFAULT_ORDER for name in methods
    )


_DEFAULT_ORDER = Diff.__dict__["order_children_default"].__func__


def _count(entries: Sequence[Any]) -> int:
    """Return the number of equal models in entries that all are tuples."""
    return len(entries) + sum(_count(group) for *_, below in entries if below for group in below.values())


@total_ordering
class DiffElement:
    """One model in a diff.

    Args:
        obj_type: The model's name.
        name: The short name, unique among its siblings.
        keys: Its identifiers and their values.
        source_name: The name of the source.
        dest_name: The name of the destination.
        diff_class: The class of the diff of its children.

    ``unique_id``, ``source`` and ``dest`` are the unique id and the models, where `Adapter.diff_from` made it.
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
                message = f"{what} must be a string (not {type(value)})"
                raise ValueError(message)  # noqa: TRY004 - a ValueError in diffsync
        self.type = obj_type
        self.name = name
        self.keys = keys
        self.source_name = source_name
        self.dest_name = dest_name
        self.source_attrs: Dictionary[Text, Any] | None = None
        self.dest_attrs: Dictionary[Text, Any] | None = None
        self.unique_id = name
        self.source: Any = None
        self.dest: Any = None
        self.sensitive: Collection[Text] = ()
        self._diff_class = diff_class
        self._child_diff: Diff | None = None

    @property
    def child_diff(self) -> Diff:
        """The elements below this one."""
        if self._child_diff is None:
            self._child_diff = self._diff_class()
        return self._child_diff

    @child_diff.setter
    def child_diff(self, diff: Diff) -> None:
        self._child_diff = diff

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiffElement):
            return NotImplemented
        left, right = ((one.type, one.name, one.keys, one.source_attrs, one.dest_attrs) for one in (self, other))
        return left == right

    def __lt__(self, other: DiffElement) -> bool:
        return (self.type, self.name) < (other.type, other.name)

    __hash__ = None  # type: ignore[assignment]  # it changes, and is equal to others

    def __str__(self) -> Text:
        sides = f"{self.source_name} → {self.dest_name}"
        return f'{self.type} "{self.name}" : {self.keys} : {sides} : {self.shown_diffs()}'

    def __repr__(self) -> Text:
        return f"<DiffElement {self.type} {self.name!r}: {self.action or 'no change'}>"

    def __len__(self) -> int:
        return 1 + sum(map(len, self.get_children()))

    @property
    def action(self) -> Text | None:
        """The action on the model itself: create, update, delete, or None."""
        if self.dest_attrs is None:
            return None if self.source_attrs is None else DiffSyncActions.CREATE
        if self.source_attrs is None:
            return DiffSyncActions.DELETE
        return DiffSyncActions.UPDATE if self._differing() else None

    def _differing(self) -> list[Text]:
        source, dest = self.source_attrs or {}, self.dest_attrs or {}
        return [name for name in dest if name in source and differ(source[name], dest[name])]

    def add_attrs(self, source: Dictionary[Text, Any] | None = None, dest: Dictionary[Text, Any] | None = None) -> None:
        """Set the attributes of the source's or the destination's model, if not None."""
        self.source_attrs = self.source_attrs if source is None else source
        self.dest_attrs = self.dest_attrs if dest is None else dest

    def get_attrs_keys(self) -> Iterable[Text]:
        """Return the names of the attributes of both sides, or of the only side."""
        if self.source_attrs is not None and self.dest_attrs is not None:
            return intersection(list(self.dest_attrs), list(self.source_attrs))
        only = self.dest_attrs if self.source_attrs is None else self.source_attrs
        return [] if only is None else only.keys()

    def get_attrs_diffs(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return the differing attributes: ``"+"`` for the source, ``"-"`` for the destination."""
        both = self.source_attrs is not None and self.dest_attrs is not None
        names = self._differing() if both else list(self.get_attrs_keys())
        sides = (("-", self.dest_attrs), ("+", self.source_attrs))
        return {sign: {name: held[name] for name in names} for sign, held in sides if held is not None}

    def shown_diffs(self) -> Dictionary[Text, Any]:
        """Return the differences for people and logs: values of sensitive attributes are masked."""
        found = self.get_attrs_diffs()
        return {side: _masked(values, self.sensitive) for side, values in found.items()} if self.sensitive else found

    def add_child(self, element: DiffElement) -> None:
        """Add an element below this one."""
        self.child_diff.add(element)

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements below this one, each model's in its order."""
        if self._child_diff is not None:
            yield from self._child_diff.get_children()

    def unchanged(self) -> Iterable[Any]:
        """Return the equal models below this one that have no element yet; see `Diff.unchanged`."""
        return () if self._child_diff is None else self._child_diff.unchanged()

    def elements(self) -> Iterable[DiffElement]:
        """Return the elements below this one; see `Diff.elements`."""
        return () if self._child_diff is None else self._child_diff.elements()

    def has_diffs(self, include_children: bool = True) -> bool:  # noqa: FBT001, FBT002 - diffsync's order
        """Say whether the model differs, or something below it."""
        return self.action is not None or (include_children and self._differs_below())

    def _differs_below(self) -> bool:
        return self._child_diff is not None and self._child_diff.has_diffs()

    def count(self, counts: Dictionary[Text, int]) -> None:
        """Add the numbers of models from here on to create, update and delete, and of equal ones, to ``counts``."""
        counts[self.action or "no-change"] += 1
        if self._child_diff is not None:
            for action, number in self._child_diff.counts().items():
                counts[action] += number

    def summary(self) -> Dictionary[Text, int]:
        """Return the numbers of models from here on to create, update and delete, and of equal ones."""
        counts = dict.fromkeys(_COUNTED, 0)
        self.count(counts)
        return counts

    def str(self, indent: int = 0) -> Text:
        """Return the differences from here on as text, a line each."""
        margin = " " * indent
        found = f"{margin}{self.type}: {self.name}"
        below = self._differs_below()
        if self.source_attrs is None and self.dest_attrs is None:
            found += "" if below else " (no diffs)"
        elif self.source_attrs is None or self.dest_attrs is None:
            found += f" MISSING in {self.source_name if self.source_attrs is None else self.dest_name}"
        else:
            diffs = self.shown_diffs()
            for name, value in diffs["+"].items():
                found += f"\n{margin}  {name}    {self.source_name}({value})    {self.dest_name}({diffs['-'][name]})"
        return f"{found}\n{self.child_diff.str(indent + 2)}" if below else found

    def dict(self) -> Dictionary[Text, Any]:
        """Return the differences from here on as dictionaries."""
        return {**self.get_attrs_diffs(), **(self.child_diff.dict() if self._differs_below() else {})}


def differ(left: Any, right: Any) -> bool:
    """Say whether two values differ; a number that is none (NaN) is equal to itself."""
    return bool(left != right) and not bool(left != left and right != right)  # noqa: PLR0124 - what NaN is known by


def _masked(values: Mapping[str, Any], sensitive: Collection[str]) -> Dictionary[str, Any]:
    return {name: MASK if name in sensitive else value for name, value in values.items()}
