"""The settings of classes of objects: which there are, and that they name what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import isdatadescriptor, isfunction
from typing import Any

from datastoresync.diffing.flags import Flags
from datastoresync.errors import DeclarationError
from datastoresync.spelling import misspelt, nearest

SETTINGS = frozenset(
    {
        "_identifiers",
        "_optional_identifiers",
        "_attributes",
        "_shortname",
        "_children",
        "_references",
        "_sensitive",
        "_indexes",
    }
)
WITH_VALUE = frozenset({"_key", "_active", "_correlate"})
"""Settings only where the class gives them a value: an annotation alone declares a field."""
_KNOWN = SETTINGS | WITH_VALUE | {"_flags"}


def check_misspelt(cls: str, namespace: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Refuse what is nearly a setting in the body of a class; methods, and fields without such a value, are none.

    Raises:
        DeclarationError: with the setting.
    """
    for name, value in namespace.items():
        field = name in fields and not isinstance(value, (tuple, list, Mapping, Flags))
        if not name.startswith("_") or name.startswith("__") or field or name in _KNOWN:
            continue
        method = isfunction(value) or isdatadescriptor(value) or isinstance(value, (classmethod, staticmethod))
        if not method and (meant := misspelt(name, _KNOWN - namespace.keys())):
            message = f"{cls}.{name} is no setting of a class of objects: did you mean {meant!r}?"
            raise DeclarationError(message)


def check_named(cls: Any, properties: Iterable[str]) -> None:
    """Refuse settings of the wrong shape, and those that name what a closed class does not have.

    Args:
        cls: The class.
        properties: The names of its properties.

    Raises:
        DeclarationError: with the nearest name.
    """
    for setting in ("_attributes", "_indexes", "_correlate"):
        # `_correlate` may be a field of the user's.
        if isinstance(named := getattr(cls, setting), str) and setting not in getattr(cls, "__annotations__", ()):
            message = f"{cls.__name__}.{setting} must be a tuple of names, such as ({named!r},)"
            raise DeclarationError(message)
    for setting, example in (("_children", "{'devices': 'devices'}"), ("_references", "{'members': 'users'}")):
        named = getattr(cls, setting)
        if not isinstance(named, Mapping) or not all(isinstance(name, str) for pair in named.items() for name in pair):
            kinds = "a branch to a field" if setting == "_children" else "a field to the one branch of its idnumbers"
            message = f"{cls.__name__}.{setting} must be a mapping from {kinds}, such as {example} (got {named!r})"
            raise DeclarationError(message)
    declared = getattr(cls, "__attrs_attrs__", None)
    if declared is not None:
        check_attributes(cls, [*(attribute.name for attribute in declared), *properties])


def check_attributes(cls: Any, names: Sequence[str]) -> None:
    """Refuse ``_attributes``, ``_references``, ``_active``, ``_correlate`` and ``_indexes`` that name none of these.

    Raises:
        DeclarationError: with the nearest name.
    """
    for name in cls._indexes:
        if name not in names or isinstance(getattr(cls, name, None), property):
            message = f"{cls.__name__}._indexes names {name!r}, which is no field: {nearest(name, names)}"
            raise DeclarationError(message)
    active = (cls._active,) if isinstance(cls._active, str) else ()  # otherwise a field of the user's
    correlate = cls._correlate if isinstance(cls._correlate, tuple) else ()  # as above
    settings: dict[str, Iterable[str]] = {"_attributes": cls._attributes or (), "_references": cls._references}
    settings |= {"_active": active, "_correlate": correlate}
    for setting, named in settings.items():
        for name in named:
            if name not in names:
                known = nearest(name, names)
                message = f"{cls.__name__}.{setting} names {name!r}, which is neither a field nor a property: {known}"
                raise DeclarationError(message)


def check_sensitive(cls: Any, names: Iterable[str]) -> None:
    """Refuse a name in ``_sensitive`` that is none of these, whose values would be shown, or that identifies objects.

    Raises:
        DeclarationError: with the nearest name.
    """
    if isinstance(cls._sensitive, str):
        message = f"{cls.__name__}._sensitive must be a tuple of names, such as ({cls._sensitive!r},)"
        raise DeclarationError(message)
    known = list(names)
    if shown := sorted({*cls._sensitive} & ({"idnumber", *cls._identifiers} - ({*known} - {*cls._identifiers}))):
        message = (
            f"{cls.__name__}._sensitive names {shown[0]!r}, which identifies the objects in every message: identify "
            "them by another attribute"
        )
        raise DeclarationError(message)
    for name in cls._sensitive:
        if name not in known:
            message = f"{cls.__name__}._sensitive names {name!r}, which no object has: {nearest(name, known)}"
            raise DeclarationError(message)


def check_table(cls: type, table: Any) -> None:
    """Refuse a table in which an attribute of a closed class is misspelt.

    Raises:
        DeclarationError: with the nearest attribute.
    """
    fields = {field.name for field in getattr(cls, "__attrs_attrs__", ())}
    for name in (*table.columns, *table.links) if fields and hasattr(table, "links") else ():
        if not hasattr(cls, name) and (meant := misspelt(name, fields)):
            where = f"the table of a {cls.__name__} has a column or link of {name!r}, which is no attribute"
            message = f"{where}: did you mean {meant!r}?"
            raise DeclarationError(message)
