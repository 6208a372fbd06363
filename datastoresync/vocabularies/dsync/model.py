"""Models: objects with the names and the methods that dsync and diffsync gave them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from datastoresync.diffing.flags import Flags
from datastoresync.errors import ColumnError, ConversionError
from datastoresync.masking import MASK
from datastoresync.object import Object
from datastoresync.spelling import nearest
from datastoresync.vocabularies.dsync.declaration import ModelPlan, ModelType, plan_of
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectStoreWrongType
from datastoresync.vocabularies.dsync.flags import DiffSyncModelFlags, DiffSyncStatus, flags_of_model
from datastoresync.vocabularies.dsync.identity import sortable_key, text_of, unique_id_of
from datastoresync.vocabularies.dsync.values import copy_value, to_json

if TYPE_CHECKING:
    from datastoresync.vocabularies.dsync.protocol import Owner


class Crud:
    """Creation, update and deletion, with a status. Override ``create``, ``update`` and ``delete``."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _extra(self, name: str, default: Any) -> Any: ...

        def _set_extra(self, name: str, value: Any) -> None: ...

    def get_status(self) -> tuple[DiffSyncStatus, str]:
        """Return the status of the last creation, update or deletion, and a message."""
        status: tuple[DiffSyncStatus, str] = self._extra("status", (DiffSyncStatus.SUCCESS, ""))
        return status

    def set_status(self, status: DiffSyncStatus, message: str = "") -> None:
        """Set the status of a creation, update or deletion."""
        self._set_extra("status", (status, message))

    @classmethod
    def create_base(
        cls,
        adapter: Any = None,
        ids: Mapping[str, Any] | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self:
        """Return a new model with these identifiers and attributes, and set its status."""
        given = next((one for one in (adapter, diffsync, dsync) if one is not None), None)  # an empty one is false
        constructor: Any = cls
        model: Self = constructor(**(ids or {}), **(attrs or {}), adapter=given)
        model.set_status(DiffSyncStatus.SUCCESS, "Created successfully")
        return model

    @classmethod
    def create(
        cls,
        adapter: Any = None,
        ids: Mapping[str, Any] | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self | None:
        """Create the object in its system; override it, and return ``super().create(…)``.

        The first argument may be called ``adapter``, ``diffsync`` or ``dsync``. None means failure, and its children
        are skipped; an `ObjectNotCreated` also ends the run, unless the flags tell it to continue.
        """
        return cls.create_base(adapter, ids, attrs, diffsync=diffsync, dsync=dsync)

    def update_base(self, attrs: Mapping[str, Any]) -> Self:
        """Set attributes, and the status."""
        for name, value in attrs.items():
            setattr(self, name, value)
        self.set_status(DiffSyncStatus.SUCCESS, "Updated successfully")
        return self

    def update(self, attrs: Mapping[str, Any]) -> Self | None:
        """Change the object in its system; override it, and return ``super().update(attrs)``."""
        return self.update_base(attrs)

    def delete_base(self) -> Self:
        """Set the status of a deletion."""
        self.set_status(DiffSyncStatus.SUCCESS, "Deleted successfully")
        return self

    def delete(self) -> Self | None:
        """Delete the object in its system; override it, and return ``super().delete()``."""
        return self.delete_base()

    def move(self, parent: Any) -> Self | None:  # noqa: ARG002 - for overrides
        """Move the object below another parent in its system; by default nothing is done there.

        An attribute that names the parent is changed by `update`.
        """
        return self


Text = str  # what `str` is in the rest of the class is a method

_MISSING: Any = object()
_ADAPTERS = ("adapter", "diffsync", "dsync")


class DiffSyncModel(Crud, Object, metaclass=ModelType):
    """An object of two systems, as diffsync describes it: a closed `Object`, with slots.

    Class-level settings: ``_modelname``, ``_identifiers``, ``_attributes`` (only these are compared), ``_children``
    (``{modelname: field}``; the field is a list of the children's unique ids), ``_shortname`` and ``model_flags``.
    Values are converted to the annotated types, as at an import. Keyword arguments that are no fields are ignored,
    unless the class has ``model_config = {"extra": "forbid"}``.

    Raises:
        AttributeError: on the declaration of a class, if a setting names no field, or two settings name one.
        ConversionError: if a value is refused (a ValueError).
        ColumnError: if a field without a default is missing (a ValueError).

    >>> class Device(DiffSyncModel):
    ...     _modelname = "device"
    ...     _identifiers = ("name",)
    ...     _attributes = ("ports",)
    ...     name: str
    ...     ports: int = 0
    >>> Device(name="rtr", ports="8").get_attrs()
    {'ports': 8}
    """

    __slots__ = ("__extras__",)  # rare: flags of its own, a status, an adapter other than that of its store

    _modelname: ClassVar[Text] = "diffsyncmodel"
    _identifiers: ClassVar[Sequence[Text]] = ()  # type: ignore[assignment]  # old code writes lists, too
    _attributes: ClassVar[Sequence[Text]] = ()  # type: ignore[assignment]  # old code writes lists, too
    _class_flags: ClassVar[DiffSyncModelFlags] = DiffSyncModelFlags.NONE
    _none_is_success: ClassVar[bool] = False

    if TYPE_CHECKING:
        __extras__: Mapping[Text, Any] | None
        __branch__: Any

    def __init__(self, **fields: Any) -> None:
        plan = plan_of(type(self))
        self.__extras__ = None
        missing = []
        for name, assign, kinds, convert, default in plan.steps:
            value = fields.pop(name, _MISSING)
            if value is _MISSING:
                if default is None:
                    missing.append(name)
                    continue
                value = default()
            elif type(value) not in kinds:
                try:
                    value = convert(value)
                except (ValueError, TypeError) as error:
                    message = f"{self._modelname}.{name}: {error}"
                    raise ConversionError(message, column=name, value=value) from None
            assign(self, value)
        if missing:
            message = f"{type(self).__name__} needs {', '.join(missing)}: give a value, or declare a default"
            raise ColumnError(message, columns=missing)
        if plan.generated is not None:  # validators and converters of the user's
            plan.generated(self, **{name: getattr(self, name) for name in plan.fields})
        if fields:
            self._set_options(plan, fields)

    def _set_options(self, plan: ModelPlan, fields: dict[Text, Any]) -> None:
        """Set the adapter and the flags; refuse unknown names if the class is strict."""
        for name in _ADAPTERS:
            adapter = fields.pop(name, None)
            if adapter is not None:
                self.adapter = adapter
        flags = fields.pop("model_flags", None)
        if flags is not None:
            self.model_flags = DiffSyncModelFlags(flags)
        if fields and plan.strict:
            name = next(iter(fields))
            message = f"{type(self).__name__} has no field {name!r}: {nearest(name, plan.fields)}"
            raise ColumnError(message, columns=list(fields))

    def _extra(self, name: Text, default: Any) -> Any:
        extras = getattr(self, "__extras__", None)  # absent if made without __init__
        return default if extras is None else extras.get(name, default)

    def _set_extra(self, name: Text, value: Any) -> None:
        self.__extras__ = {**(getattr(self, "__extras__", None) or {}), name: value}

    @property
    def model_flags(self) -> DiffSyncModelFlags:
        """The model's own flags, or those of its class."""
        flags: DiffSyncModelFlags = self._extra("model_flags", self._class_flags)
        return flags

    @model_flags.setter
    def model_flags(self, flags: DiffSyncModelFlags) -> None:
        self._set_extra("model_flags", flags)
        adapter = self.adapter
        if adapter is not None:
            adapter.store.flagged = True

    @property
    def _flags(self) -> Flags | None:  # type: ignore[override]  # a setting of the class elsewhere
        return flags_of_model(self.model_flags)

    @property
    def adapter(self) -> Owner | None:
        """The adapter of the model's store, or the one given."""
        given = self._extra("adapter", None)
        if given is None:
            tree = getattr(getattr(self, "__branch__", None), "tree", None)
            given = getattr(tree, "adapter", None)
        found: Owner | None = given
        return found

    @adapter.setter
    def adapter(self, adapter: Owner | None) -> None:
        if adapter is not None or self._extra("adapter", None) is not None:
            self._set_extra("adapter", adapter)
        if adapter is None and hasattr(self, "__branch__"):
            del self.__branch__

    diffsync = dsync = adapter

    # Identity and attributes.

    @property
    def __key__(self) -> Any:
        """The key in the store: the identifier, or a tuple of all identifiers."""
        identifiers = self._identifiers
        if len(identifiers) == 1:
            return getattr(self, identifiers[0])
        return sortable_key(tuple([getattr(self, name) for name in identifiers]))

    @classmethod
    def get_type(cls) -> Text:
        """Return the model's name."""
        return cls._modelname

    @classmethod
    def create_unique_id(cls, **identifiers: Any) -> Text:
        """Return the unique id of these identifiers; see `get_unique_id`."""
        parts = tuple(identifiers[name] for name in cls._identifiers)
        return text_of(parts if len(parts) > 1 else parts[0])

    @classmethod
    def get_children_mapping(cls) -> Mapping[Text, Text]:
        """Return the names of the child models, with the fields of their unique ids."""
        return cls._children

    def get_identifiers(self) -> dict[Text, Any]:
        """Return the identifiers and their values."""
        return {name: getattr(self, name) for name in self._identifiers}

    def get_attrs(self) -> dict[Text, Any]:
        """Return the compared attributes and their values; containers are copies."""
        return {name: copy_value(getattr(self, name)) for name in plan_of(type(self)).attributes}

    def get_unique_id(self) -> Text:
        """Return the identifiers as one text, joined by two underscores.

        If another model would have the same text, it is the repr of the tuple.
        """
        return text_of(self.__key__)

    def get_shortname(self) -> Text:
        """Return the fields named in ``_shortname`` as one text, or the unique id."""
        if self._shortname:
            return "__".join(str(getattr(self, name)) for name in self._shortname)
        return self.get_unique_id()

    # Children.

    def add_child(self, child: DiffSyncModel) -> None:
        """Add a child, by its unique id.

        Raises:
            ObjectStoreWrongType: if ``_children`` does not name it.
            ObjectAlreadyExists: if it is already a child.
        """
        field, members = self._members(child)
        if any(name in members for name in _child_names(child)):
            message = f"{self!r} already has {child!r} in {field}"
            raise ObjectAlreadyExists(message, child)
        (members.add if isinstance(members, set) else members.append)(unique_id_of(child.__key__))

    def remove_child(self, child: DiffSyncModel) -> None:
        """Remove a child.

        Raises:
            ObjectStoreWrongType: if ``_children`` does not name it.
            ObjectNotFound: if it is no child.
        """
        field, members = self._members(child)
        for name in _child_names(child):
            if name in members:
                members.remove(name)
                return
        message = f"{self!r} has no {child!r} in {field}"
        raise ObjectNotFound(message)

    def _members(self, child: DiffSyncModel) -> tuple[Text, Any]:
        field = self._children.get(child.get_type())
        if field is None:
            known = ", ".join(sorted(self._children)) or "none"
            message = f"a {child.get_type()} is no child of a {self.get_type()}: _children names {known}"
            raise ObjectStoreWrongType(message)
        return field, getattr(self, field)

    # Representation.

    def dict(
        self,
        *,
        include: Collection[Text] | None = None,
        exclude: Collection[Text] | None = None,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> dict[Text, Any]:
        """Return the flags and all fields by name; children are given by their unique ids."""
        plan, children = plan_of(type(self)), set(self._children.values())
        found: dict[Text, Any] = {"model_flags": self.model_flags}
        for name in plan.fields:
            value = getattr(self, name)
            found[name] = type(value)(map(text_of, value)) if name in children and value else copy_value(value)
        return {
            name: value
            for name, value in found.items()
            if (include is None or name in include) and (exclude is None or name not in exclude)
            if not (exclude_none and value is None) and not (exclude_defaults and plan.is_default(name, value))
        }

    def json(self, *, exclude_defaults: bool = True, **options: Any) -> Text:
        """Return `dict` as JSON, without default values."""
        return to_json(self.dict(exclude_defaults=exclude_defaults, **options))

    def str(self, include_children: bool = True, indent: int = 0) -> Text:  # noqa: FBT001, FBT002 - diffsync's order
        """Return the model and those below it, a line each."""
        return "\n".join(self._lines(" " * indent, include_children=include_children))

    def _lines(self, margin: Text, *, include_children: bool) -> Iterator[Text]:
        attrs = {name: MASK if name in self._sensitive else value for name, value in self.get_attrs().items()}
        yield f"{margin}{self.get_type()}: {self.get_unique_id()}: {attrs}"
        for kind, field in self._children.items():
            members = getattr(self, field)
            if not members:
                yield f"{margin}  {field}: []"
            elif self.adapter is None or not include_children:
                yield f"{margin}  {field}: {list(map(text_of, members))}"
            else:
                yield f"{margin}  {field}"
                for member in members:
                    child = self.adapter.get_or_none(kind, member)
                    if child is None:
                        yield f"{margin}    {text_of(member)} (ERROR: details unavailable)"
                    else:
                        yield child.str(include_children, len(margin) + 4)

    def __repr__(self) -> Text:
        return f'{self.get_type()} "{self.get_unique_id()}"'

    def __str__(self) -> Text:
        return self.get_unique_id()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiffSyncModel):
            return NotImplemented
        return self is other or (type(self) is type(other) and self.dict() == other.dict())

    def __hash__(self) -> int:
        return hash((self._modelname, self.__key__))


def _child_names(child: DiffSyncModel) -> Iterable[Any]:
    """Return the possible members of a field for a child: its key, and its unique id as text."""
    key = child.__key__
    return (key,) if isinstance(key, str) else (key, child.get_unique_id())


class DSyncModel(DiffSyncModel):
    """The model of dsync. The return values of ``create``, ``update`` and ``delete`` have no meaning.

    They may return nothing, as in the first documentation; an exception means failure.
    """

    __slots__ = ()

    _none_is_success: ClassVar[bool] = True
