"""Branches: the objects of one model in a tree."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import attrs

from datastoresync.branch import Branch as NativeBranch
from datastoresync.errors import DeclarationError, DuplicateError
from datastoresync.importing.object_set import ObjectSet
from datastoresync.object import Object
from datastoresync.vocabularies.dss.base import Base
from datastoresync.vocabularies.dss.importers import importer_for
from datastoresync.vocabularies.dss.names import named
from datastoresync.vocabularies.dss.templates import Actions


class Branch(NativeBranch[Any]):
    """The objects of one model in a tree, as a sorted mapping; what its class has besides, it has too.

    Class methods are called with the branch in the place of the class.

    Args:
        declared: The class that is the branch, and the model if ``_klass`` names no other one.
    """

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        name = getattr(declared, "_branchname", "") or declared.__name__
        model = named(getattr(declared, "_klass", None)) or declared
        if not (isinstance(model, type) and issubclass(model, Base)):
            message = f"{name} needs a model: a subclass of Base, itself or in _klass (got {model!r})"
            raise DeclarationError(message)
        super().__init__(model, importer=importer_for(getattr(declared, "_importer", None), name))
        self.name = name

    def make(self, idnumber: Any, **attributes: Any) -> Any:
        """Add an object and return it.

        Raises:
            ImporterError: if the idnumber is there already.
        """
        return self.new(idnumber, **attributes)

    def load(self) -> Self:
        """Replace the objects by those that the importer yields, or makes itself."""
        if self.importer is None:
            return self
        before, made = self._contents, ObjectSet(self.description())
        self.contents = made
        try:
            super().load()
            for key, item in made.objects.items():
                if key in self:
                    message = f"idnumber {key!r} was made by the importer, and is in a row, too"
                    raise DuplicateError(message, where=self.full_name, idnumber=key)
                self.contents.put(key, item)
            if self.imported is not None:
                self.contents.report = attrs.evolve(self.imported, objects=len(self))
        except BaseException:
            self.contents = before
            raise
        return self

    def get_objects(self) -> list[Any]:
        """Return the objects, in the order of their idnumbers."""
        return list(self.values())

    def get_from_attribute(self, attr: str, value: Any) -> Any:
        """Return the first object with a value in an attribute, or None; a look-up if the model has an index of it."""
        return next(iter(self.find(**{attr: value})), None)

    def find_one_with_callback(self, callback: Callable[[Any], Any]) -> Any:
        """Return the first object of which a function says so, or None."""
        return next(filter(callback, self.values()), None)

    def find_many_with_callback(self, callback: Callable[[Any], Any]) -> list[Any]:
        """Return the objects of which a function says so."""
        return list(filter(callback, self.values()))

    def keys_startswith(self, start: str) -> list[str]:
        """Return the idnumbers that begin with a text."""
        return [item.__key__ for item in self.prefix(start)]

    def del_key(self, idnumber: Any) -> None:
        """Remove an object.

        Raises:
            KeyError: if there is none under the idnumber.
        """
        self.remove(idnumber)

    def __sub__(self, other: Any) -> Any:
        return Actions(self.diff(other)) if isinstance(other, NativeBranch) else NotImplemented

    def __getattr__(self, name: str) -> Any:
        declared = vars(self).get("declared")
        found = None if name.startswith("_") or hasattr(Object, name) else inspect.getattr_static(declared, name, None)
        if isinstance(found, classmethod):
            return found.__func__.__get__(self)
        if found is None or inspect.isfunction(found) or inspect.isdatadescriptor(found):
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self)
        return getattr(declared, name)
