"""Subbranches: one kind of object in one branch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from inspect import isroutine
from typing import TYPE_CHECKING, Any, Self, Unpack

import attrs

from datastoresync.branch import Branch
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.side import Side
from datastoresync.importing.importer import Importer, StoreImporter, importer_of
from datastoresync.importing.object_set import ObjectSet
from datastoresync.vocabularies.synctree.actions import Action, Actions, Difference, define_action
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter
from datastoresync.vocabularies.synctree.utils import TreeError

if TYPE_CHECKING:
    from datastoresync.diffing.diff import Diff, DiffKeywords


class Subbranch(Branch[Any]):
    """One kind of object in a branch: a `Branch` of models that is iterated object by object.

    Args:
        model: The class of its objects.
    """

    def __init__(self, model: type[Base] = Base) -> None:
        super().__init__(model, engine="memory")
        self.off = False
        self.compared_idnumbers: Collection[Any] | None = None
        self.relations: dict[str, str] = {}

    @property
    def importer(self) -> Any:
        """Where the rows come from at ``+``. May be set: to whatever a `Branch` takes as one."""
        return self._importer

    @importer.setter
    def importer(self, source: Any) -> None:
        if isinstance(source, type) and issubclass(source, DefaultImporter):
            source = source(getattr(self.tree, "synctree", None), self.tree, self)
        self._importer: Importer | None = None if source is None else importer_of(source, store=StoreImporter)

    # The objects.

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self.values())[::-1])

    def __contains__(self, wanted: object) -> bool:
        return super().__contains__(wanted.__key__ if isinstance(wanted, Base) else wanted)

    def keys(self) -> Any:
        """Return the idnumbers, sorted."""
        return self.contents.objects.keys()

    @property
    def idnumbers(self) -> set[Any]:
        """The idnumbers of all objects."""
        return set(self.keys())

    def get_objects(self) -> list[Any]:
        """Return the objects that are compared, sorted by idnumber; all of a subbranch that is off."""
        wanted = self.compared_idnumbers
        return [item for item in self if wanted is None or item.idnumber in wanted]

    def get_objects_force_all(self) -> list[Any]:
        """Return all objects, sorted by idnumber."""
        return list(self)

    def find_all(self, query: str) -> list[Any] | None:
        """Return the objects of which an attribute begins with a text, in whatever case; None if there are none.

        Args:
            query: The attribute and the text: ``"lastfirst: ames"``.

        Raises:
            TreeError: if it has no colon.
        """
        name, colon, text = (part.strip() for part in query.partition(":"))
        if not colon:
            message = f"find_all needs an attribute and what it begins with, {name + ': …'!r} (got {query!r})"
            raise TreeError(message)
        pairs = [(item, getattr(item, name, None)) for item in self]
        start = text.casefold()
        return [item for item, value in pairs if value is not None and str(value).casefold().startswith(start)] or None

    def make(self, idnumber: Any, **attributes: Any) -> Any:
        """Make an object and return it; None if there is one, and the tree is not to raise an error.

        Raises:
            ImporterError: if there is one.
        """
        if idnumber in self and not getattr(self.tree, "raise_error_on_duplicates", True):
            return None
        return self.new(idnumber, **attributes)

    def new(self, idnumber: Any = None, /, **attributes: Any) -> Any:
        """Make an object and return it, after its ``post_init``."""
        made = super().new(idnumber, **attributes)
        try:
            if not self.schema.through_init:
                made.post_init()
        except BaseException:
            self.remove(made.idnumber)
            raise
        return made

    def clear(self) -> None:
        """Forget all objects, and that there was an import."""
        self.contents = ObjectSet(self.description())

    def load(self) -> Self:
        """Replace the objects by those that the importer reads, as `Branch.load` does, and call their hooks."""
        before = self.contents
        try:
            super().load()
            if self.contents is not before:
                self._complete()
        except BaseException:
            self.contents = before
            raise
        return self

    def _complete(self) -> None:
        if self.object_class.post_init is not Base.post_init and not self.schema.through_init:
            for item in list(self):
                try:
                    item.post_init()
                except Exception as error:
                    error.add_note(f"in post_init of {self.full_name}[{item.idnumber!r}]")
                    raise
        if isinstance(self.importer, DefaultImporter):
            self.importer.on_import_complete()

    # The operators.

    def diff(self, other: Branch[Any], **keywords: Unpack[DiffKeywords]) -> Diff:
        """Return what ``other`` must do to become this subbranch; see `Branch.diff`."""
        around = [] if None in (self.tree, other.tree) else self.tree.sides_around(self, other)
        sides = [(self.side(), other.side())]
        return difference(sides, around=around, **keywords)

    def side(self) -> Side:
        """Return the subbranch as one side of a comparison: class attributes too, and what its command leaves."""
        side = super().side()
        wanted, objects = self.compared_idnumbers, side.objects
        if wanted is not None:
            objects = {key: item for key, item in objects.items() if key in wanted}
        attributes = side.attributes
        if self.object_class._attributes is None:
            attributes = tuple(sorted({*attributes, *_class_attributes(self.object_class)}))
        related = {name: self.tree[name].contents.compared for name in self.relations.values()}
        return attrs.evolve(
            side,
            objects=objects,
            attributes=attributes,
            references={**side.references, **self.relations},
            referenced_keys={**side.referenced_keys, **related},
        )

    def __add__(self, other: Any) -> set[Any]:
        return self.idnumbers | other.idnumbers if isinstance(other, Subbranch) else NotImplemented

    def __sub__(self, other: Any) -> set[Any]:  # type: ignore[override]  # idnumbers in this vocabulary
        return self.idnumbers - other.idnumbers if isinstance(other, Subbranch) else NotImplemented

    def __and__(self, other: Any) -> set[Any]:
        return self.idnumbers & other.idnumbers if isinstance(other, Subbranch) else NotImplemented

    def __gt__(self, other: Any) -> Any:
        return Actions(self, other) if isinstance(other, Branch) else NotImplemented

    @property
    def keypath(self) -> str:
        """Where it is in its tree: ``"source.students"``."""
        return self.full_name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Subbranch {self.name} of branch {self.tree.name}>" if self.tree is not None else "<Subbranch>"


def _class_attributes(cls: type) -> set[str]:
    """Return the public names that the classes of a model give values to."""
    bodies = [vars(base) for base in cls.__mro__ if base not in Base.__mro__]
    return {
        name
        for body in bodies
        for name, value in body.items()
        if not name.startswith("_") and not hasattr(type(value), "__get__") and not isroutine(value)
    }


def difference(
    sides: Sequence[tuple[Side, Side]], *, only: Filter = None, exclude: Filter = None, **keywords: Any
) -> Diff:
    """Compare sides by the attributes that both have; what only one has, and references to nothing, are its errors."""
    errors = [error for left, right in sides for error in (*_one_sided(left, right), *_dangling(left))]
    found = Difference.between([_in_common(left, right) for left, right in sides], **keywords)
    return attrs.evolve(found, errors=errors).filtered(only, exclude)


def _only_one(left: Side, right: Side) -> list[str]:
    if not (left.objects and right.objects):
        return []  # what has no objects has no attributes yet
    return sorted(set(left.attributes) ^ set(right.attributes))


def _in_common(left: Side, right: Side) -> tuple[Side, Side]:
    lacking = _only_one(left, right)
    if not lacking:
        return left, right
    warnings = tuple(
        f"{name} is not compared: {side.name} has it, and {other.name} does not"
        for name in lacking
        for side, other in ((left, right), (right, left))
        if name in side.attributes
    )
    common = tuple(name for name in left.attributes if name in right.attributes)
    return (
        attrs.evolve(left, attributes=common, warnings=(*left.warnings, *warnings)),
        attrs.evolve(right, attributes=common),
    )


def _one_sided(left: Side, right: Side) -> Iterator[Action]:
    """Yield an action for each attribute that only one side has, of the first object that both have."""
    lacking = _only_one(left, right)
    key = next((key for key in left.objects if key in right.objects), None) if lacking else None
    for name in lacking if key is not None else ():
        source, dest = left.objects[key], right.objects[key]
        value, old_value = getattr(source, name, None), getattr(dest, name, None)
        yield define_action(
            idnumber=key,
            obj=source,
            source=source,
            dest=dest,
            method=f"err_no_attr:{name}",
            attribute=name,
            value=value,
            old_value=old_value,
        )


def _dangling(left: Side) -> Iterator[Action]:
    """Yield an action for each value of a registered relation that names no object."""
    for name, to in left.references.items():
        known = left.referenced_keys.get(to, ())
        for key, item in left.objects.items():
            value = getattr(item, name, None)
            members = value if isinstance(value, (set, frozenset, list, tuple)) else [value]
            for member in members:
                if member not in (None, "") and member not in known:
                    method = f"err_integrity {left.branch}.{name}: no {member!r} in {to}"
                    yield define_action(
                        idnumber=key, obj=item, source=item, method=method, attribute=name, value=member
                    )
