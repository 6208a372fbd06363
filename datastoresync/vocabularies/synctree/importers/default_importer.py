"""The importer that all others are subclasses of, and what hands its rows on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from datastoresync.errors import DeclarationError
from datastoresync.importing.importer import ImportedBranch, Importer
from datastoresync.spelling import member_problems


class DefaultImporter(Importer):
    """Where the rows of one subbranch come from. Subclass it, and write `reader`.

    It is an `Importer` whose hooks have synctree's names and arguments. ``_settings`` are those of the class and of its
    bases; each importer has a copy.

    Args:
        tree: The tree, which the hooks find as ``_tree``.
        branch: The branch, as ``_branch``; its text is its name.
        subbranch: The subbranch, as ``_subbranch``; likewise.
    """

    _settings: dict[str, Any] = {}  # noqa: RUF012 - the declared ones, which are copied
    number_from: int | None = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse misspelt hooks of this vocabulary; those of natives have other arguments."""
        hooks = {"init": 0, "reader": 0, "kwargs_preprocessor": 1, "on_import_complete": 0}
        for problem in member_problems(cls, DefaultImporter, hooks, {}):
            raise DeclarationError(problem)

    def __init__(self, tree: Any = None, branch: object = None, subbranch: Any = None) -> None:
        self._branch: Any = branch
        self._tree, self._subbranch = tree, subbranch
        declared = (vars(cls).get("_settings", {}) for cls in reversed(type(self).__mro__))
        self._settings = {name: value for settings in declared for name, value in settings.items()}
        self.init()

    def init(self) -> None:
        """Do what is to be done once the importer is there."""

    def get_setting(self, name: str, default: Any = None) -> Any:
        """Return a setting; the default if there is none."""
        return self._settings.get(name, default)

    def update_setting(self, name: str, value: Any) -> None:
        """Change a setting of this importer."""
        self._settings[name] = value

    def required_setting(self, name: str) -> Any:
        """Return a setting.

        Raises:
            DeclarationError: if there is none.
        """
        if self._settings.get(name) in (None, ""):
            message = f"{type(self).__name__} of {self._subbranch} has no setting {name!r}: write it in _settings"
            raise DeclarationError(message)
        return self._settings[name]

    def reader(self) -> Any:
        """Yield the rows, mappings; or return a context manager that gives them. None at all, unless overridden."""
        return iter(())

    def kwargs_preprocessor(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the row as it should be taken; None to leave it out."""
        return row

    def resolve_duplicate(self, original: Any, **row: Any) -> Any:  # type: ignore[override]  # synctree's arguments
        """Change the first object of an idnumber after a second row of it with other values, or return a row for both.

        Unless it is overridden, the second row is an error; or left out, if the tree does not raise an error.
        """

    def on_import_complete(self) -> None:
        """Do what is to be done when the objects are there."""

    def overrides(self, hook: str) -> bool:
        """Say whether a hook is more than the one that every importer has."""
        own, other = _HOOKS.get(hook, (hook, Importer))
        return getattr(getattr(self, own), "__func__", None) is not getattr(other, own)

    def bound(self, description: Any = None, *, tree: Any = None, branch: ImportedBranch | None = None) -> Any:
        """Return what reads it into a branch, whose tree may be a copy of the one that it was made for."""
        if branch is not None:
            self._tree, self._branch, self._subbranch = getattr(tree, "synctree", None), tree, branch
        return RowFeed(self).bound(description, tree=tree, branch=branch)

    def rows(self) -> Any:
        """Return what the reader gives, out of its context manager."""
        given = self.reader()
        if isinstance(given, AbstractContextManager) and not isinstance(given, Iterator):
            return _within(given)
        return given


_HOOKS = {
    "keep": ("kwargs_preprocessor", DefaultImporter),
    "prepare": ("kwargs_preprocessor", DefaultImporter),
    "resolve_duplicate": ("resolve_duplicate", DefaultImporter),
}
"""The hook that stands for each native one."""


def _within(context: AbstractContextManager[Any]) -> Iterator[Any]:
    with context as rows:
        yield from rows


class RowFeed(Importer):
    """Hands the rows of an importer of this vocabulary to a branch: processed, numbered where they must be, united."""

    def __init__(self, importer: DefaultImporter) -> None:
        self.importer = importer
        self.on_bad_row, self.number_from = importer.on_bad_row, importer.number_from
        self._row: Mapping[str, Any] | None = None

    def read(self) -> Any:
        """Return the rows."""
        return DefaultImporter.rows(self.importer)  # even if a subclass calls something of its own so

    def keep(self, row: Mapping[str, Any]) -> bool:
        """Say whether the importer's hook keeps a row."""
        self._row = self.importer.kwargs_preprocessor(row)
        return self._row is not None

    def prepare(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row as the hook made it."""
        return row if self._row is None else self._row

    def resolve_duplicate(self, existing: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return what the importer's hook makes of two rows."""
        if not DefaultImporter.overrides(self.importer, "resolve_duplicate"):
            return None if getattr(self.importer._branch, "raise_error_on_duplicates", True) else existing  # noqa: SLF001 - of this module
        original = self.description.schema.blank(dict(existing))
        returned = self.importer.resolve_duplicate(original, **row)
        if isinstance(returned, Mapping):
            return returned
        return dict(vars(original if returned is None else returned))
