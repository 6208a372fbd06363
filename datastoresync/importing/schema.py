"""The schema of an object class: its fields, their types, and how many objects are filled at once."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from types import MemberDescriptorType
from typing import Any, ClassVar, dataclass_transform, get_origin

import attrs

from datastoresync.conversion.converters import Converter
from datastoresync.errors import DeclarationError

_exhaust: Callable[[Iterable[Any]], None] = deque[Any](maxlen=0).extend
"""Runs an iterator to its end in C and keeps nothing."""


@attrs.frozen(eq=False)
class Field:
    """A declared field: how its values are converted, and what stands in for a column that is not there.

    Args:
        name: The attribute's name, which is the column's name too.
        converter: Converts to the declared type; None where the class brings a converter of its own.
        default: Called for each object without the column; None where the column is required.
        constant: Whether ``default`` always gives the same, immutable value.
    """

    name: str
    converter: Converter | None
    default: Callable[[], Any] | None
    constant: bool = False

    def defaults(self, count: int) -> Iterable[Any]:
        """Yield the default ``count`` times, or None for a required field, which only a folded object lacks."""
        if self.default is None:
            return repeat(None, count)
        if self.constant:
            return repeat(self.default(), count)
        return (self.default() for _ in range(count))


@attrs.frozen(eq=False)
class Conversion:
    """Converts raw values of attributes as an import would: one, or a column of them.

    Args:
        fields: The declared fields by name; values of all other attributes stay as they are.
    """

    fields: Mapping[str, Field]

    def __call__(self, name: str, value: Any) -> Any:
        """Convert one value of an attribute.

        Raises:
            ValueError: if the declared type cannot take it; TypeError likewise.
        """
        converter = self._converter(name)
        return value if converter is None else converter.one(value)

    def column(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Convert many values of an attribute.

        Raises:
            ValueError: if the declared type cannot take one of them; TypeError likewise.
        """
        converter = self._converter(name)
        return values if converter is None else converter.column(values)

    def _converter(self, name: str) -> Converter | None:
        return self.fields[name].converter if name in self.fields else None


@attrs.frozen(eq=False)
class Layout:
    """A class as the feed sees it.

    Args:
        cls: The class that objects are made of.
        identifiers: The fields that make up the idnumber.
        fields: The declared fields by name; None for an open class, which takes any column.
        through_init: Whether objects must go through ``__init__``, because it validates or does more than assign.
    """

    cls: type
    identifiers: tuple[str, ...]
    fields: Mapping[str, Field] | None
    through_init: bool = False

    @property
    def open(self) -> bool:
        """Whether the class takes whatever columns come."""
        return self.fields is None

    @property
    def memberships(self) -> frozenset[str]:
        """The declared fields that are sets or lists."""
        declared = (self.fields or {}).values()
        return frozenset(field.name for field in declared if field.converter and field.converter.membership)

    def make(self, names: Sequence[str], columns: Sequence[Sequence[Any]], count: int) -> list[Any]:
        """Make ``count`` objects from columns of converted values; what ``__init__`` raises goes through.

        Costs one C-level pass a column, unless the class wants its ``__init__`` called.
        """
        cls = self.cls
        if self.through_init:
            rows = zip(*columns, strict=True) if columns else repeat((), count)
            return [cls(**dict(zip(names, row, strict=True))) for row in rows]
        objects: list[Any] = list(map(object.__new__, repeat(cls, count)))
        if self.fields is None:
            for name, column in zip(names, columns, strict=True):
                _exhaust(map(setattr, objects, repeat(name), column))
            return objects
        given = dict(zip(names, columns, strict=True))
        for name, field in self.fields.items():
            values = given[name] if name in given else field.defaults(count)
            _exhaust(map(getattr(cls, name).__set__, objects, values))
        return objects

    def blank(self, values: Mapping[str, Any]) -> Any:
        """Make one object with these values and the defaults of all the others, past ``__init__`` and validators.

        It is what a destination's object becomes when it is created there: its carried fields are not known yet.
        """
        item: Any = object.__new__(self.cls)
        for name, field in (self.fields or {}).items():
            if name not in values:
                object.__setattr__(item, name, None if field.default is None else field.default())
        for name, value in values.items():
            object.__setattr__(item, name, value)
        return item

    def takes(self, name: str) -> bool:
        """Say whether an attribute is kept as it is given: in a slot, or as any other attribute of an open class."""
        found = getattr(self.cls, name, None)
        return type(found) is MemberDescriptorType or (self.open and not hasattr(type(found), "__set__"))

    def blanks(self, columns: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
        """Make ``count`` objects as `blank` does, out of columns of values that the class `takes`."""
        objects: list[Any] = list(map(object.__new__, repeat(self.cls, count)))
        for name, field in (self.fields or {}).items():
            if name not in columns:
                self.fill(objects, name, field.defaults(count))
        for name, values in columns.items():
            self.fill(objects, name, values)
        return objects

    def fill(self, objects: Iterable[Any], name: str, values: Iterable[Any]) -> None:
        """Let each object have a value of its own in an attribute, past validators."""
        _exhaust(map(object.__setattr__, objects, repeat(name), values))

    def attach(self, objects: Iterable[Any], branch: Any) -> None:
        """Let objects know the branch that they are in."""
        _exhaust(map(self.cls.__branch__.__set__, objects, repeat(branch)))  # type: ignore[attr-defined]  # a slot of Object

    @property
    def convert(self) -> Conversion:
        """What converts raw values of attributes as an import would."""
        return Conversion(self.fields or {})


_SETTINGS = frozenset({"_identifiers", "_attributes", "_shortname", "_children", "_references"})


def _own_annotations(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return a class body's annotations, unresolved, on every version of Python."""
    if sys.version_info >= (3, 14):  # pragma: no cover - annotations became lazy in 3.14 (PEP 649)
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is None:
            return dict(namespace.get("__annotations__", {}))
        return dict(annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF))
    return dict(namespace.get("__annotations__", {}))


def _is_class_variable(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.replace(" ", "").partition("[")[0].rpartition(".")[2] == "ClassVar"
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def _field(value: Any) -> Any:
    """Turn what stands behind the ``=`` of a field into an attrs field; a mutable default is copied for each object."""
    if isinstance(value, type(attrs.field())):
        return value
    if value is attrs.NOTHING:
        return attrs.field()
    if isinstance(value, (list, set, dict)):
        return attrs.field(factory=lambda: type(value)(value))
    return attrs.field(default=value)


@dataclass_transform(kw_only_default=True, field_specifiers=(attrs.field,))
class ObjectType(type):
    """Makes a class with annotated fields a slotted attrs class, so that subclassing `Object` is all it takes."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, open_class: bool = False, **kwargs: Any
    ) -> ObjectType:
        """Create a class: closed if it or a base has annotated fields, open otherwise."""
        declared = [
            field
            for field, annotation in _own_annotations(namespace).items()
            if not _is_class_variable(annotation) and field not in _SETTINGS and not field.startswith("__")
        ]
        cached = [field for field, value in namespace.items() if isinstance(value, cached_property)]
        if cached:
            message = f"{name}.{cached[0]} is cached, and objects change: make it a property"
            raise DeclarationError(message)
        if not any(isinstance(base, ObjectType) for base in bases):
            return super().__new__(mcs, name, bases, namespace, **kwargs)
        closed_base = any(hasattr(base, "__attrs_attrs__") for base in bases)
        if open_class or not (declared or closed_base):
            return super().__new__(mcs, name, bases, namespace, **kwargs)
        known = {field for base in bases for cls in base.__mro__ for field in getattr(cls, "__slots__", ())}
        bodies = [namespace, *(vars(cls) for base in bases for cls in base.__mro__)]
        identifiers = next(body["_identifiers"] for body in bodies if "_identifiers" in body)
        if tuple(identifiers) == ("idnumber",) and "idnumber" not in known and "idnumber" not in declared:
            if isinstance(namespace.get("idnumber"), property):
                message = f"{name}.idnumber is a property: name the fields it is made of in _identifiers"
                raise DeclarationError(message)
            declared.insert(0, "idnumber")
        these = {}
        for field in declared:
            these[field] = _field(namespace.pop(field, attrs.NOTHING))
            if these[field].alias is None:  # attrs would strip the underscore; a column keeps its name
                these[field] = _aliased(these[field], field)
        namespace["__slots__"] = tuple(field for field in declared if field not in known)
        cls = super().__new__(mcs, name, bases, namespace, **kwargs)
        attrs.define(cls, these=these, slots=False, kw_only=True, eq=False, order=False, repr=False)
        return cls


def _aliased(counting: Any, name: str) -> Any:
    counting.alias = name
    return counting
