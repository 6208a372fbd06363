"""Importers: where the rows of a branch come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from datastoresync.errors import DeclarationError
from datastoresync.importing.importer import ImportedBranch, Importer, StoreImporter, importer_of
from datastoresync.spelling import misspelt
from datastoresync.vocabularies.dss.names import named

_HOOKS = ("readin", "reader")


class DefaultImporter:
    """Reads the rows of a branch. Subclass it, with ``reader``, or ``readin`` where the branch is needed.

    ``self.branch`` and ``self.tree`` are those that are being imported.
    """

    branch: ImportedBranch | None = None
    tree: Any = None

    def readin(self, branch: ImportedBranch) -> Iterable[Mapping[str, Any]] | None:  # noqa: ARG002 - a hook
        """Yield the rows, each a mapping with an idnumber, or make the objects with ``branch.make``."""
        return self.reader()

    def reader(self) -> Iterable[Mapping[str, Any]]:
        """Yield the rows, each a mapping with an idnumber."""
        message = f"{type(self).__name__} must define reader() or readin(branch)"
        raise DeclarationError(message)


class ReadinImporter(Importer):
    """A native importer that reads through one of the old kind.

    Args:
        importer: It has ``readin(branch)`` or ``reader()``.
    """

    def __init__(self, importer: Any) -> None:
        self._importer = importer
        self.after = getattr(importer, "after", ())  # type: ignore[misc]  # of this one

    def read(self) -> Iterable[Mapping[str, Any]]:
        """Return the rows that it yields."""
        store: Any = self.branch
        if isinstance(self._importer, DefaultImporter):
            self._importer.branch, self._importer.tree = store, store.tree
        readin = getattr(self._importer, "readin", None)
        rows = self._importer.reader() if readin is None else readin(store)
        return () if rows is None else rows


def importer_for(given: Any, branch: str) -> Importer | None:
    """Return the importer of a branch, given what stands in ``_importer``.

    Args:
        given: An importer of the old kind or a native one, its class, ``"module.Class"``, or rows; None for none.
        branch: The branch's name.

    Raises:
        DeclarationError: if nothing can be read from it.
    """
    source = named(given)
    if source is None:
        return None
    cls = source if isinstance(source, type) else type(source)
    if not any(callable(getattr(cls, name, None)) for name in _HOOKS):
        names = [name for name in vars(cls) if not name.startswith("_")]
        for meant, name in ((misspelt(name, _HOOKS), name) for name in names):
            if meant:
                message = f"nothing calls {cls.__name__}.{name}: did you mean {meant!r}?"
                raise DeclarationError(message)
        return importer_of(source, store=StoreImporter)
    if cls is not source:
        return ReadinImporter(source)
    try:
        return ReadinImporter(source())
    except TypeError as error:
        message = f"the importer of {branch} needs arguments: give an instance of {cls.__name__} ({error})"
        raise DeclarationError(message) from error
