"""Objects that were made of rows, and say so when somebody changes them, since nobody else would remember."""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["watched"]


def watched(cls: Any) -> Any:
    """Return a class like this one whose objects tell their branch when an attribute is set.

    Others need not pay for that: objects in memory are the only ones there are of their key.
    """

    def set_and_tell(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        keep = getattr(getattr(getattr(self, "__branch__", None), "contents", None), "keep", None)
        if keep is not None and name != "__branch__":
            keep(self.idnumber, self)

    def copied(self: Any) -> Any:
        made = object.__new__(cls)
        for name in _stored(self):
            object.__setattr__(made, name, getattr(self, name))
        return made

    def deeply_copied(self: Any, memo: dict[int, Any]) -> Any:
        made = copied(self)
        for name in _stored(self):
            object.__setattr__(made, name, copy.deepcopy(getattr(self, name), memo))
        return made

    namespace = {
        "__slots__": (),
        "__setattr__": set_and_tell,
        "__copy__": copied,
        "__deepcopy__": deeply_copied,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    # Past the metaclass, which would make an attrs class of it once more.
    return type.__new__(type(cls), cls.__name__, (cls,), namespace)


def _stored(item: Any) -> list[str]:
    slots = [name for base in type(item).__mro__ for name in getattr(base, "__slots__", ())]
    names = [*slots, *getattr(item, "__dict__", ())]
    return [name for name in dict.fromkeys(names) if name not in ("__branch__", "__weakref__") and hasattr(item, name)]
