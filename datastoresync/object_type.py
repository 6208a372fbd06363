"""How a class of objects is made: of its annotations, those of mixins, and its settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, dataclass_transform, get_args, get_origin

import attrs

from datastoresync.conversion.indexed_field import IndexedField
from datastoresync.errors import DeclarationError
from datastoresync.settings import SETTINGS, WITH_VALUE, check_misspelt, check_named

_OR_NONE = re.compile(r"^[^\[]*\bNone\b|\bOptional\[")


def _own_annotations(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return a class body's annotations, unresolved, on every version of Python."""
    if sys.version_info >= (3, 14):  # pragma: no cover - annotations became lazy in 3.14 (PEP 649)
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is None:
            return dict(namespace.get("__annotations__", {}))
        return dict(annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF))
    return dict(namespace.get("__annotations__", {}))


def _mixin_fields(base: type) -> dict[str, Any]:
    """Return the annotated names of a class that is no `Object`, with what stands behind their ``=``."""
    if isinstance(base, ObjectType) or "__attrs_attrs__" in vars(base):
        return {}
    made = vars(base).get("__dataclass_fields__", {})
    found = {name: vars(base).get(name, attrs.NOTHING) for name in _fields_among(_own_annotations(vars(base)))}
    for name, field in made.items():
        if name in found and callable(field.default_factory):
            found[name] = attrs.field(factory=field.default_factory)
    return found


def _mixed(bases: tuple[type, ...]) -> dict[str, Any]:
    """Return the fields of mixins, without those that an object's class before them in the bases has."""
    found: dict[str, Any] = {}
    for base in reversed(bases):
        if isinstance(base, ObjectType):
            for field in getattr(base, "__attrs_attrs__", ()):
                found.pop(field.name, None)
        else:
            for cls in reversed(base.__mro__):
                found |= _mixin_fields(cls)
    return found


def _slots(namespace: Mapping[str, Any]) -> tuple[str, ...]:
    slots = namespace.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _fields_among(annotations: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, annotation in annotations.items()
        if not _is_class_variable(annotation) and name not in SETTINGS and not name.startswith("__")
    ]


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

    settings: ClassVar[frozenset[str]] = frozenset()
    """Names that are no fields where a mixin annotates them."""
    whole_keys = True
    """Whether no part of a key may be None."""

    @staticmethod
    def is_carried(name: str) -> bool:
        """Say whether an attribute is carried along, and not compared."""
        return name.startswith("_")

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, open_class: bool = False, **kwargs: Any
    ) -> ObjectType:
        """Create a class: closed if it, a base or a mixin has annotated fields, open otherwise."""
        declared = [
            field
            for field in _fields_among(_own_annotations(namespace))
            if not (
                field in WITH_VALUE and field in namespace and (field == "_key" or isinstance(namespace[field], str))
            )
        ]
        mixins = [cls for base in bases if not isinstance(base, ObjectType) for cls in base.__mro__[:-1]]
        cached = [
            key for body in (namespace, *map(vars, mixins)) for key in body if isinstance(body[key], cached_property)
        ]
        if cached:
            message = f"{name}.{cached[0]} is cached, and objects change: make it a property"
            raise DeclarationError(message)
        if not any(isinstance(base, ObjectType) for base in bases):
            return super().__new__(mcs, name, bases, namespace, **kwargs)
        mixed = {field: value for field, value in _mixed(bases).items() if field not in mcs.settings}
        for body in (namespace, *map(vars, mixins)):
            check_misspelt(name, body, (*declared, *mixed))
        closed_base = any(hasattr(base, "__attrs_attrs__") for base in bases)
        slots = _slots(namespace)
        if open_class or not (declared or mixed or closed_base):
            if "__dict__" not in slots and (fields := [slot for slot in slots if not slot.startswith("__")]):
                message = f"{name}.__slots__ names {fields[0]!r}, which is no field: annotate it ({fields[0]}: str)"
                raise DeclarationError(message)
            return super().__new__(mcs, name, bases, namespace, **kwargs)
        if "self" in (*declared, *mixed):
            message = f"{name}.self cannot be a field, as Python calls the object so: give it another name"
            raise DeclarationError(message)
        known = {field for base in bases for cls in base.__mro__ for field in _slots(vars(cls))}
        bodies = [namespace, *(vars(cls) for base in bases for cls in base.__mro__)]
        identifiers = next(body["_identifiers"] for body in bodies if "_identifiers" in body)
        if tuple(identifiers) == ("idnumber",) and "idnumber" not in {*known, *declared, *mixed}:
            if isinstance(namespace.get("idnumber"), property):
                message = f"{name}.idnumber is a property: name the fields it is made of in _identifiers"
                raise DeclarationError(message)
            declared.insert(0, "idnumber")
        these = {}
        for field in dict.fromkeys((*mixed, *declared)):
            given = mixed.get(field, attrs.NOTHING) if field not in declared else attrs.NOTHING
            these[field] = _field(namespace.pop(field, given))
            if these[field].alias is None:  # attrs would strip the underscore; a column keeps its name
                these[field] = _aliased(these[field], field)
        # A mixin's default would hide the slot of a base, so that its fields have slots here.
        own = [field for field in these if field not in known or field in mixed]
        namespace["__slots__"] = (*own, *(slot for slot in slots if slot not in known | these.keys()))
        cls = super().__new__(mcs, name, bases, namespace, **kwargs)
        attrs.define(cls, these=these, slots=False, kw_only=True, eq=False, order=False, repr=False)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        """Check what the settings name, as far as the class knows it."""
        super().__init__(name, bases, namespace)
        if any(isinstance(base, ObjectType) for base in bases):
            check_named(cls, properties_of(cls))
            _check_keys(cls)
            for field in cls._indexes:  # type: ignore[attr-defined]  # a setting of `Object`
                found = getattr(cls, field, None)
                if not isinstance(found, (IndexedField, property)):
                    type.__setattr__(cls, field, IndexedField(field, found))


def _check_keys(cls: Any) -> None:
    """Refuse a key of which a part may be None."""
    for name in cls._identifiers if type(cls).whole_keys and hasattr(cls, "__attrs_attrs__") else ():
        found = (_own_annotations(vars(base)).get(name) for base in cls.__mro__)
        if _may_be_none(next((annotation for annotation in found if annotation is not None), None)):
            raise key_without_none(cls.__name__, name)


def _may_be_none(annotation: Any) -> bool:
    """Say whether an annotation, which may be text still, is a union with None."""
    if isinstance(annotation, str):
        return _OR_NONE.search(annotation) is not None
    return type(None) in get_args(annotation)


def key_without_none(cls: str, field: str) -> DeclarationError:
    """Return the error of a class whose key may lack a part."""
    return DeclarationError(
        f"{cls}.{field} may be None, and is part of the key, which every object has: declare it without None, and let "
        "the importer's prepare(row) give it a value where a row has none, such as '-'"
    )


def _aliased(counting: Any, name: str) -> Any:
    counting.alias = name
    return counting


def properties_of(cls: type) -> list[str]:
    """Return the names of the public properties of a class."""
    found: dict[str, bool] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            found[name] = isinstance(value, property)
    return [name for name, is_property in found.items() if is_property and not name.startswith("_")]
