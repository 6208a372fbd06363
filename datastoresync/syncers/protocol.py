"""The protocol of syncers: a name, ``load`` and ``dump``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from datastoresync.spelling import misspelt

_MEMBERS: tuple[tuple[str, Mapping[str, object], str], ...] = (
    ("load", {}, "load(self, identifier)"),
    ("dump", {"data": ()}, "dump(self, identifier, *, data)"),
)
_FURTHER: Mapping[str, tuple[int, Sequence[str]]] = {
    "read": (2, ["identifiers"]),
    "append": (1, ["data"]),
    **dict.fromkeys(("upsert", "update", "delete"), (1, ["data", "key"])),
    "apply_changes": (1, ["same"]),
}
"""How further members are called: the number of arguments, and those given by name."""


@runtime_checkable
class Syncer(Protocol):
    """A store of flat records: any object with these three members, without a base class or registration.

    ``isinstance(x, Syncer)`` tells. A store that can do more has further members, which are looked up: ``read``,
    ``append``, ``upsert``, ``update``, ``delete``, ``tables``, ``apply_changes``, ``normalized``, ``close``.

    >>> class Memory:
    ...     def __init__(self):
    ...         self.name, self.tables = "memory", {}
    ...     def load(self, identifier):
    ...         return [dict(record) for record in self.tables[identifier]]
    ...     def dump(self, identifier, *, data):
    ...         self.tables[identifier] = [dict(record) for record in data]
    >>> isinstance(Memory(), Syncer)
    True
    """

    @property
    def name(self) -> str:
        """The name in messages; never with a password in it."""
        ...

    def load(self, identifier: str, /) -> Iterable[Mapping[str, Any]]:
        """Return all records of a table, each a mapping from column to value.

        A table that does not exist is an error that names it, never an empty result: an empty source means deletions.
        """
        ...

    def dump(self, identifier: str, /, *, data: Any) -> Any:
        """Replace all records of a table by ``data``, an iterable of mappings; the old ones stay until that is done."""
        ...


def fault_of(target: Any) -> str:
    """Return why a class, or an instance, cannot load or dump, or what it misspells; empty if all is well."""
    for member, arguments, example in _MEMBERS:
        method = getattr(target, member, None)
        if not callable(method):
            return f"has no method {member}: write def {example}"
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            return f"has an async {member}, which is never awaited: write def {example}"
        unbound = isinstance(target, type) and not isinstance(
            inspect.getattr_static(target, member), (staticmethod, classmethod)
        )
        try:
            signature = inspect.signature(method)
        except (TypeError, ValueError):  # some callables written in C do not tell
            continue
        try:
            signature.bind(*((target,) if unbound else ()), "identifier", **arguments)
        except TypeError as error:
            return f"has a {member}{signature} that cannot be called ({error}): write def {example}"
    return _misspelt_member(target if isinstance(target, type) else type(target))


def reading_fault(target: Any) -> str:
    """Return why the method by which a table is read, ``read`` or ``load``, cannot be called; empty if it can."""
    reads = callable(getattr(target, "read", None))
    member, count, named = ("read", *_FURTHER["read"]) if reads else ("load", 1, ())
    example = "read(self, table, attributes=None, *, identifiers=None)" if reads else _MEMBERS[0][2]
    method = getattr(target, member, None)
    try:
        signature = inspect.signature(method) if callable(method) else None
    except (TypeError, ValueError):  # as above
        signature = None
    try:
        if signature is not None:
            signature.bind(*[None] * count, **dict.fromkeys(named))
    except TypeError as error:
        return f"has a {member}{signature} that cannot be called ({error}): write def {example}"
    return ""


def _misspelt_member(kind: type) -> str:
    """Return which method is nearly one that is looked up, takes its arguments, and is none; empty if there is none."""
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if name.startswith("_") or name in _FURTHER or not inspect.isfunction(method):
            continue
        if meant := misspelt(name, [other for other in _FURTHER if not hasattr(kind, other)]):
            count, named = _FURTHER[meant]
            with suppress(TypeError):
                inspect.signature(method).bind(None, *[None] * count, **dict.fromkeys(named))
                return f"has a {name}, which nothing calls: did you mean {meant!r}?"
    return ""
