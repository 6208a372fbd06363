"""A field of which a branch has an index."""

from __future__ import annotations

from contextlib import suppress
from types import MemberDescriptorType
from typing import Any


class IndexedField:
    """A field whose changes are told to the branch that the object is in.

    Args:
        name: The field's name.
        slot: What keeps the values of a closed class; what else the class has of that name, or None, of an open one.
    """

    def __init__(self, name: str, slot: Any) -> None:
        self._name = name
        self._slot = slot if isinstance(slot, MemberDescriptorType) else None
        self._default = slot

    def __get__(self, item: Any, _: Any = None) -> Any:
        if item is None:
            return self
        if self._slot is not None:
            return self._slot.__get__(item)
        if self._name in vars(item):
            return vars(item)[self._name]
        if self._default is None:
            message = f"{type(item).__name__!r} object has no attribute {self._name!r}"
            raise AttributeError(message, name=self._name, obj=item)
        return self._default

    def __set__(self, item: Any, value: Any) -> None:
        if self._slot is not None:
            self._slot.__set__(item, value)
        else:
            vars(item)[self._name] = value
        self._tell(item)

    def __delete__(self, item: Any) -> None:
        if self._slot is not None:
            self._slot.__delete__(item)
        elif vars(item).pop(self._name, self) is self:
            raise AttributeError(self._name, name=self._name, obj=item)
        self._tell(item)

    def _tell(self, item: Any) -> None:
        branch = getattr(item, "__branch__", None)
        if branch is not None:
            with suppress(AttributeError):  # it is just being made, and has no idnumber yet
                branch.note_change(item.__key__)
