"""Adapters: systems with models, which are compared and synced."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from datastoresync.applying.limits import Limits
from datastoresync.applying.safeguards import check
from datastoresync.vocabularies.dsync.diff import Diff
from datastoresync.vocabularies.dsync.differ import Callback, DiffSyncDiffer
from datastoresync.vocabularies.dsync.enum import DiffSyncFlags
from datastoresync.vocabularies.dsync.exceptions import DiffClassMismatch, DiffException, ObjectStoreException
from datastoresync.vocabularies.dsync.facade import Facade
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.store import BaseStore
from datastoresync.vocabularies.dsync.store.local import LocalStore
from datastoresync.vocabularies.dsync.syncer import DiffSyncSyncer
from datastoresync.vocabularies.dsync.utils import intersection, tree_string

Text = str  # `str`, `dict` and `type` are attributes of the class
Dictionary = dict
Class: TypeAlias = type
DiffClass = type[Diff]


class Adapter(Facade):
    """One system: its models, in a native `Tree` (``tree``), with comparison and sync.

    A subclass has its models' classes as attributes of their modelnames, and in ``top_level`` the names of those that
    a comparison begins with; models below them are compared, too.

    As in diffsync, there are no safeguards by default: a run may delete everything. ``limits = Limits()`` in the class
    refuses a run that would change too much. Attributes, kinds and children that only one side has are not compared;
    ``_strict = True`` in one of the classes refuses to compare where there are any, or values of unlike types.

    Args:
        name: Its name; its ``type`` if None, by default the class's name.
        internal_storage_engine: The store of the models: the class of one, or an instance.

    Raises:
        AttributeError: on the declaration of a class, if a model has another name, or ``top_level`` names no model.
    """

    type: Any = None
    top_level: ClassVar[Sequence[Text]] = ()
    limits: ClassVar[Limits | None] = None
    _strict: ClassVar[bool] = False

    def __init__(self, name: Text | None = None, internal_storage_engine: Any = LocalStore) -> None:
        store = internal_storage_engine
        if not isinstance(store, BaseStore):
            store = store(adapter=self)
        if not isinstance(store, BaseStore):
            message = (
                f"an adapter keeps its models in a BaseStore, such as LocalStore (got {internal_storage_engine!r})"
            )
            raise ObjectStoreException(message)
        store.adapter = self
        self.store = store
        kind = self.type
        if kind is None or _is_model(kind):
            kind = Class(self).__name__
            self.type = kind
        self.name: Text = name or kind
        if isinstance(store, LocalStore):
            store.tree.follow_adapter()
            for name_of_model in self._models():
                if name_of_model not in store.tree:
                    store.declare(getattr(Class(self), name_of_model))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the names of the models and the top level."""
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if _is_model(value) and value.get_type() != name:
                message = f'Incorrect field name - {value.__name__} has type name "{value.get_type()}", not "{name}"'
                raise AttributeError(message)
            if _is_model(value) and name in _RESERVED:
                message = f"{cls.__name__}.{name}: an adapter has something of that name itself; rename the model"
                raise AttributeError(message)
        for name in cls.top_level:
            if not _is_model(getattr(cls, name, None)):
                what = "not a DiffSyncModel subclass" if hasattr(cls, name) else "not a class attribute"
                message = f'top_level references attribute "{name}" but it is {what}!'
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
        return found if as_dict else tree_string(found, cls.__name__)

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
                self.add(getattr(Class(self), name)(**values))

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
            ObjectNotFound: if a model names a child that is not there.
            HierarchyError: if a model is below itself.
            ValueError: if the identifiers of two models have one text, but are not equal, or their short names differ.
            SchemaMismatchError: if a class is ``_strict``, and the two have other attributes, kinds or types.
        """
        if self._strict or source._strict:
            self._native(source)
        return DiffSyncDiffer(source, self, flags, diff_class, callback).calculate_diffs()

    def _native(self, source: Adapter) -> Any:
        """Return the native diff, whose checks are strict."""
        here, there = (one.store if isinstance(one.store, LocalStore) else _copied(one) for one in (self, source))
        return there.tree.schema_diff(here.tree, intersection(self.top_level, source.top_level))

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
            DiffException: if ``diff`` is for the other direction.
            SafeguardError: if it would do more than ``limits`` allow.
            ObjectStoreWrongType: before the first change, if there is no place for a model that is to be created.
            ObjectCrudException: that of a model's method, which ends the run unless the flags tell to continue.
            Exception: any other of a model's method, or the callback's.
        """
        if diff is not None and diff_class and not isinstance(diff, diff_class):
            message = (
                f"The provided diff's class ({Class(diff).__name__}) does not match the diff_class: "
                f"{diff_class.__name__}"
            )
            raise DiffClassMismatch(message)
        if diff is None:
            diff = self.diff_from(source, diff_class=diff_class, flags=flags, callback=callback)
        elif diff.adapters is not None and diff.adapters[0] is self and diff.adapters[1] is source:
            message = f"the diff makes {source} equal to {self}, and not the other way around: make it with diff_from"
            raise DiffException(message)
        if isinstance(self.limits, Limits):  # no model is called so
            check(self._native(source), self.limits)
        syncer = DiffSyncSyncer(diff, source, self, flags, callback)
        if syncer.perform_sync():
            self.sync_complete(source, diff, flags, syncer.base_logger)
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
        logger: Any = None,
    ) -> None:
        """Do something after a sync with changes, such as writing everything at once; a hook."""


_RESERVED = frozenset({"store", "top_level", *dir(Adapter)} - {"tree", "limits", "type"})
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


def _copied(adapter: Adapter) -> LocalStore:
    """Return the models of an adapter with another store in a store in memory."""
    store = LocalStore(adapter=adapter)
    for kind in adapter.store.get_all_model_names():
        for model in adapter.get_all(kind):
            store.add(model)
    return store


class DSync(Adapter):
    """The adapter of dsync."""


class DiffSync(Adapter):
    """The adapter of diffsync under its first name, which it deprecates."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _deprecate()
        super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Warn of a subclass."""
        _deprecate()
        super().__init_subclass__(**kwargs)


def _deprecate() -> None:
    message = "DiffSync is the first name of Adapter, and deprecated: write Adapter"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
