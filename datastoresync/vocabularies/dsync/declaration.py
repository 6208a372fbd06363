"""The declaration of a model's class: its checks, and the plan for making models, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from datastoresync.conversion.scalars import SCALARS
from datastoresync.errors import DeclarationError
from datastoresync.object import schema_of
from datastoresync.object_type import ObjectType
from datastoresync.vocabularies.dsync.flags import DiffSyncModelFlags

_RESERVED = frozenset({"model_flags", "adapter"})
_FREE = frozenset({"idnumber", "diff", "preview", "move", "dsync", "diffsync"})
"""Names of ours that a field may have: the adapter and its template do without them."""

Step = tuple[str, Callable[[Any, Any], None], frozenset[type], Callable[[Any], Any], Callable[[], Any] | None]
"""A field: its name, setter, types that need no conversion, conversion, and default."""

_PLAIN = frozenset({*SCALARS, type(None)} - {Decimal})
"""Types whose values need no conversion; a Decimal may be infinite, and a list is copied."""


class ModelType(ObjectType):
    """The metaclass of models: closed objects, whose ``__init__`` converts values and whose settings are checked."""

    whole_keys = False  # unique ids say "None" then

    settings = _RESERVED

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> ModelType:
        """Create a class, and check it.

        Raises:
            AttributeError: if a setting names no field, or two settings name one.
            DeclarationError: if it uses pydantic.
        """
        has_init = "__init__" in namespace
        for reserved in _RESERVED & set(namespace.get("__annotations__", ())):  # no fields: every model has them
            del namespace["__annotations__"][reserved]
        if namespace.get("adapter", "") is None:
            del namespace["adapter"]
        cls: Any = super().__new__(mcs, name, bases, namespace, **kwargs)
        generated = vars(cls).get("__init__")
        if generated is not None and not has_init and "__attrs_attrs__" in vars(cls):
            type.__delattr__(cls, "__init__")  # so that the one of `DiffSyncModel`, which converts, is inherited
            type.__setattr__(cls, "__generated__", staticmethod(generated))
        flags = vars(cls).get("model_flags")
        if isinstance(flags, DiffSyncModelFlags):  # given without an annotation
            type.__delattr__(cls, "model_flags")
            type.__setattr__(cls, "_class_flags", flags)
        _check(cls, [field.name for field in getattr(cls, "__attrs_attrs__", ())])
        return cls  # type: ignore[no-any-return]  # Any for its settings


def _check(cls: Any, fields: list[str]) -> None:
    settings: Mapping[str, Iterable[str]] = {
        "_identifiers": cls._identifiers,
        "_shortname": cls._shortname,
        "_attributes": cls._attributes,
        "_children": cls._children.values(),
    }
    for setting, names in settings.items():
        for name in names:
            if name not in fields:
                message = f"{cls.__name__}.{setting} names {name!r}, which is no annotated field of it"
                raise AttributeError(message)
    for first, second in (("_identifiers", "_attributes"), ("_identifiers", "_children"), ("_attributes", "_children")):
        both = sorted(set(settings[first]) & set(settings[second]))
        if both:
            message = f"{cls.__name__} names {', '.join(both)} both in {first} and in {second}: take it out of one"
            raise AttributeError(message)
    model = next((base for base in reversed(cls.__mro__) if isinstance(base, ModelType)), cls)
    for name in fields:
        if name not in _FREE and hasattr(model, name):
            message = f"{cls.__name__}.{name}: a model has something of that name itself; give the field another"
            raise AttributeError(message)
    given = {field.name: field.default for field in getattr(cls, "__attrs_attrs__", ())}
    for name, value in {**vars(cls), **given}.items():
        if type(value).__module__.partition(".")[0] == "pydantic":
            message = (
                f"{cls.__name__}.{name} is pydantic's, which is not used here: write attrs.field(default=…, "
                "factory=…, converter=…, validator=…) for a field, and a property for what is computed"
            )
            raise DeclarationError(message)


@attrs.frozen(eq=False)
class ModelPlan:
    """The plan for making models of one class.

    Args:
        steps: One for each field, in order.
        fields: The names of all fields.
        attributes: The names of the compared fields, in the order of their declaration.
        defaults: The factories of defaults, by field.
        strict: Whether other keyword arguments are refused.
        generated: An ``__init__`` to call as well, for the user's own validators and converters.
    """

    steps: tuple[Step, ...]
    fields: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: Mapping[str, Callable[[], Any]]
    strict: bool
    generated: Callable[..., None] | None

    def is_default(self, name: str, value: Any) -> bool:
        """Say whether a value is the default of its field."""
        if name in self.defaults:
            return bool(value == self.defaults[name]())
        return name == "model_flags" and value is DiffSyncModelFlags.NONE


def _unchanged(value: Any) -> Any:
    return value


def plan_of(cls: Any) -> ModelPlan:
    """Return the plan of a class, computed once, when its annotations can be resolved."""
    found: ModelPlan | None = cls.__dict__.get("__plan__")
    if found is None:
        found = _plan(cls)
        type.__setattr__(cls, "__plan__", found)
    return found


def _plan(cls: Any) -> ModelPlan:
    fields = (schema_of(cls).fields or {}) if cls._identifiers else {}
    steps: list[Step] = []
    for name, field in fields.items():
        converter = field.converter
        kinds = converter.kinds if converter is not None and converter.kinds <= _PLAIN else frozenset()
        convert = _unchanged if converter is None else converter.one
        steps.append((name, getattr(cls, name).__set__, kinds, convert, field.default))
    declared = getattr(cls, "__attrs_attrs__", ())
    custom = hasattr(cls, "__attrs_post_init__") or any(one.validator or one.converter for one in declared)
    return ModelPlan(
        tuple(steps),
        tuple(fields),
        tuple(name for name in fields if name in cls._attributes),
        {name: field.default for name, field in fields.items() if field.default is not None},
        dict(getattr(cls, "model_config", {})).get("extra") == "forbid",
        cls.__generated__ if custom else None,
    )
