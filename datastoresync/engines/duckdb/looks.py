"""What a property looks at, as far as its code says so."""

from __future__ import annotations

import dis
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any

__all__ = ["attributes_read"]

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW"})
_BEYOND = frozenset({"locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe", "stack", "__class__"})
"""Names with which code may get at a variable that it does not name."""


def attributes_read(cls: Any, names: Sequence[str]) -> set[str] | None:
    """Return all that some properties of a class read of an object: attributes; None if it is not sure.

    Every use of ``self`` must be the reading of an attribute.

    >>> class Person:
    ...     @property
    ...     def domain(self): return self.email.partition("@")[2]
    ...     @property
    ...     def shown(self): return repr(self)
    >>> attributes_read(Person, ["domain"]), attributes_read(Person, ["shown"])
    ({'email'}, None)
    """
    if cls.__getattribute__ is not object.__getattribute__:
        return None
    found: set[str] = set()
    asked, waiting = set(names), list(names)
    while waiting:
        get = getattr(getattr(cls, waiting.pop(), None), "fget", None)
        read = _read(get.__code__) if isinstance(get, FunctionType) else None
        if read is None:
            return None
        for name in read - asked:
            asked.add(name)
            if isinstance(getattr(cls, name, None), property):
                waiting.append(name)
            else:
                found.add(name)
    return found


def _read(code: CodeType) -> set[str] | None:
    plain = code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0x0C
    if not plain or _BEYOND & {*code.co_names, *code.co_freevars} or code.co_varnames[0] in code.co_cellvars:
        return None
    own = code.co_varnames[0]
    found = set()
    instructions = [one for one in dis.get_instructions(code) if one.opname not in ("CACHE", "EXTENDED_ARG")]
    for one, following in zip(instructions, [*instructions[1:], None], strict=True):
        if one.argval == own and one.opname not in _LOADS and "FAST" in one.opname:
            return None
        if isinstance(one.argval, tuple) and own in one.argval:
            return None
        if one.argval == own and one.opname in _LOADS:
            if following is None or following.opname != "LOAD_ATTR":
                return None
            found.add(following.argval)
    return found
