"""Makes classes of things: those with annotated fields are slotted attrs classes, the others are left open."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, dataclass_transform, get_origin

import attrs

from datastoresync.errors import DeclarationError

__all__ = ["ObjectType"]

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
