"""The schema of an object class: its fields, how their values are converted, and how objects are filled with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from types import MemberDescriptorType
from typing import Any

import attrs

from datastoresync.conversion.converters import Converter
from datastoresync.conversion.indexed_field import IndexedField
from datastoresync.conversion.key_forms import Form, formed, formed_column

_exhaust: Callable[[Iterable[Any]], None] = deque[Any](maxlen=0).extend
"""Runs an iterator to its end in C and keeps nothing."""


@attrs.frozen(eq=False, repr=False)
class Field:
    """A declared field: how its values are converted, and what stands in for a column that is not there.

    Args:
        name: The attribute's name, which is the column's name too.
        converter: Converts to the declared type; None where the class brings a converter of its own.
        default: Called for each object without the column; None where the column is required.
        constant: Whether ``default`` always gives the same, immutable value.
        own: The class's own converter; None if there is none, or it takes more than a value.
    """

    name: str
    converter: Converter | None
    default: Callable[[], Any] | None
    constant: bool = False
    own: Callable[[Any], Any] | None = None

    def defaults(self, count: int) -> Iterable[Any]:
        """Yield the default ``count`` times, or None for a required field, which only a folded object lacks."""
        if self.default is None:
            return repeat(None, count)
        if self.constant:
            return repeat(self.default(), count)
        return (self.default() for _ in range(count))


@attrs.frozen(eq=False, repr=False)
class Conversion:
    """Converts raw values of attributes as an import would: one, or a column of them.

    Args:
        fields: The declared fields by name; values of all other attributes stay as they are.
        forms: The one form of the values of those attributes that have one.
    """

    fields: Mapping[str, Field]
    forms: Mapping[str, Form] = attrs.field(factory=dict)

    def __call__(self, name: str, value: Any) -> Any:
        """Convert one value of an attribute.

        Raises:
            ValueError: if the declared type cannot take it; TypeError likewise.
        """
        converter = self._converter(name)
        return self.formed(name, value if converter is None else converter.one(value))

    def column(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Convert many values of an attribute.

        Raises:
            ValueError: if the declared type cannot take one of them; TypeError likewise.
        """
        converter = self._converter(name)
        converted = values if converter is None else converter.column(values)
        return formed_column(self.forms[name], converted) if name in self.forms else converted

    def own(self, name: str, value: Any) -> Any:
        """Return what the class's own converter, which may raise anything, makes of a value, or else the value."""
        own = self.fields[name].own if name in self.fields else None
        return value if own is None else self.formed(name, own(value))

    def formed(self, name: str, value: Any) -> Any:
        """Return a converted value of an attribute in its one form."""
        return formed(self.forms[name], value) if name in self.forms else value

    def _converter(self, name: str) -> Converter | None:
        return self.fields[name].converter if name in self.fields else None


@attrs.frozen(eq=False, repr=False)
class Schema:
    """An object class as an import sees it.

    Args:
        cls: The class that objects are made of.
        identifiers: The fields that make up the idnumber.
        fields: The declared fields by name; None for an open class, which takes any column.
        through_init: Whether objects must go through ``__init__``, because it validates or does more than assign.
        forms: The one form of each part of a key, None for one without; empty if no part has one.
        properties: The names of the public properties.
    """

    cls: type
    identifiers: tuple[str, ...]
    fields: Mapping[str, Field] | None
    through_init: bool = False
    forms: tuple[Form | None, ...] = ()
    properties: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the class takes any columns."""
        return self.fields is None

    @property
    def memberships(self) -> frozenset[str]:
        """The declared fields that are sets or lists."""
        declared = (self.fields or {}).values()
        return frozenset(field.name for field in declared if field.converter and field.converter.membership)

    @property
    def texts(self) -> frozenset[str]:
        """The declared fields that are text, or None."""
        declared = (self.fields or {}).values()
        return frozenset(
            field.name
            for field in declared
            if field.converter and set(field.converter.describe.split(" | ")) in ({"str"}, {"str", "None"})
        )

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
        kind = type(getattr(self.cls, name, None))
        return kind in (MemberDescriptorType, IndexedField) or (self.open and not hasattr(kind, "__set__"))

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

    def attach(self, objects: Iterable[Any], branch: object) -> None:
        """Tell objects the branch that they are in."""
        _exhaust(map(self.cls.__branch__.__set__, objects, repeat(branch)))  # type: ignore[attr-defined]  # a slot of Object

    @property
    def convert(self) -> Conversion:
        """What converts raw values of attributes as an import would."""
        return Conversion(self.fields or {})
