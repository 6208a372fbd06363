"""One side of a comparison: objects under their keys, and the names of what is compared."""

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
    """A branch, as far as a comparison must know it.

    Args:
        tree: The tree's name, for messages; may be empty.
        branch: The branch's name.
        owner: The name of the objects' class, for messages.
        objects: The objects under their keys.
        attributes: The names of what is synced, sorted.
        flexible: Those among them that may hold values of several types, because they are declared so.
        declared: The declared types of attributes, as a person writes them.
        sparse: Whether an object may lack an attribute that others have; it then counts as None.
        overrides: Values that stand before the objects' own, by key and attribute.
        references: For attributes that hold idnumbers: the name of the branch they are of.
        children: For each branch whose objects belong to objects of this one: the field that says which.
        held: Those among them where it is a field of the parents, which holds idnumbers of children; elsewhere it is
            one of the children, which holds the parent's.
        flagged: Whether an object may have flags of its own.
        rejected: How many rows were refused when this, or a branch it is derived from, was imported.
        fold: Takes an action that was carried out into the branch, with the source's values as far as they matter
            (all of a new object, and the attribute that a member is removed from), and the object that was made of
            a new one, or None.
        fold_all: Does so for many actions of one verb at once, with the columns of the source's values of new
            objects; says False if it did nothing, since they must be taken in one by one.
        settle: Lets the branch, and those it refers to, take in what was carried out and is only noted so far;
            ``objects`` and ``referred`` then have it.
        unread: Whether there is something to import, and it never was.
        referred: The keys of the branches that ``references`` names, by branch, as far as they are known.
        reason: Why the objects are in memory, if they might have stayed rows somewhere.
        folded_all: Lets the branch know that actions were carried out that are too many to take in one by one.
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
    held: frozenset[str] = frozenset()
    flagged: bool = False
    rejected: int = 0
    fold: Callable[[Any, Mapping[str, Any], Any], None] | None = None
    fold_all: Callable[[str, Sequence[Any], Mapping[str, Sequence[Any]]], bool] | None = None
    settle: Callable[[], None] = _nothing
    unread: bool = False
    referred: Mapping[str, Collection[Any]] = attrs.field(factory=dict)
    reason: str = ""
    folded_all: Callable[[], None] | None = None

    @property
    def holding(self) -> tuple[str, ...]:
        """The fields that hold children; they are compared through the hierarchy, and are no attributes."""
        return tuple(field for branch, field in self.children.items() if branch in self.held)

    @property
    def name(self) -> str:
        """The branch as a person would name it: ``source.users``."""
        return f"{self.tree}.{self.branch}" if self.tree else self.branch or self.owner

    def read(self, key: Any, item: Any, attribute: str) -> Any:
        """Return the value of an attribute.

        Raises:
            ComparisonError: if a property raises, saying whose and what.
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

    def reader(self) -> Callable[[Any, Any], Sequence[Any]]:
        """Return what gives the values of all attributes of an object, given its key and itself.

        It costs one call in C an object, where nothing is missing and nothing stands before the object's own values.
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

    def together(self, keys: Sequence[Any], items: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the values of many objects, given their keys and themselves: a column an attribute, in their order.

        It costs one call in C an object, which is looked at once, as it is mostly in no cache.
        """
        if self._plain and len(self.attributes) > 1:
            with suppress(Exception):  # an attribute is missing or a property fails: `read` knows which
                return self._columns_of(map(attrgetter(*self.attributes), items))
        return self._columns_of(map(self.reader(), keys, items))

    def _columns_of(self, rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
        return list(zip(*rows, strict=True)) or [()] * len(self.attributes)

    @property
    def _plain(self) -> bool:
        """Whether nothing stands before the objects' own values."""
        return not self.overrides and not any("." in name for name in self.attributes)

    def columns(self, keys: Sequence[Any], items: Sequence[Any]) -> dict[str, Sequence[Any]]:
        """Return the values of each attribute of many objects, given their keys and themselves."""
        return dict(zip(self.attributes, self.together(keys, items), strict=True))

    def cells(self, key: Any, item: Any) -> Iterator[Any]:
        """Yield all that is synced of an object, for somebody to look at: what cannot be read as what is wrong."""
        for attribute in self.attributes:
            try:
                yield self.read(key, item, attribute)
            except ComparisonError as error:
                yield str(error)

    def values(self, key: Any) -> dict[str, Any]:
        """Return all that is synced of one object."""
        item = self.objects[key]
        return {attribute: self.read(key, item, attribute) for attribute in self.attributes}
