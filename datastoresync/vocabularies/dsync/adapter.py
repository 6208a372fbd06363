"""Adapters: systems with models, which are compared and synced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from datastoresync.applying.limits import NUMBERS, Limits
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter
from datastoresync.errors import SchemaMismatchError
from datastoresync.runtime import collector_paused
from datastoresync.vocabularies.dsync.diff import Diff, DiffBuilder
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
from datastoresync.vocabularies.dsync.template import ModelTemplate, ProgressListener

Text = str  # `str`, `dict` and `type` are attributes of the class
Dictionary = dict
Class: TypeAlias = type
Callback = Callable[[str, int, int], Any]
"""Takes the stage, ``"diff"`` or ``"sync"``, the number of models done, and that of all."""

DiffClass = type[Diff]

_LOGGER = logging.getLogger("datastoresync")
_ANY = 10**18


class Adapter(Facade):
    """One system: its models, in a native `Tree` (``tree``), with comparison and sync.

    A subclass has its models' classes as attributes of their modelnames, and in ``top_level`` the names of those that
    a comparison begins with; models below them are compared, too.

    As in diffsync, there are no safeguards by default: a run may delete everything. ``limits = Limits()`` in the class
    refuses a run that would change too much.

    Args:
        name: Its name; its ``type`` if None, by default the class's name.
        internal_storage_engine: The store of the models: `LocalStore`, or an instance.

    Raises:
        AttributeError: on the declaration of a class, if a model has another name, or ``top_level`` names no model.
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
        store.tree.follow_adapter()
        for name_of_model in self._models():
            if name_of_model not in store.tree:
                store.declare(getattr(self, name_of_model))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the names of the models and the top level."""
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if _is_model(value) and value.get_type() != name:
                message = f"{cls.__name__}.{name} is {value.__name__}, whose _modelname is {value.get_type()!r}"
                raise AttributeError(message)
            if _is_model(value) and name in _RESERVED:
                message = f"{cls.__name__}.{name}: an adapter has something of that name itself; rename the model"
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

    # Content.

    def load(self) -> None:
        """Add all models. Override it."""

    @classmethod
    def get_tree_traversal(cls, as_dict: bool = False) -> Text | Dictionary[Text, Any]:  # noqa: FBT001, FBT002 - diffsync's order
        """Return the hierarchy of models, as a drawing or as nested dictionaries."""
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
        """Add models from the result of `dict`."""
        for name in self._models():
            for values in data.get(name, {}).values():
                self.add(getattr(self, name)(**values))

    def str(self, indent: int = 0) -> Text:
        """Return the models from the top level down, a line each."""
        margin = " " * indent
        lines = []
        for name in self.top_level:
            models = self.get_all(name)
            lines += [f"{margin}{name}", *(model.str(indent=indent + 2) for model in models)] if models else []
            lines += [] if models else [f"{margin}{name}: []"]
        return "\n".join(lines)

    # Comparison and sync.

    def diff_from(
        self,
        source: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
    ) -> Diff:
        """Return the changes that make this adapter equal to ``source``.

        Args:
            source: The other adapter.
            diff_class: `Diff` or a subclass.
            flags: The models to skip.
            callback: Takes ``"diff"``, the number of models compared, and that of all.

        Raises:
            SchemaMismatchError: if the models of the two cannot be compared: other attributes, or other types.
            HierarchyError: if a model has several parents, or is below itself, or names a child that is not there.
        """
        top_level = [name for name in self.top_level if name in source.top_level]
        if not top_level and len(self) and len(source):
            _LOGGER.warning("nothing of %s and %s is compared: top_level has no name in common", source, self)
        for adapter, other in ((self, source), (source, self)):
            adapter.store.borrow(other.store)
            adapter.store.tree.follow_adapter()
            adapter.store.tree.top_level = tuple(top_level)
        try:
            native = source.store.tree.diff(self.store.tree, flags=flags_of_run(flags), progress=callback)
        finally:
            for tree in (self.store.tree, source.store.tree):  # the common top level is for this comparison alone
                tree.follow_adapter()
        for adapter in (self, source):
            lacking = sorted({action.branch for action in native} & adapter.store.borrowed)
            if lacking:
                problems = [f"{adapter} has no model {name!r}: declare it there" for name in lacking]
                message = "the two adapters cannot be compared:" + "".join(f"\n  - {problem}" for problem in problems)
                raise SchemaMismatchError(message, problems=problems)
        with collector_paused():
            diff = DiffBuilder(native, source, self, top_level, diff_class).diff(flags)
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
        """Return the changes that make ``target`` equal to this adapter; see `diff_from`."""
        return target.diff_from(self, diff_class=diff_class, flags=flags, callback=callback)

    def sync_from(
        self,
        source: Adapter,
        diff_class: DiffClass = Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        callback: Callback | None = None,
        diff: Diff | None = None,
    ) -> Diff:
        """Make this adapter equal to ``source``, by the methods of its models, and return the diff.

        ``diff.report`` has the result of each change; failures are logged, too.

        Args:
            source: The other adapter.
            diff_class: `Diff` or a subclass.
            flags: The models to skip, and whether to continue after a failure.
            callback: Takes ``"diff"`` or ``"sync"``, the number done, and that of all.
            diff: A diff made before.

        Raises:
            DiffClassMismatch: if ``diff`` is not of ``diff_class``.
            SafeguardError: if it would do more than ``limits`` allow.
            Exception: that of a model's method, after the run, which it stops; if the flags tell it to continue, only
                one that is no `ObjectCrudException`. An exception of the callback always stops the run.
        """
        if diff is not None and not isinstance(diff, diff_class):
            message = f"the diff is a {Class(diff).__name__}, and no {diff_class.__name__}: pass diff_class as well"
            raise DiffClassMismatch(message)
        if diff is None:
            diff = self.diff_from(source, diff_class=diff_class, flags=flags, callback=callback)
        builder = diff.builder
        if builder is None or builder.dest is not self or builder.source is not source:
            message = f"the diff is not one that makes {self} equal to {source}: make it with diff_from"
            raise DiffException(message)
        continue_on_failure = DiffSyncFlags.CONTINUE_ON_FAILURE in flags
        tree = self.store.tree
        template = ModelTemplate(tree, tree.classes(), continue_on_failure=continue_on_failure)
        limits = self.limits  # unless a model is called so
        if not isinstance(limits, Limits):
            numbers: dict[str, Any] = dict.fromkeys(NUMBERS, _ANY)
            missing = {name for branch in tree.values() for name in branch.side().attributes}
            limits = Limits(**numbers, empty=list(tree), missing=missing)
        listener = ProgressListener(callback, template.stop)
        report: Report = template.apply(
            builder.ordered_native(), limits=limits, reporters=[LoggingReporter(_LOGGER), listener]
        )
        diff.report = report
        if listener.error is not None:
            raise listener.error
        errors = [result.error for result in report.results if result.error is not None]
        for error in errors:
            if not continue_on_failure or not isinstance(error, ObjectCrudException):
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
        """Make ``target`` equal to this adapter; see `sync_from`."""
        return target.sync_from(self, diff_class=diff_class, flags=flags, callback=callback, diff=diff)

    def sync_complete(
        self,
        source: Adapter,
        diff: Diff,
        flags: DiffSyncFlags = DiffSyncFlags.NONE,
        logger: logging.Logger | None = None,
    ) -> None:
        """Do something after a sync with changes, such as writing everything at once; a hook."""


_RESERVED = frozenset({"name", "store", *dir(Adapter)} - {"tree", "limits"})
"""Names that no model may have, since an adapter works with them, as it does in diffsync."""


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, DiffSyncModel)


def _nested(below: Mapping[str, Sequence[str]], tops: Sequence[str]) -> dict[str, Any]:
    """Return the models as nested dictionaries; one below itself is repeated there once.

    Args:
        below: The names of all models, with those of their children.
        tops: The names that come first; other models without parents follow.
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
    for index, (name, below) in enumerate(tree.items()):
        yield f"{margin}{'├── ' if index < last else '└── '}{name}"
        yield from _tree_lines(below, margin + ("│   " if index < last else "    "))


class DSync(Adapter):
    """The adapter of dsync."""


DiffSync = DSync
