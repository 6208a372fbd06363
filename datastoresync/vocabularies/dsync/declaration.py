"""The declaration of a model's class: its checks, and what the native tree must know of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import attrs
import pydantic

from datastoresync.conversion.converters import Converter, converter
from datastoresync.conversion.scalars import SCALARS
from datastoresync.conversion.schema import Field, Schema
from datastoresync.errors import DeclarationError
from datastoresync.vocabularies.dsync.enum import DiffSyncModelFlags
from datastoresync.vocabularies.dsync.identity import sortable_part

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(pydantic.BaseModel)

_SCALARS = frozenset({*SCALARS, type(None)} - {Decimal})
"""Types whose values `==` compares as diffsync does; a list's order would count."""
_SORTABLE = frozenset(SCALARS)
"""Types whose values can be sorted among each other."""
_INERT = frozenset({*SCALARS, type(None)})
_SERIALIZERS = (pydantic.PlainSerializer, pydantic.WrapSerializer)


class ModelType(ModelMetaclass):
    """The metaclass of models: pydantic's, with what native code asks a class of objects for.

    Here, and not in the class, since instances do not see it: all names are the user's there.
    """

    _optional_identifiers: tuple[str, ...] = ()
    _references: Mapping[str, str] = {}
    _correlate: tuple[str, ...] = ()
    _flags = _key = _active = None

    __compact__: bool
    """Whether nothing of the user's sees a model while pydantic makes it, so that another one may get its values."""

    def __init__(self, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        """See whether a class has such hooks; not in ``__new__``, whose caller's names pydantic looks up."""
        super().__init__(name, bases, namespace, **kwargs)
        cls: Any = self
        hooks = (
            cls.__pydantic_custom_init__ or cls.__pydantic_post_init__ or cls.__pydantic_decorators__.model_validators
        )
        cls.__compact__ = not hooks and cls.model_config.get("extra") != "allow"


def check(cls: Any) -> None:
    """Refuse a class whose settings name no field, or two of which name one.

    Raises:
        AttributeError: for the first one.
    """
    settings: Mapping[str, Iterable[str]] = {
        "_identifiers": cls._identifiers,
        "_shortname": cls._shortname,
        "_attributes": cls._attributes,
        "_children": cls._children.values(),
    }
    for setting, names in settings.items():
        for name in names:
            if name not in cls.model_fields and not (setting == "_identifiers" and hasattr(cls, name)):
                message = (
                    f"{setting} {getattr(cls, setting)} references missing or un-annotated attr {name}: "
                    f"annotate it in {cls.__name__}"
                )
                raise AttributeError(message)
    for first, second in (("_identifiers", "_attributes"), ("_identifiers", "_children"), ("_attributes", "_children")):
        both = set(settings[first]) & set(settings[second])
        if both:
            message = f"Fields {both} are included in both {first} and {second}. Take them out of one in {cls.__name__}"
            raise AttributeError(message)


def has_flags(cls: Any) -> bool:
    """Say whether all models of a class may have flags, rather than those that got some."""
    return cls.model_fields["model_flags"].default is not DiffSyncModelFlags.NONE or hasattr(cls, "model_flags")


@attrs.frozen(eq=False, repr=False)
class ModelSchema(Schema):
    """A class of models as native code sees it.

    Args:
        scalars: The fields whose values are compared by ``==``.
        dumped: The compared fields whose values are what `DiffSyncModel.get_attrs` says.
        complete: Whether all annotations are resolved.
        sortable_types: For each identifier, the type of the values that can be sorted.
        own_unique_id: Whether the class makes its unique ids itself.
        plain_identifiers: The identifiers, if ``model_dump`` gives what is in the model.
        plain_attributes: The compared fields, likewise.
    """

    complete: bool = True
    scalars: frozenset[str] = frozenset()
    dumped: frozenset[str] = frozenset()
    sortable_types: tuple[type, ...] = ()
    own_unique_id: bool = False
    plain_identifiers: tuple[str, ...] | None = None
    plain_attributes: tuple[str, ...] | None = None

    def blank(self, values: Mapping[str, Any]) -> Any:
        """Make one model with these values, without validation, and the defaults of all other fields."""
        cls: Any = self.cls
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return cls.model_construct(**{**dict.fromkeys(required), **values})

    def key(self, values: Iterable[Any]) -> Any:
        """Return the key in the store for the values of all identifiers."""
        parts = tuple(map(sortable_part, values, self.sortable_types))
        return parts[0] if len(parts) == 1 else parts

    def takes(self, name: str) -> bool:  # noqa: ARG002 - as in the base
        """Say that no attribute is in a slot."""
        return False


def schema_for(cls: Any) -> ModelSchema:
    """Return what native code must know of a class; computed once its annotations are resolved."""
    found: ModelSchema | None = cls.__dict__.get("__schema__")
    if found is None or not found.complete:
        found = _schema(cls)
        type.__setattr__(cls, "__schema__", found)
    return found


def _schema(cls: Any) -> ModelSchema:
    complete = cls.__pydantic_complete__ or cls.model_rebuild(raise_errors=False) is True
    fields: dict[str, Field] = {}
    for name, field in cls.model_fields.items():
        default = None if field.is_required() else field.get_default
        fields[name] = Field(name, _converter(field.annotation) if complete else converter(Any), default)
    for name in cls._identifiers:
        fields.setdefault(name, Field(name, converter(Any), None))  # what pydantic computes
    kinds = {name: field.converter.kinds for name, field in fields.items() if field.converter is not None}
    scalars = frozenset(name for name, own in kinds.items() if own and own <= _SCALARS)
    serialized = _serialized(cls)

    def plain(names: Iterable[str]) -> tuple[str, ...] | None:
        known = {*names} <= scalars - serialized
        return tuple(name for name in fields if name in names) if known else None

    return ModelSchema(
        cls,
        tuple(cls._identifiers),
        fields,
        complete=complete,
        scalars=scalars,
        dumped=frozenset(name for name in serialized & {*cls._attributes} if not cls.model_fields[name].exclude),
        sortable_types=tuple(_sortable_type(kinds.get(name)) for name in cls._identifiers),
        own_unique_id=_overrides(cls, {"get_unique_id", "create_unique_id", "get_identifiers"}),
        plain_identifiers=plain(cls._identifiers),
        plain_attributes=plain(cls._attributes),
    )


def _sortable_type(kinds: Collection[Any] | None) -> type:
    """Return the only type of the values of an identifier if all of that type can be sorted, otherwise `str`."""
    found = [kind for kind in kinds or () if kind is not type(None)]
    return found[0] if len(found) == 1 and found[0] in _SORTABLE else str


def _overrides(cls: Any, names: set[str]) -> bool:
    """Say whether a class or one of its bases has a method of its own instead of one of `DiffSyncModel`."""
    bodies = takewhile(lambda base: base.__module__ != f"{__package__}.model", cls.__mro__)
    return any(names & vars(body).keys() for body in bodies)


def _serialized(cls: Any) -> set[str]:
    """Return the fields that ``model_dump`` gives otherwise than `getattr`."""
    decorators, names = cls.__pydantic_decorators__, set(cls.model_fields)
    if (
        _overrides(cls, {"dict", "model_dump", "get_attrs"})
        or decorators.model_serializers
        or cls.model_config.get("serialize_by_alias")
    ):
        return names
    given = {name for one in decorators.field_serializers.values() for name in one.info.fields}
    for name, field in cls.model_fields.items():
        annotated = any(isinstance(one, _SERIALIZERS) for one in field.metadata)
        if "*" in given or field.exclude or annotated or not _is_inert(field.annotation):
            given.add(name)
    return given


def _is_inert(annotation: Any) -> bool:
    """Say whether values of a type are dumped as they are: no models, and nothing that may hold some."""
    if get_origin(annotation) is Literal:
        return True
    arguments = [one for one in get_args(annotation) if one is not ...]
    if arguments:
        return all(map(_is_inert, arguments))
    return isinstance(annotation, type) and (annotation in _INERT or issubclass(annotation, Enum))


def _converter(annotation: Any) -> Converter:
    """Return the converter of identifiers that are given as text."""
    try:
        native = converter(annotation)
    except DeclarationError:  # pydantic knows more types
        native = converter(Any)
    adapter: list[Callable[[Any], Any]] = []

    def one(value: Any) -> Any:
        try:
            return native.one(value)
        except (ValueError, TypeError):
            if not adapter:
                config = pydantic.ConfigDict(arbitrary_types_allowed=True)
                adapter.append(pydantic.TypeAdapter(annotation, config=config).validate_python)
            return adapter[0](value)

    return attrs.evolve(native, one=one)
