"""Objects that were made of rows, and say so when somebody changes them, since nobody else would remember."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any

from datastoresync.engines.relation import Unfaithful

__all__ = ["key_of", "watch", "watched"]


def watched(cls: Any) -> Any:
    """Return a class like this one whose objects tell their branch when an attribute is set.

    Others need not pay for that: objects in memory are the only ones there are of their key.

    Raises:
        Unfaithful: if the class does something of its own when there is another class like it, or if nobody can see
            which of its objects somebody still has.
    """
    if "__init_subclass__" in {name for base in cls.__mro__[:-1] for name in vars(base)}:
        reason = f"{cls.__name__} has an __init_subclass__"
        raise Unfaithful(reason)
    slots = () if cls.__weakrefoffset__ else ("__weakref__",)
    if slots and not hasattr(cls, "__attrs_attrs__"):
        reason = f"objects of {cls.__name__} take no weak references"
        raise Unfaithful(reason)

    def set_and_tell(self: Any, name: str, value: Any) -> None:
        key = _key(self)
        cls.__setattr__(self, name, value)
        _tell(self, key, name)

    def delete_and_tell(self: Any, name: str) -> None:
        key = _key(self)
        cls.__delattr__(self, name)
        _tell(self, key, name)

    def copied(self: Any) -> Any:
        made = object.__new__(cls)
        for name in _stored(self):
            object.__setattr__(made, name, getattr(self, name))
        return made

    def deeply_copied(self: Any, memo: dict[int, Any]) -> Any:
        made = copied(self)
        for name in _stored(self):
            value = getattr(self, name)
            # An object that is copied alone has the branch of before; with its branch, it has the branch's copy.
            value = memo.get(id(value), value) if name == "__branch__" else copy.deepcopy(value, memo)
            object.__setattr__(made, name, value)
        return made

    def made_plain(_: Any, *arguments: Any, **attributes: Any) -> Any:
        return cls(*arguments, **attributes)

    def reduced(self: Any, _: Any) -> Any:
        made = copied(self)
        with suppress(AttributeError):
            object.__delattr__(made, "__branch__")  # the rows cannot go with it
        return _blank, (cls,), made.__getstate__()

    namespace = {
        "__slots__": slots,
        "__new__": made_plain,
        "__setattr__": set_and_tell,
        "__delattr__": delete_and_tell,
        "__copy__": copied,
        "__deepcopy__": deeply_copied,
        "__reduce_ex__": reduced,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    # Past the metaclass, which would make an attrs class of it once more.
    return type.__new__(type(cls), cls.__name__, (cls,), namespace)


def watch(objects: Sequence[Any], cls: Any) -> None:
    """Make objects of a class those of the class that `watched` gave for it."""
    deque(map(object.__dict__["__class__"].__set__, objects, repeat(cls)), maxlen=0)


def key_of(item: Any) -> Any:
    """Return the key that an object has in its branch; a field of the object may be called `idnumber` too.

    Raises:
        AttributeError: if a part of it was taken away.
    """
    parts = tuple(getattr(item, name) for name in item._identifiers)
    return parts if len(parts) > 1 else parts[0]


def _blank(cls: Any) -> Any:
    """Return an object without anything, as one is made of what `__reduce_ex__` gave."""
    return object.__new__(cls)


def _key(item: Any) -> Any:
    """Return the key of an object that may not have one yet, or not any more."""
    try:
        return key_of(item)
    except AttributeError:
        return None


def _tell(item: Any, key: Any, name: str) -> None:
    keep = getattr(getattr(getattr(item, "__branch__", None), "contents", None), "keep", None)
    if keep is not None and key is not None and name != "__branch__":
        keep(key, item)


def _stored(item: Any) -> list[str]:
    slots = [name for base in type(item).__mro__ for name in getattr(base, "__slots__", ())]
    names = [*slots, *getattr(item, "__dict__", ())]
    return [name for name in dict.fromkeys(names) if name != "__weakref__" and hasattr(item, name)]
