"""Models: what is compared and synced, as dsync and diffsync have it. They are pydantic's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Optional, Self  # noqa: UP035 - `dict` is a method here

import pydantic

from datastoresync.masking import MASK
from datastoresync.vocabularies.dsync.declaration import ModelType, check, schema_for
from datastoresync.vocabularies.dsync.enum import DiffSyncModelFlags, DiffSyncStatus
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectStoreWrongType
from datastoresync.vocabularies.dsync.identity import text_of, unique_id_of

Text = str  # what `str` is in the rest of the class is a method


_OLDER_NAMES = frozenset({"diffsync", "dsync"})
"""What the adapter of a model was called over the years."""


class _SharedSet(set[str]):
    """The names of the fields that many models were given. It must not change."""

    __slots__ = ()


_UNCHANGED = {"_status": DiffSyncStatus.UNKNOWN, "_status_message": ""}
"""What all models share that a sync left unchanged. It must not change."""

_SETS: Dict[frozenset[str], _SharedSet] = {}  # noqa: UP006 - as above
_share, _set_extra, _set_private = (
    getattr(pydantic.BaseModel, f"__pydantic_{name}__").__set__ for name in ("fields_set", "extra", "private")
)


class DiffSyncModel(pydantic.BaseModel, metaclass=ModelType):
    """An object of two systems, as diffsync describes it: a pydantic model with all that pydantic has.

    Class-level settings: ``_modelname``, ``_identifiers``, ``_attributes`` (only these are compared), ``_children``
    (``{modelname: field}``; the field is a list of the children's unique ids), ``_shortname``, ``_sensitive`` (fields
    whose values are masked wherever they are shown) and ``model_flags``.

    Raises:
        AttributeError: on the declaration of a class, if a setting names no field, or two settings name one.
        pydantic.ValidationError: if a value is refused, or a field without a default is missing (a ValueError).

    >>> class Device(DiffSyncModel):
    ...     _modelname = "device"
    ...     _identifiers = ("name",)
    ...     _attributes = ("ports",)
    ...     name: str
    ...     ports: int = 0
    >>> Device(name="rtr", ports="8").get_attrs()
    {'ports': 8}
    """

    __slots__ = ("__branch__",)

    _modelname: ClassVar[Text] = "diffsyncmodel"
    _identifiers: ClassVar[Sequence[Text]] = ()
    _shortname: ClassVar[Sequence[Text]] = ()
    _attributes: ClassVar[Sequence[Text]] = ()
    _children: ClassVar[Mapping[Text, Text]] = {}
    _sensitive: ClassVar[Sequence[Text]] = ()
    _none_is_success: ClassVar[bool] = False

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    model_flags: DiffSyncModelFlags = DiffSyncModelFlags.NONE
    adapter: Optional[Any] = None  # noqa: UP045 - as everything here, evaluated by pydantic

    if TYPE_CHECKING:
        __branch__: Any
    else:

        def __init__(self, /, **data: Any) -> None:
            for name in _OLDER_NAMES & data.keys():
                if name not in type(self).model_fields:
                    data["adapter"] = data.pop(name)
            if type(self).__compact__:
                # Attributes that are set one by one share the table of their names with other models.
                made = self.__pydantic_validator__.validate_python(data)
                for name, value in made.__dict__.items():
                    object.__setattr__(self, name, value)
                _set_extra(self, None)
                _set_private(self, None)
            else:
                made = self
                super().__init__(**data)
            # A set of its own for each model would take more memory than all the rest of it.
            names = frozenset(made.__pydantic_fields_set__)
            shared = _SETS.get(names)
            _share(self, _SETS.setdefault(names, _SharedSet(names)) if shared is None else shared)

        __init__.__pydantic_base_init__ = True  # to pydantic it is its own, which `model_validate` need not call

        def __setattr__(self, name: Text, value: Any) -> None:
            if type(getattr(self, "__pydantic_fields_set__", None)) is _SharedSet:
                _own_set(self)
            super().__setattr__(name, value)
            if name == "model_flags" and self.adapter is not None:
                self.adapter.store.flagged = True

        def __getattr__(self, name: Text) -> Any:
            if name in _OLDER_NAMES:  # unless the class has something of the name
                return self.adapter
            return super().__getattr__(name)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Check the settings."""
        super().__pydantic_init_subclass__(**kwargs)
        check(cls)

    @property
    def model_fields_set(self) -> set[Text]:
        """The names of the fields that were given, or set since."""
        return _own_set(self)

    # Status: as in diffsync private attributes of pydantic's, but only of models that were given one.

    @property
    def _status(self) -> DiffSyncStatus:
        status: DiffSyncStatus = (self.__pydantic_private__ or {}).get("_status", DiffSyncStatus.SUCCESS)
        return status

    @_status.setter
    def _status(self, status: DiffSyncStatus) -> None:
        self.set_status(status, self._status_message)

    @property
    def _status_message(self) -> Text:
        message: Text = (self.__pydantic_private__ or {}).get("_status_message", "")
        return message

    @_status_message.setter
    def _status_message(self, message: Text) -> None:
        self.set_status(self._status, message)

    def get_status(self) -> tuple[DiffSyncStatus, Text]:
        """Return the status of the last creation, update or deletion, and a message."""
        return self._status, self._status_message

    def set_status(self, status: DiffSyncStatus, message: Text = "") -> None:
        """Set the status of a creation, update or deletion."""
        held = self.__pydantic_private__
        if status is DiffSyncStatus.UNKNOWN and not message and held is None:  # and so no attribute of its own class
            _set_private(self, _UNCHANGED)
        else:
            _set_private(self, {**(held or {}), "_status": status, "_status_message": message})

    # Creation, update and deletion.

    @classmethod
    def create_base(
        cls,
        adapter: Any = None,
        ids: Mapping[Text, Any] | None = None,
        attrs: Mapping[Text, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self:
        """Return a new model with these identifiers and attributes, and set its status."""
        given = next((one for one in (adapter, diffsync, dsync) if one is not None), None)  # an empty one is false
        model = cls(**(ids or {}), adapter=given, **(attrs or {}))
        model.set_status(DiffSyncStatus.SUCCESS, "Created successfully")
        return model

    @classmethod
    def create(
        cls,
        adapter: Any = None,
        ids: Mapping[Text, Any] | None = None,
        attrs: Mapping[Text, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self | None:
        """Create the object in its system; override it, and return ``super().create(…)``.

        The first argument may be called ``adapter``, ``diffsync`` or ``dsync``. None means failure, and its children
        are skipped; an `ObjectNotCreated` also ends the run, unless the flags tell it to continue.
        """
        return cls.create_base(adapter, ids, attrs, diffsync=diffsync, dsync=dsync)

    def update_base(self, attrs: Mapping[Text, Any]) -> Self | None:
        """Set attributes, and the status."""
        for name, value in attrs.items():
            setattr(self, name, value)
        self.set_status(DiffSyncStatus.SUCCESS, "Updated successfully")
        return self

    def update(self, attrs: Mapping[Text, Any]) -> Self | None:
        """Change the object in its system; override it, and return ``super().update(attrs)``."""
        return self.update_base(attrs)

    def delete_base(self) -> Self | None:
        """Set the status of a deletion."""
        self.set_status(DiffSyncStatus.SUCCESS, "Deleted successfully")
        return self

    def delete(self) -> Self | None:
        """Delete the object in its system; override it, and return ``super().delete()``."""
        return self.delete_base()

    def _move(self, parent: Any) -> Self | None:  # noqa: ARG002 - for overrides
        """Move the object below another parent in its system; by default nothing is done there.

        An attribute that names the parent is changed by `update`.
        """
        return self

    # Identity and attributes.

    @property
    def __key__(self) -> Any:
        """The key in the store: the identifier, a tuple of all identifiers, or the unique id that the class makes."""
        schema = schema_for(type(self))
        if schema.own_unique_id:
            return self.get_unique_id()
        values = [getattr(self, name) for name in self._identifiers]
        if len(values) == 1 and type(values[0]) is str:  # which most are, and the key itself in any class
            return values[0]
        return schema.key(values)

    @classmethod
    def get_type(cls) -> Text:
        """Return the model's name."""
        return cls._modelname

    @classmethod
    def create_unique_id(cls, **identifiers: Any) -> Text:
        """Return the unique id of these identifiers; see `get_unique_id`."""
        parts = tuple(identifiers[name] for name in cls._identifiers)
        return text_of(parts[0] if len(parts) == 1 else parts)

    @classmethod
    def get_children_mapping(cls) -> Mapping[Text, Text]:
        """Return the names of the child models, with the fields of their unique ids."""
        return cls._children

    def get_identifiers(self) -> Dict[Text, Any]:  # noqa: UP006 - see above
        """Return the identifiers and their values, in the order of their declaration."""
        names = schema_for(type(self)).plain_identifiers
        return (
            self.dict(include=set(self._identifiers))
            if names is None
            else {name: getattr(self, name) for name in names}
        )

    def get_attrs(self) -> Dict[Text, Any]:  # noqa: UP006 - see above
        """Return the compared attributes and their values, in the order of their declaration; containers are copies."""
        names = schema_for(type(self)).plain_attributes
        return (
            self.dict(include=set(self._attributes)) if names is None else {name: getattr(self, name) for name in names}
        )

    def get_unique_id(self) -> Text:
        """Return the identifiers as one text, joined by two underscores.

        If another model would have the same text, it is the repr of the tuple.
        """
        if schema_for(type(self)).own_unique_id:
            return self.create_unique_id(**self.get_identifiers())
        return text_of(self.__key__)

    def get_shortname(self) -> Text:
        """Return the fields named in ``_shortname`` as one text, or the unique id."""
        if self._shortname:
            return "__".join([str(getattr(self, name)) for name in self._shortname])
        return self.get_unique_id()

    # Children.

    def add_child(self, child: DiffSyncModel) -> None:
        """Add a child, by its unique id.

        Raises:
            ObjectStoreWrongType: if ``_children`` does not name it.
            ObjectAlreadyExists: if it is already a child.
        """
        members = _members(self, child, "store {} as")
        names = _child_names(child)
        if any(name in members for name in names):
            message = (
                f"Already storing a {child.get_type()} with unique_id {child.get_unique_id()} in {self!r}: "
                "add each child once"
            )
            raise ObjectAlreadyExists(message, child)
        (members.add if isinstance(members, set) else members.append)(unique_id_of(names[0], names[-1]))

    def remove_child(self, child: DiffSyncModel) -> None:
        """Remove a child.

        Raises:
            ObjectStoreWrongType: if ``_children`` does not name it.
            ObjectNotFound: if it is no child.
        """
        members = _members(self, child, "find and delete {} as")
        for name in _child_names(child):
            if name in members:
                members.remove(name)
                return
        message = f"{child} was not found as a child in {self._children[child.get_type()]} of {self!r}"
        raise ObjectNotFound(message)

    # Representation.

    def dict(self, **kwargs: Any) -> Dict[Text, Any]:  # noqa: UP006 - see above
        """Return pydantic's ``model_dump``, without the adapter unless ``exclude`` says otherwise."""
        kwargs.setdefault("exclude", {"adapter"})
        return self.model_dump(**kwargs)

    def json(self, **kwargs: Any) -> Text:
        """Return pydantic's ``model_dump_json``, without the adapter and default values unless told otherwise."""
        kwargs.setdefault("exclude", {"adapter"})
        kwargs.setdefault("exclude_defaults", True)
        return self.model_dump_json(**kwargs)

    def str(self, include_children: bool = True, indent: int = 0) -> Text:  # noqa: FBT001, FBT002 - diffsync's order
        """Return the model and those below it, a line each."""
        margin = " " * indent
        attrs = {name: MASK if name in self._sensitive else value for name, value in self.get_attrs().items()}
        lines = [f"{margin}{self.get_type()}: {self.get_unique_id()}: {attrs}"]
        for kind, field in self._children.items():
            members = getattr(self, field)
            if not members or self.adapter is None or not include_children:
                lines.append(f"{margin}  {field}: {list(map(text_of, members))}")
                continue
            lines.append(f"{margin}  {field}")
            for member in members:
                child = self.adapter.get_or_none(kind, member)
                if child is None:
                    lines.append(f"{margin}    {text_of(member)} (ERROR: details unavailable)")
                else:
                    lines.append(child.str(include_children=include_children, indent=indent + 4))
        return "\n".join(lines)

    def __repr__(self) -> Text:
        return f'{self.get_type()} "{self.get_unique_id()}"'

    def __str__(self) -> Text:
        return self.get_unique_id()


def _own_set(model: DiffSyncModel) -> set[str]:
    """Give a model a set of given fields of its own, which may change."""
    given = model.__pydantic_fields_set__
    if type(given) is _SharedSet:
        given = set(given)
        _share(model, given)
    return given


def _members(parent: DiffSyncModel, child: DiffSyncModel, what: str) -> Any:
    """Return the children of a model that are of the kind of ``child``; ``what`` is for the error."""
    kind, fields = child.get_type(), parent._children
    if kind not in fields:
        message = (
            f"Unable to {what.format(kind)} a child of {parent.get_type()}; valid types are {sorted(fields)}: "
            "name it in _children"
        )
        raise ObjectStoreWrongType(message)
    return getattr(parent, fields[kind])


def _child_names(child: DiffSyncModel) -> tuple[Any, ...]:
    """Return the possible members of a field for a child: its key, and its unique id as text."""
    key, text = child.__key__, child.get_unique_id()
    return (key,) if key == text else (key, text)


class DSyncModel(DiffSyncModel):
    """The model of dsync. The return values of ``create``, ``update`` and ``delete`` have no meaning.

    They may return nothing, as in the first documentation; an exception means failure.
    """

    _none_is_success: ClassVar[bool] = True
