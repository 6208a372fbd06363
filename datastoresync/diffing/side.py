"""One side of a comparison, and the comparison of two in memory: the reference for every engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import compress, filterfalse, islice, repeat
from operator import attrgetter, is_not, itemgetter, not_
from typing import Any, Protocol

import attrs

from datastoresync.conversion.indexed_field import IndexedField
from datastoresync.conversion.key_forms import Forms
from datastoresync.conversion.lookalikes import lookalike_form
from datastoresync.diffing.equality import columns_differ, equal_inside, rows_differ
from datastoresync.errors import ComparisonError
from datastoresync.masking import MASK


def _nothing() -> None:
    pass


_LINKS = frozenset(
    {"fold", "fold_all", "settle", "expire", "forms", "column_forms", "normalized"}
    | {"referenced_spellings", "own", "own_keys"}
)
"""What leads from a side to its branch or the branch's store."""


@attrs.frozen(eq=False, repr=False)
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
        reduced: Copies of new objects without the memberships of what is ignored, by key.
        references: The branch that the idnumbers in an attribute refer to, by attribute.
        children: The field that links parent and child, by the branch of the children.
        held_children: The branches among them whose children a field of the parent lists; of the others, a field of the
            child names the parent.
        correlate: The attributes by which an object is known under another key.
        sensitive: The attributes whose values are not shown.
        flagged: Whether an object may have flags of its own.
        filtered: Whether the import may have left out objects that the store has.
        rejected: The number of rows refused by the import of this branch, or of one that it is derived from.
        warnings: What the import of this branch warned of.
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
        identifiers: The fields that make up the key.
        forms: The one form of keys, and of values that name objects, as classes declare it; the keys, and the values
            that are not ``computed``, have it already.
        column_forms: The one form of both, as the columns of the branch's store have it.
        normalized: What those columns make of other values.
        computed: The names of properties.
        stored: What the store has, by key and attribute, where that is not what the object has, with the fields of the
            key: another spelling, or a value that code of the user's made another of.
        stored_fields: The field that holds what the store has, by property.
        referenced_spellings: Returns a key as the store spells it, by branch; of a tree only.
        own: The side as its branch has it, if keys or values were brought into a form that it does not declare.
        own_keys: The keys that it has instead of these.
        tree_attributes: Returns the names of the synced attributes of all branches of its tree, by branch.
        limits: The `Limits` that its branch and tree declare.
        part: The attribute, or the function of an object, that says which part of the branch an object belongs to.
        active: The attribute that switches objects off; empty if none does.
        empty_parts: The files and branches that the import read and that had no rows, where others had some.
        absent: The fields of the class that no row of the import had.
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
    reduced: Mapping[Any, Any] = attrs.field(factory=dict)
    references: Mapping[str, str] = attrs.field(factory=dict)
    children: Mapping[str, str] = attrs.field(factory=dict)
    held_children: frozenset[str] = frozenset()
    correlate: tuple[str, ...] = ()
    sensitive: frozenset[str] = frozenset()
    flagged: bool = False
    filtered: bool = False
    rejected: int = 0
    warnings: tuple[str, ...] = ()
    fold: Callable[[Any, Mapping[str, Any], Any], None] | None = None
    fold_all: Callable[[str, Sequence[Any], Mapping[str, Sequence[Any]]], bool] | None = None
    settle: Callable[[], None] = _nothing
    not_imported: bool = False
    referenced_keys: Mapping[str, Collection[Any]] = attrs.field(factory=dict)
    reason: str = ""
    expire: Callable[[], None] | None = None
    identifiers: tuple[str, ...] = ("idnumber",)
    forms: Forms = attrs.field(factory=Forms)
    column_forms: Forms = attrs.field(factory=Forms)
    normalized: Mapping[str, Callable[[Any], Any]] = attrs.field(factory=dict)
    computed: frozenset[str] = frozenset()
    stored: Mapping[Any, Mapping[str, Any]] = attrs.field(factory=dict)
    stored_fields: Mapping[str, str] = attrs.field(factory=dict)
    referenced_spellings: Mapping[str, Callable[[Any], Any]] = attrs.field(factory=dict)
    own: Side | None = None
    own_keys: Mapping[Any, Any] = attrs.field(factory=dict)
    tree_attributes: Callable[[], Mapping[str, Sequence[str]]] = dict
    limits: Any = None
    part: str | Callable[[Any], Any] | None = None
    active: str = ""
    empty_parts: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()

    @property
    def child_fields(self) -> tuple[str, ...]:
        """The fields that list children; the hierarchy compares them, they are no attributes."""
        return tuple(field for branch, field in self.children.items() if branch in self.held_children)

    @property
    def name(self) -> str:
        """The display name: ``source.users``."""
        return f"{self.tree}.{self.branch}" if self.tree else self.branch or self.owner

    def declares_document(self, attribute: str) -> bool | None:
        """Say whether lists are values here, as neither ``set`` nor ``list`` is declared; None if nothing is."""
        declared = self.declared.get(attribute)
        if declared is None:
            return None
        return attribute in self.flexible or not declared.startswith(("set", "frozenset", "list"))

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
            declared = getattr(type(item), attribute, None)
            if self.sparse and isinstance(error, AttributeError) and isinstance(declared, IndexedField | None):
                return None
            reason = type(error).__name__ if attribute in self.sensitive else f"{type(error).__name__}: {error}"
            message = (
                f"{self.name}[{key!r}].{attribute} raised {reason}; mend the data, or the property of {self.owner}"
            )
            raise ComparisonError(message) from error

    def flags_of(self, item: Any) -> Iterable[Any]:
        """Return the flags of an object's class, and its own; None for none."""
        return getattr(type(item), "_flags", None), getattr(item, "_flags", None)

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

    @property
    def row_columns(self) -> list[str]:
        """The names over `rows`."""
        return [*self.identifiers, *self.attributes]

    def rows(self, objects: Mapping[Any, Any], *, strict: bool = False) -> Iterator[list[Any]]:
        """Yield the fields of the idnumber and the `cells` of objects."""
        for key, item in objects.items():
            yield [*(getattr(item, name) for name in self.identifiers), *self.cells(key, item, strict=strict)]

    def cells(self, key: Any, item: Any, *, strict: bool = False) -> Iterator[Any]:
        """Yield the synced values of an object, sensitive ones masked.

        Where a property raises, that is an error message, or a `ComparisonError` if it is ``strict``.
        """
        for attribute in self.attributes:
            try:
                yield MASK if attribute in self.sensitive else self.read(key, item, attribute)
            except ComparisonError as error:
                if strict:
                    raise
                yield str(error)

    def shown(self, attribute: str, value: Any) -> str:
        """Return what a message shows of a value of an attribute."""
        return MASK if attribute in self.sensitive else repr(value)

    def values(self, key: Any) -> dict[str, Any]:
        """Return the synced values of one object."""
        item = self.objects[key]
        return {attribute: self.read(key, item, attribute) for attribute in self.attributes}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or deeply copied: the data alone."""
        names = {field.name for field in attrs.fields(type(self))}
        return {name: getattr(self, name) for name in names - _LINKS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # frozen

    # What the store has.

    def spelling(self, key: Any) -> Any:
        """Return a key as the store spells it."""
        return spelling(self.stored, self.identifiers, key)

    def member_spelling(self, key: Any, attribute: str, member: Any, written: Any) -> Any:
        """Return a member of a membership as the store spells it; as it is ``written``, if that was done since."""
        members = self.stored.get(key, {}).get(attribute)
        if not isinstance(members, (set, frozenset, list)) or member in members:
            return member
        form = self.forms.attributes.get(attribute, _lookalike)  # code of the user's may do much as that does
        return next((one for one in members if form(one) == form(member)), written)

    @property
    def as_stored(self) -> bool:
        """Whether the store has just what the objects have."""
        return not self.stored and not self.stored_fields

    def expected(self, key: Any, item: Any, attribute: str) -> Any:
        """Return what the store had in an attribute when it was imported, of the declared type.

        Raises:
            ComparisonError: if a property raises.
        """
        held = self.stored.get(key, {})
        if attribute in held:
            return held[attribute]
        field = self.stored_fields.get(attribute)
        if field is None or attribute in self.overrides.get(key, ()):
            return self.read(key, item, attribute)
        return held[field] if field in held else getattr(item, field, None)

    # What was carried out.

    def take_in(self, action: Any, values: Mapping[str, Any], created: Any = None) -> None:
        """Fold an action into the branch, under its own key there; see ``fold``."""
        if self.fold is None:
            return
        if self.own is None:
            self.fold(action, values, created)
            return
        key = action.idnumber
        value = action.value
        if action.verb == "remove":
            value = self.member_spelling(key, action.attr, value, value)
        self.fold(attrs.evolve(action, idnumber=self.own_keys.get(key, key), value=value), values, created)
        objects: Any = self.objects
        if action.verb == "old":
            objects.pop(key, None)
        elif action.verb == "new" and key in self.own.objects:
            objects[key] = self.own.objects[key]


def _lookalike(member: Any) -> Any:
    return lookalike_form(member) if isinstance(member, str) else member


def spelling(stored: Mapping[Any, Mapping[str, Any]], identifiers: Sequence[str], key: Any) -> Any:
    """Return a key as a store spells it; see ``stored`` of `Side`."""
    held = stored.get(key)
    if not held:
        return key
    if len(identifiers) == 1:
        return held.get(identifiers[0], key)
    return tuple(held.get(name, part) for name, part in zip(identifiers, key, strict=True))


BLOCK_SIZE = 1024
"""Pairs that are compared, and actions that are built, at a time."""

Triple = tuple[Any, Any, Any]
Reader = Callable[[Sequence[Any], Sequence[Any]], Iterable[Sequence[Any]]]
"""Called with keys and objects; returns a column of values for each attribute."""


@attrs.frozen(eq=False, repr=False)
class Block:
    """A block of pairs and their values.

    Args:
        keys: Their keys.
        left: The source's objects.
        right: The destination's.
        columns: The name, the source's values and the destination's values of each attribute.
        differing_columns: The cells that may differ: index of the pair and index of the column, pair by pair.
    """

    keys: Sequence[Any]
    left: Sequence[Any]
    right: Sequence[Any]
    columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]]
    differing_columns: Sequence[tuple[int, int]]


def read_blocks(left: Side, right: Side, pairs: Iterable[Triple]) -> Iterator[Block]:
    """Yield the values of ``(key, left, right)`` triples in blocks.

    Raises:
        ComparisonError: if a property raises.
    """
    return read_columns(left.attributes, pairs, left.value_columns, right.value_columns)


def read_columns(names: Sequence[str], pairs: Iterable[Triple], left: Reader, right: Reader) -> Iterator[Block]:
    """Yield the values of triples in blocks; ``left`` and ``right`` read the columns of the named attributes."""
    rest = iter(pairs)
    while block := list(islice(rest, BLOCK_SIZE)):
        keys, lefts, rights = zip(*block, strict=True)
        columns = list(zip(names, left(keys, lefts), right(keys, rights), strict=True))
        yield Block(keys, lefts, rights, columns, _differing_cells(columns, len(keys)))


def _differing_cells(columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for column, (_, values, old_values) in enumerate(columns):
        try:
            indices = list(compress(range(count), columns_differ(values, old_values)))
        except Exception:  # noqa: BLE001 - some value cannot be compared: find it
            indices = [index for index in range(count) if may_differ(values[index], old_values[index])]
        found += zip(indices, repeat(column))
    return sorted(found)


def may_differ(value: Any, old_value: Any) -> bool:
    """Return whether two values differ, or cannot be compared."""
    try:
        return value is not old_value and bool(value != old_value or not equal_inside(value, old_value))
    except Exception:  # noqa: BLE001 - the closer look says which values cannot be compared
        return True


_CACHE_BLOCK = 512
"""Objects that are compared at a time: few enough to stay in the processor's cache."""


@attrs.frozen(eq=False, repr=False)
class Candidates:
    """The result of an engine: keys of one side only, and pairs that may differ.

    Args:
        new: Keys that only the left side has, sorted.
        old: Keys that only the right side has, sorted.
        pairs: ``(key, left, right)`` for keys of both whose objects may differ, sorted by key.
        matched: How many keys both sides have.
        reason: Why this engine ran, in a few words.
        engine: The name of the engine that ran, if it is not the one that was called.
    """

    new: Sequence[Any]
    old: Sequence[Any]
    pairs: Sequence[Triple]
    matched: int
    reason: str
    engine: str = ""

    streamed = False
    """Whether there are too many for the memory, so that each pass asks the engine again."""

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects that only the left side has, sorted."""
        reduced = left.reduced
        if not reduced:
            return zip(self.new, _objects_of(left, self.new), strict=True)
        return ((key, reduced[key] if key in reduced else left.objects[key]) for key in self.new)

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects that only the right side has, sorted."""
        return zip(self.old, _objects_of(right, self.old), strict=True)

    def __iter__(self) -> Iterator[Triple]:
        """Yield ``(key, left, right)`` triples; None stands for a missing object."""
        yield from self.pairs

    def read(self, left: Side, right: Side) -> Iterator[Block]:
        """Yield the pairs and their values in blocks.

        Raises:
            ComparisonError: if a property raises.
        """
        return read_blocks(left, right, self)


def _objects_of(side: Side, keys: Sequence[Any]) -> Iterable[Any]:
    """Return the objects of some keys; all at once where that makes them sooner."""
    some: Callable[[Sequence[Any]], Iterable[Any]] | None = getattr(side.objects, "some", None)
    return map(side.objects.__getitem__, keys) if some is None else some(keys)


def object_blocks(objects: Mapping[Any, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield keys and objects in blocks, in order of insertion where the mapping has one.

    Objects created one after the other lie next to each other in memory, which sorted keys would not follow.
    """
    keys, items = iter(objects.keys()), iter(objects.values())
    if isinstance(objects, dict):
        keys, items = iter(dict.keys(objects)), iter(dict.values(objects))
    while block := list(islice(keys, _CACHE_BLOCK)):
        yield block, list(islice(items, _CACHE_BLOCK))


class Engine(Protocol):
    """Finds candidates between two sides that have the same attributes and comparable keys."""

    name: str

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return the keys and pairs that may differ."""
        ...


def engine_of(left: Side, right: Side) -> Engine:
    """Return the engine of the side whose objects are still rows of a table; otherwise the one in memory."""
    for side in (left, right):
        engine: Engine | None = getattr(side.objects, "engine", None)
        if engine is not None:
            return engine
    return InMemoryEngine()


class InMemoryEngine:
    """The reference: looks up each partner by its key and compares all attributes of a pair at once.

    Costs one look-up and one comparison of two tuples a pair, nearly all of it in C.
    """

    name = "memory"

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return the keys and pairs that may differ."""
        left_objects, right_objects = left.objects, right.objects
        new: list[Any] = []
        differing: list[Triple] = []
        compared = 0
        for keys, lefts in object_blocks(left_objects):
            rights = list(map(right_objects.get, keys))
            there = list(map(is_not, rights, repeat(None)))
            both: Sequence[list[Any]] = (keys, lefts, rights)
            if not all(there):
                new += compress(keys, map(not_, there))
                both = [list(compress(part, there)) for part in both]
            compared += len(both[0])
            if left.attributes:
                differing += _differing(left, right, *both)
        right_keys = dict.keys(right_objects) if isinstance(right_objects, dict) else right_objects
        old = sorted(filterfalse(left_objects.__contains__, right_keys)) if len(right_objects) > compared else []
        overridden = left.overrides.keys() | right.overrides.keys()
        if overridden:
            found = {key for key, _, _ in differing}
            differing += [
                (key, left_objects[key], right_objects[key])
                for key in overridden - found
                if key in left_objects and key in right_objects
            ]
        differing.sort(key=itemgetter(0))
        return Candidates(sorted(new), old, differing, compared, "both sides are in memory")


def _differing(left: Side, right: Side, keys: list[Any], lefts: list[Any], rights: list[Any]) -> list[Triple]:
    read = attrgetter(*left.attributes)
    dotted = any("." in name for name in left.attributes)  # attrgetter would follow the dot into the value
    try:
        differ = columns_differ if len(left.attributes) == 1 else rows_differ
        flags = [True] * len(keys) if dotted else differ(list(map(read, lefts)), list(map(read, rights)))
        return list(compress(zip(keys, lefts, rights, strict=True), flags))
    except Exception:  # noqa: BLE001 - an attribute is missing or a property fails: `Side.read` knows which
        return [
            (key, left_item, right_item)
            for key, left_item, right_item in zip(keys, lefts, rights, strict=True)
            if any(
                may_differ(left.read(key, left_item, name), right.read(key, right_item, name))
                for name in left.attributes
            )
        ]
