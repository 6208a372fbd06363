"""Models: what the objects of a branch are."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from datastoresync.errors import DeclarationError
from datastoresync.object import Object, schema_of
from datastoresync.object_type import ObjectType
from datastoresync.vocabularies.dss.templates import Actions


class BaseType(ObjectType):
    """Makes the classes of models: ``_keys`` is ``_attributes`` here, and an underscore at the end hides, too."""

    @staticmethod
    def is_carried(name: str) -> bool:
        """Say whether an attribute is not compared."""
        return name.startswith("_") or name.endswith("_")

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> BaseType:
        """Create a class."""
        given = "_keys" in namespace
        keys = namespace.pop("_keys", None)
        if isinstance(keys, str):
            message = f"{name}._keys must be a list of names, such as [{keys!r}]"
            raise DeclarationError(message)
        if given:
            namespace["_attributes"] = None if keys is None else tuple(keys)
        made = super().__new__(mcs, name, bases, namespace, **kwargs)
        if given:
            type.__setattr__(made, "_keys", keys)
        return made  # type: ignore[return-value]  # of this metaclass

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        """Let imports go through an ``__init__`` of the user's."""
        super().__init__(name, bases, namespace, **kwargs)
        if not hasattr(cls, "__attrs_attrs__") and cls.__init__.__module__ != __name__:  # type: ignore[misc]  # a class
            schema = schema_of(cls)  # type: ignore[arg-type]  # of objects
            type.__setattr__(cls, "__schema__", attrs.evolve(schema, through_init=True))


class Base(Object, metaclass=BaseType):
    """A model, which may be a branch as well: its class is what ``_branches`` of a tree finds.

    ``_keys`` names the attributes that are compared. Without, all public attributes and properties are; names that
    begin or end with an underscore are not. ``_branchname`` is the branch's name, if that is not the class's own.
    ``_importer`` says where its rows come from, and ``_klass`` which class the model is, if it is another one; both may
    be ``"module.Class"``.

    >>> class User(Base):
    ...     @property
    ...     def name(self):
    ...         return " ".join(reversed(self._lastfirst.split(", ")))
    >>> User("11111", _lastfirst="Name, Old")
    User(idnumber='11111', name='Old Name')
    """

    _keys: ClassVar[Any] = None
    _branchname: ClassVar[str] = ""
    _importer: ClassVar[Any] = None
    _klass: ClassVar[Any] = None

    def __init__(self, idnumber: Any, **attributes: Any) -> None:
        super().__init__(idnumber=idnumber, **attributes)

    def __sub__(self, other: Any) -> Any:
        return Actions(self.diff(other)) if isinstance(other, Object) else NotImplemented
