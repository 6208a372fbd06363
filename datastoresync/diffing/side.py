"""One side of a comparison: the objects of a branch by key, and the attributes to compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

import attrs

from datastoresync.errors import ComparisonError


def _nothing() -> None:
    pass


@attrs.frozen(eq=False)
class Side:
    """A branch as comparisons and safeguards see it.

    Args:
        tree: The tree's name, for messages; may be empty.
        branch: The branch's name.
        owner: The name of the objects' class, for messages.
        objects: The objects by key.
        attributes: The names of the synced attributes, sorted.
        flexible: Those declared to hold values of several types.
        declared: The declared types of attributes, as source code.
        sparse: Whether objects may lack an attribute that others have; it then counts as None.
        overrides: Values that replace those of the objects, by key and attribute.
        references: The branch that the idnumbers in an attribute refer to, by attribute.
        children: The field that links parent and child, by the branch of the children.
        held_children: The branches among them whose children a field of the parent lists; of the others, a field of the
            child names the parent.
        flagged: Whether an object may have flags of its own.
        rejected: The number of rows refused by the import of this branch, or of one that it is derived from.
        fold: Folds an action that was carried out into the branch, given the source's values (all of a new object; of
            a removal the attribute), and the object that the template returned for a new one, or None.
        fold_all: Folds many actions of one verb, given columns of the source's values of new objects; returns False
            if it folded none, so that the caller must fold them one by one.
        settle: Makes the branch, and those it refers to, apply what was folded lazily, so that ``objects`` and
            ``referenced_keys`` are up to date.
        not_imported: Whether the branch has an importer, and was never imported.
        referenced_keys: The keys of the branches that ``references`` names, by branch; of a tree only.
        reason: Why the objects are in memory, if they might have stayed rows somewhere.
        expire: Marks the branch as out of date, after more actions than can be folded one by one.
    """

    tree: str
    branch: str
    owner: str
    objects: Mapping[Any, Any]
    attributes: tuple[str, ...]
    flexible: frozenset[str] = frozenset()
    declared: Mapping[str, str] = attrs.field(factory=dict)
    sparse: bool = False
    overrides: Mapping[Any, Mapping[str, Any]] = attrs.field(factory=dict)
    references: Mapping[str, str] = attrs.field(factory=dict)
    children: Mapping[str, str] = attrs.field(factory=dict)
    held_children: frozenset[str] = frozenset()
    flagged: bool = False
    rejected: int = 0
    fold: Callable[[Any, Mapping[str, Any], Any], None] | None = None
    fold_all: Callable[[str, Sequence[Any], Mapping[str, Sequence[Any]]], bool] | None = None
    settle: Callable[[], None] = _nothing
    not_imported: bool = False
    referenced_keys: Mapping[str, Collection[Any]] = attrs.field(factory=dict)
    reason: str = ""
    expire: Callable[[], None] | None = None

    @property
    def child_fields(self) -> tuple[str, ...]:
        """The fields that list children; the hierarchy compares them, they are no attributes."""
        return tuple(field for branch, field in self.children.items() if branch in self.held_children)

    @property
    def name(self) -> str:
        """The display name: ``source.users``."""
        return f"{self.tree}.{self.branch}" if self.tree else self.branch or self.owner

    def read(self, key: Any, item: Any, attribute: str) -> Any:
        """Return the value of an attribute.

        Raises:
            ComparisonError: if a property raises.
        """
        if self.overrides and attribute in self.overrides.get(key, ()):
            return self.overrides[key][attribute]
        try:
            return getattr(item, attribute)
        except Exception as error:
            if self.sparse and isinstance(error, AttributeError) and not hasattr(type(item), attribute):
                return None
            reason = f"{type(error).__name__}: {error}"
            message = (
                f"{self.name}[{key!r}].{attribute} raised {reason}; mend the data, or the property of {self.owner}"
            )
            raise ComparisonError(message) from error

    def _row_reader(self) -> Callable[[Any, Any], Sequence[Any]]:
        """Return a function from key and object to the values of all attributes.

        One call in C an object, unless an attribute is missing or overridden.
        """
        names = self.attributes

        def slowly(key: Any, item: Any) -> Sequence[Any]:
            return [self.read(key, item, name) for name in names]

        if len(names) < 2 or not self._plain:
            return slowly
        get = attrgetter(*names)

        def quickly(key: Any, item: Any) -> Sequence[Any]:
            try:
                values: Sequence[Any] = get(item)
            except Exception:  # noqa: BLE001 - an attribute is missing or a property fails: `read` knows which
                return slowly(key, item)
            return values

        return quickly

    def value_columns(self, keys: Sequence[Any], items: Sequence[Any]) -> list[Sequence[Any]]:
        """Return a column of values for each attribute, given keys and objects.

        One call in C an object, which is visited only once, since it is rarely in the processor's cache.
        """
        if self._plain and len(self.attributes) > 1:
            with suppress(Exception):  # an attribute is missing or a property fails: `read` knows which
                return self._columns_of(map(attrgetter(*self.attributes), items))
        return self._columns_of(map(self._row_reader(), keys, items))

    def _columns_of(self, rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
        return list(zip(*rows, strict=True)) or [()] * len(self.attributes)

    @property
    def _plain(self) -> bool:
        """Whether `attrgetter` reads the attributes: no overrides, and no dots in their names."""
        return not self.overrides and not any("." in name for name in self.attributes)

    def columns(self, keys: Sequence[Any], items: Sequence[Any]) -> dict[str, Sequence[Any]]:
        """Return the columns of values by attribute, given keys and objects."""
        return dict(zip(self.attributes, self.value_columns(keys, items), strict=True))

    def cells(self, key: Any, item: Any) -> Iterator[Any]:
        """Yield the synced values of an object for display; an error message where a property raises."""
        for attribute in self.attributes:
            try:
                yield self.read(key, item, attribute)
            except ComparisonError as error:
                yield str(error)

    def values(self, key: Any) -> dict[str, Any]:
        """Return the synced values of one object."""
        item = self.objects[key]
        return {attribute: self.read(key, item, attribute) for attribute in self.attributes}
