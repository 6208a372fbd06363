"""Adapters: one system each, with its models, that can be compared and made like another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter
from datastoresync.applying.safeguards import Limits
from datastoresync.errors import SchemaMismatchError
from datastoresync.runtime import collector_paused
from datastoresync.vocabularies.dsync.diff import Diff, Elements
from datastoresync.vocabularies.dsync.exceptions import (
    DiffClassMismatch,
    DiffException,
    ObjectCrudException,
    ObjectStoreException,
)
from datastoresync.vocabularies.dsync.facade import Facade
from datastoresync.vocabularies.dsync.flags import DiffSyncFlags, flags_of_run
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.store import LocalStore
from datastoresync.vocabularies.dsync.template import Listener, ModelTemplate

Text = str  # what `str`, `dict` and `type` are in the rest of the class are attributes
Dictionary = dict
Class: TypeAlias = type
Callback = Callable[[str, int, int], Any]
"""Hears the stage, ``"diff"`` or ``"sync"``, how many are done, and how many there are."""

DiffClass = type[Diff]

_LOGGER = logging.getLogger("datastoresync")
_ANY = 10**18


class Adapter(Facade):
    """One system: its models, kept in a native `Tree` (``tree``), and the ways to compare it with another one.

    A subclass names its models' classes under their modelnames, and in ``top_level`` those that a comparison begins
    with: all of them are compared, and what is below them.

    There were no safeguards, so that there are none here: a run may delete everything. Give the class ``limits``
    (``limits = Limits()``) to refuse a run that would change too much.

    Args:
        name: What it is called; its ``type`` if None, which is the class's name unless it says otherwise.
        internal_storage_engine: What keeps the models: `LocalStore` or one of them.

    Raises:
        AttributeError: when a class is declared that has a model under another name, or a ``top_level`` without one.
    """

    type: Any = None
    top_level: ClassVar[Sequence[Text]] = ()
    limits: ClassVar[Limits | None] = None

    def __init__(self, name: Text | None = None, internal_storage_engine: Any = LocalStore) -> None:
        store = internal_storage_engine
        store = store(adapter=self) if isinstance(store, Class) and issubclass(store, LocalStore) else store
        if not isinstance(store, LocalStore):
            message = f"an adapter keeps its models in a LocalStore (got {internal_storage_engine!r})"
            raise ObjectStoreException(message)
        store.adapter = self
        self.store = store
        self.type = self.type if self.type is not None else Class(self).__name__
        self.name: Text = name or self.type
        self.tree.follow_adapter()
        for name_of_model in self._models():
            if name_of_model not in store.tree:
                store.declare(getattr(self, name_of_model))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the names of the models and of what is at the top."""
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if _is_model(value) and value.get_type() != name:
                message = f"{cls.__name__}.{name} is {value.__name__}, whose _modelname is {value.get_type()!r}"
                raise AttributeError(message)
        for name in cls.top_level:
            if not _is_model(getattr(cls, name, None)):
                message = f"{cls.__name__}.top_level names {name!r}, which is no model's class in {cls.__name__}"
                raise AttributeError(message)

    @classmethod
    def _models(cls) -> list[Text]:
        """Return the names of the models, those at the top first."""
        others = sorted(name for name in dir(cls) if _is_model(getattr(cls, name, None)))
        return list(dict.fromkeys([*cls.top_level, *others]))

    def __str__(self) -> Text:
        return Text(self.type) if self.type == self.name else f'{self.type} "{self.name}"'

    def __repr__(self) -> Text:
        return f"<{self}>"

    # What it holds.

    def load(self) -> None:
        """Add all models. Override it."""

    @classmethod
    def get_tree_traversal(cls, as_dict: bool = False) -> Text | Dictionary[Text, Any]:  # noqa: FBT001, FBT002 - diffsync's order
        """Return which models are below which, as a drawing or as nested dictionaries."""
        below = {name: list(getattr(cls, name)._children) for name in cls._models()}
        found = _nested(below, cls.top_level)
        return found if as_dict else _drawn(found, cls.__name__)

    def dict(self, exclude_defaults: bool = True, **options: Any) -> Dictionary[Text, Dictionary[Text, Any]]:  # noqa: FBT001, FBT002 - diffsync's order
        """Return all models as dictionaries, by kind and unique id; ``options`` are those of a model's ``dict``."""
        return {
            name: {
                model.get_unique_id(): model.dict(exclude_defaults=exclude_defaults, **options)
                for model in self.get_all(name)
            }
            for name in sorted(self.get_all_model_names())
        }

    def load_from_dict(self, data: Mapping[Text, Mapping[Text, Mapping[Text, Any]]]) -> None:
        """Add models from what `dict` gives."""
        for name in self._models():
            for values in data.get(name, {}).values():
                self.add(getattr(self, name)(**values))

    def str(self, indent: int = 0) -> Text:
        """Return what is at the top and below it, a line each."""
        margin = " " * indent
        lines = []
        for name in self.top_level:
            models = self.get_all(name)
            lines += [f"{margin}{name}", *(model.str(indent=indent + 2) for model in models)] if models else []
            lines += [] if models else [f"{margin}{name}: []"]
        return "\n".join(lines)

    # How it differs from another one.

    def diff_from(
        self,
        source: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
    ) -> Diff:
        """Return what this adapter must do to become like ``source``.

        Args:
            source: The other adapter.
            diff_class: What to make: `Diff` or a subclass.
            flags: What to leave alone.
            callback: Called with ``"diff"``, how many models were compared, and how many there are.

        Raises:
            SchemaMismatchError: if the models of the two cannot be compared: other attributes, or other types.
            HierarchyError: if a model has several parents, or is below itself, or names a child that is not there.
        """
        top_level = [name for name in self.top_level if name in source.top_level]
        if not top_level and len(self) and len(source):
            _LOGGER.warning("nothing of %s and %s is compared: top_level has no name in common", source, self)
        for mine, other in ((self, source), (source, self)):
            mine.store.borrow(other.store)
            mine.tree.follow_adapter()
            mine.tree.top_level = tuple(top_level)
        try:
            native = source.tree.diff(self.tree, flags=flags_of_run(flags), progress=callback)
        finally:
            for tree in (self.tree, source.tree):  # what both have at the top is of this comparison alone
                tree.follow_adapter()
        for adapter in (self, source):
            lacking = sorted({action.branch for action in native} & adapter.store.borrowed)
            if lacking:
                problems = [f"{adapter} has no model {name!r}: declare it there" for name in lacking]
                message = "the two adapters cannot be compared:" + "".join(f"\n  - {problem}" for problem in problems)
                raise SchemaMismatchError(message, problems=problems)
        with collector_paused():
            diff = Elements(native, source, self, top_level, diff_class).diff(flags)
        if DiffSyncFlags.LOG_UNCHANGED_RECORDS in flags:
            _LOGGER.debug("%s and %s: %d models need no change", source, self, diff.unchanged)
        diff.complete()
        return diff

    def diff_to(
        self,
        target: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
    ) -> Diff:
        """Return what ``target`` must do to become like this adapter; see `diff_from`."""
        return target.diff_from(self, diff_class=diff_class, flags=flags, callback=callback)

    def sync_from(
        self,
        source: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
        diff: Diff | None = None,
    ) -> Diff:
        """Make this adapter like ``source``, through the methods of its models, and return the diff.

        ``diff.report`` says what became of each change; failures are logged, too.

        Args:
            source: The other adapter.
            diff_class: What to make: `Diff` or a subclass.
            flags: What to leave alone, and whether to go on after a failure.
            callback: Called with ``"diff"`` and ``"sync"``, how many are done, and how many there are.
            diff: What to do, if it is known already.

        Raises:
            DiffClassMismatch: if ``diff`` is not of ``diff_class``.
            SafeguardError: if it would do more than ``limits`` allow.
            Exception: what a model's method raised, after the run; nothing is called after it, unless the flags say
                that the run is to go on: then only what is no `ObjectCrudException` is raised. What the callback
                raises ends the run in any case.
        """
        if diff is not None and not isinstance(diff, diff_class):
            message = f"the diff is a {Class(diff).__name__}, and no {diff_class.__name__}: pass diff_class as well"
            raise DiffClassMismatch(message)
        if diff is None:
            diff = self.diff_from(source, diff_class=diff_class, flags=flags, callback=callback)
        made = diff.made
        if made is None or made.dest is not self or made.source is not source:
            message = f"the diff is not one of what {self} must do to become like {source}: make it with diff_from"
            raise DiffException(message)
        go_on = DiffSyncFlags.CONTINUE_ON_FAILURE in flags
        template = ModelTemplate(self.tree, self.tree.classes(), go_on=go_on)
        limits = self.limits or Limits(
            deletions=_ANY, updates=_ANY, removals=_ANY, dangling=_ANY, empty=list(self.tree)
        )
        listener = Listener(callback, template.stop)
        report: Report = template.apply(made.in_order(), limits=limits, reporters=[LoggingReporter(_LOGGER), listener])
        diff.report = report
        if listener.error is not None:
            raise listener.error
        errors = [result.error for result in report.results if result.error is not None]
        for error in errors:
            if not go_on or not isinstance(error, ObjectCrudException):
                raise error
        if any(result.status not in ("pending", "unhandled") for result in report.results):
            self.sync_complete(source, diff, flags, _LOGGER)
        return diff

    def sync_to(
        self,
        target: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
        diff: Diff | None = None,
    ) -> Diff:
        """Make ``target`` like this adapter; see `sync_from`."""
        return target.sync_from(self, diff_class=diff_class, flags=flags, callback=callback, diff=diff)

    def sync_complete(
        self,
        source: Adapter,
        diff: Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        logger: logging.Logger | None = None,
    ) -> None:
        """Hear that a sync has changed something. Override it to write everything at once, say."""


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, DiffSyncModel)


def _nested(below: Mapping[str, Sequence[str]], tops: Sequence[str]) -> dict[str, Any]:
    """Return the models as nested dictionaries; one that is below itself is shown there once more.

    Args:
        below: The names of all models, with those of their children.
        tops: Which of them come first; those that are below no other follow.
    """
    seen: set[str] = set()

    def expanded(name: str, above: tuple[str, ...]) -> dict[str, Any]:
        seen.add(name)
        if name in above:
            return {}
        return {child: expanded(child, (*above, name)) for child in below.get(name, ())}

    found = {name: expanded(name, ()) for name in tops}
    children = {child for name, names in below.items() for child in names if child != name}
    for name in sorted(below, key=children.__contains__):
        if name not in seen:
            found[name] = expanded(name, ())
    return found


def _drawn(tree: Mapping[str, Any], title: str) -> str:
    """Return nested dictionaries as a drawing, a line each."""
    return "\n".join([title, *_tree_lines(tree, "")])


def _tree_lines(tree: Mapping[str, Any], margin: str) -> Iterator[str]:
    last = len(tree) - 1
    for place, (name, below) in enumerate(tree.items()):
        yield f"{margin}{'├── ' if place < last else '└── '}{name}"
        yield from _tree_lines(below, margin + ("│   " if place < last else "    "))


class DSync(Adapter):
    """The adapter under its first name."""


DiffSync = DSync
