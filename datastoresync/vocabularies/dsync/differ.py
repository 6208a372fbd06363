"""What compares two adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any

from datastoresync.errors import HierarchyError
from datastoresync.runtime import collector_paused
from datastoresync.vocabularies.dsync.diff import Diff, DiffElement, Groups
from datastoresync.vocabularies.dsync.enum import DiffSyncFlags, DiffSyncModelFlags
from datastoresync.vocabularies.dsync.facade import Facade
from datastoresync.vocabularies.dsync.logging import get_logger
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.store.local import LocalStore
from datastoresync.vocabularies.dsync.utils import intersection, symmetric_difference

Callback = Callable[[str, int, int], Any]
"""Takes the stage, ``"diff"`` or ``"sync"``, the number of models done, and that of all."""

Models = dict[Any, Any] | Sequence[Any]
"""Models of one kind, by key or without."""

Pair = tuple[Any, Any]
"""A model of the source and its counterpart in the destination; None for one that is not there."""

_NONE = DiffSyncModelFlags.NONE
_IDENTITY = ("get_identifiers", "get_unique_id", "create_unique_id")


class DiffSyncDiffer:
    """Compares what the top level of two adapters reaches, each by its own models.

    Compared are the attributes, and the kinds of children, that both classes of a model name.

    Args:
        src_diffsync: The source.
        dst_diffsync: The destination.
        flags: The models to skip.
        diff_class: `Diff` or a subclass.
        callback: Takes ``"diff"``, the number of models compared, and that of all.
    """

    def __init__(
        self,
        src_diffsync: Any,
        dst_diffsync: Any,
        flags: DiffSyncFlags,
        diff_class: type[Diff] = Diff,
        callback: Callback | None = None,
    ) -> None:
        self.src_diffsync, self.dst_diffsync = src_diffsync, dst_diffsync
        self.flags = flags
        self.diff_class = diff_class
        self.callback = callback
        self.diff: Diff | None = None
        self.logger = get_logger().new(src=src_diffsync, dst=dst_diffsync, flags=flags)
        self.models_processed = 0
        self.total_models = len(src_diffsync) + len(dst_diffsync)
        self._path: set[tuple[str, str]] = set()
        self._of_class: dict[type, tuple[str, ...]] = {}
        self._plans: dict[tuple[type, type], _Plan] = {}
        self.logger.debug(f"Diff calculation between these two datasets will involve {self.total_models} models")

    def incr_models_processed(self, delta: int = 1) -> None:
        """Count models, and tell the callback."""
        if delta:
            self.models_processed += delta
            if self.callback is not None:
                self.callback("diff", self.models_processed, self.total_models)

    def calculate_diffs(self) -> Diff:
        """Return the diff, computed once.

        Raises:
            ObjectNotFound: if a model names a child that is not there.
            HierarchyError: if a model is below itself.
            ValueError: if the identifiers of two models have one text, but are not equal, or their short names differ.
        """
        if self.diff is None:
            self.logger.info("Beginning diff calculation")
            with collector_paused():
                self.diff = self._calculated()
            self.logger.info("Diff calculation complete")
            self.diff.models_processed = self.models_processed
            self.diff.complete()
        return self.diff

    def _calculated(self) -> Diff:
        source, dest = self.src_diffsync, self.dst_diffsync
        diff = self.diff_class()
        diff.adapters = (source, dest)
        for kind in symmetric_difference(dest.top_level, source.top_level):
            self.incr_models_processed(len((dest if kind in dest.top_level else source).get_all(kind)))
        kinds = intersection(dest.top_level, source.top_level)
        if not kinds and len(source) and len(dest):
            self.logger.warning("Nothing is compared: top_level has no name in common")
        groups: Groups = {}
        equal = 0
        for kind in kinds:
            groups[kind], same, _ = self._compared(*self._paired(_models(source, kind), _models(dest, kind)))
            equal += same
        diff.fill({kind: entries for kind, entries in groups.items() if entries}, equal, self._element)
        return diff

    def _paired(self, source: Models, dest: Models) -> tuple[Iterable[Pair], bool]:
        """Return the models of one kind in pairs, and whether none of them has flags."""
        left, right = self._by_key(source, dest), self._by_key(dest, source)
        matched = sum(map(right.__contains__, left))
        size = len(left) + len(right) - matched
        self.incr_models_processed(max(len(source) - size, 0) + max(len(dest) - size, 0))
        lone = [] if matched == len(right) else _without(right, left)
        if lone and matched < len(left):
            _check_keys(_without(left, right), lone)
        unflagged = _unflagged(self.src_diffsync, source) and _unflagged(self.dst_diffsync, dest)
        pairs = zip(left.values(), map(right.get, left), strict=True)
        return chain(pairs, ((None, model) for model in lone)), unflagged

    def _paired_children(
        self, kind: str, source: Collection[Any], dest: Collection[Any]
    ) -> tuple[Iterable[Pair], bool]:
        """Return the models with these unique ids as `_paired` does, at once where both stores find them by those."""
        left, right = set(source), set(dest)
        here, there = _by_uid(self.src_diffsync, kind), _by_uid(self.dst_diffsync, kind)
        if here is not None and there is not None and len(left) == len(source) and len(right) == len(dest):
            with suppress(KeyError):  # one that is missing is named below
                models = list(map(here.__getitem__, source))  # loops that do one thing are quicker by far
                if left == right:
                    counterparts, lone = list(map(there.__getitem__, source)), []
                else:
                    counterparts = [there[uid] if uid in right else None for uid in source]
                    lone = [(None, there[uid]) for uid in dest if uid not in left]
                unflagged = not (self.src_diffsync.store.flagged or self.dst_diffsync.store.flagged)
                return chain(zip(models, counterparts, strict=True), lone), unflagged
        sources, dests = (
            adapter.get_by_uids(uids, kind) if uids else []
            for adapter, uids in ((self.src_diffsync, source), (self.dst_diffsync, dest))
        )
        return self._paired(sources, dests)

    def _compared(self, pairs: Iterable[Pair], unflagged: bool) -> tuple[list[Any], int, bool]:  # noqa: FBT001 - from above
        """Return the entries of a diff for models of one kind, how many are in tuples, and if any differs."""
        entries: list[Any] = []
        changed: list[DiffElement] = []
        equal = quick = 0
        plan = self._plan(type(None), type(None))
        for one, other in pairs:
            if one is not None and other is not None:
                if plan.source is not type(one) or plan.dest is not type(other):
                    plan = self._plan(type(one), type(other))
                values = plan.plain
                if (
                    values is not None
                    and (unflagged or one.model_flags is other.model_flags is _NONE)
                    and values(one) == values(other)
                ):
                    entries.append((one, other, None))
                    quick += 1
                    if self.callback is not None:
                        self.incr_models_processed(2)
                    continue
                plan.check(one, other)
            if not self._skips(one, other):
                entry, same = self._entry(one, other, plan)
                entries.append(entry)
                equal += same
                if type(entry) is not tuple:
                    changed.append(entry)
        if self.callback is None:
            self.models_processed += 2 * quick
        _name_apart(changed)
        return entries, equal + quick, bool(changed)

    def _plan(self, source: type, dest: type) -> _Plan:
        if (source, dest) not in self._plans:
            self._plans[source, dest] = _Plan(source, dest)
        return self._plans[source, dest]

    def _by_key(self, models: Models, counterparts: Models) -> dict[Any, Any]:
        """Return models by their identifiers, or by their unique ids where a class makes those itself."""
        given, *_ = both = [some.values() if isinstance(some, dict) else some for some in (models, counterparts)]
        found = {self._identifiers(type(next(iter(some)))) for some in both if some}
        identifiers = found.pop() if len(found) == 1 else ()
        if not identifiers:
            return {model.get_unique_id(): model for model in given}
        if isinstance(models, dict):
            return models
        return dict(zip(map(attrgetter(*identifiers), models), models, strict=True))

    def _identifiers(self, cls: Any) -> tuple[str, ...]:
        """Return the identifiers of a class, or nothing if its unique ids are not made of them alone."""
        if cls not in self._of_class:
            self._of_class[cls] = () if overrides(cls, _IDENTITY) else tuple(cls._identifiers)
        return self._of_class[cls]

    def _entry(self, source: Any, dest: Any, plan: _Plan) -> tuple[Any, int]:
        """Return the entry of a diff for one or two models, and how many equal ones are in its tuples."""
        self.incr_models_processed((source is not None) + (dest is not None))
        groups, equal, differs = self._compared_below(source, dest)
        element = None
        if source is None or dest is None or plan.may_differ(source, dest):
            element = self._element(source, dest)
            element = None if element.action is None else element
        if element is None and not differs:
            return (source, dest, groups or None), equal + 1
        element = element or self._element(source, dest)
        if groups:
            element.child_diff.fill(groups, equal, self._element)
        return element, 0  # it counts those below it itself

    def _compared_below(self, source: Any, dest: Any) -> tuple[Groups, int, bool]:
        """Return by kind the entries for the children of one or two models, and the rest as `_compared` does."""
        left = source.get_children_mapping() if source is not None else {}
        right = dest.get_children_mapping() if dest is not None else {}
        groups: Groups = {}
        equal, differs = 0, False
        if not left and not right:
            return groups, equal, differs
        both = source is not None and dest is not None
        model = source if source is not None else dest
        place = (model.get_type(), model.get_unique_id())
        if place in self._path:
            message = f"a {place[0]} is below itself: {place[1]}; take it out of the children of one of those below it"
            raise HierarchyError(message)
        self._path.add(place)
        for kind in dict.fromkeys((*left, *right)):
            if both and (kind not in left or kind not in right):
                self.incr_models_processed(
                    len(getattr(source, left[kind]) if kind in left else getattr(dest, right[kind]))
                )
                continue
            sources = getattr(source, left[kind]) if kind in left else ()
            dests = getattr(dest, right[kind]) if kind in right else ()
            entries, same, any_differs = self._compared(*self._paired_children(kind, sources, dests))
            equal += same
            differs |= any_differs
            if entries:
                groups[kind] = entries
        self._path.discard(place)
        return groups, equal, differs

    def _skips(self, source: Any, dest: Any) -> bool:
        """Say whether flags leave a model out, and why in the log."""
        left = _NONE if source is None else source.model_flags
        right = _NONE if dest is None else dest.model_flags
        if left is _NONE and right is _NONE and not self.flags:
            return False
        reasons = (
            (
                dest is None and DiffSyncFlags.SKIP_UNMATCHED_SRC in self.flags,
                "SKIP_UNMATCHED_SRC flag on source adapter",
            ),
            (
                source is None and DiffSyncFlags.SKIP_UNMATCHED_DST in self.flags,
                "SKIP_UNMATCHED_DST flag on source adapter",
            ),
            (dest is None and DiffSyncModelFlags.SKIP_UNMATCHED_SRC in left, "SKIP_UNMATCHED_SRC flag on model"),
            (source is None and DiffSyncModelFlags.SKIP_UNMATCHED_DST in right, "SKIP_UNMATCHED_DST flag on model"),
            (DiffSyncModelFlags.IGNORE in left, "IGNORE flag on source object"),
            (DiffSyncModelFlags.IGNORE in right, "IGNORE flag on dest object"),
        )
        reason = next((text for holds, text in reasons if holds), None)
        if reason is None:
            return False
        model = source if source is not None else dest
        self.logger.debug(f"Skipping due to {reason}", model=model.get_type(), unique_id=model.get_unique_id())
        self.incr_models_processed()
        return True

    def _element(self, source: Any, dest: Any) -> DiffElement:
        model = source if source is not None else dest
        names = (self.src_diffsync.name, self.dst_diffsync.name)
        element = DiffElement(model.get_type(), model.get_shortname(), model.get_identifiers(), *names, self.diff_class)
        element.add_attrs(
            None if source is None else source.get_attrs(),
            None if dest is None else dest.get_attrs(),
        )
        element.source, element.dest = source, dest
        element.unique_id = model.get_unique_id()
        element.sensitive = getattr(model, "_sensitive", ())
        return element


def _models(adapter: Any, kind: str) -> Models:
    """Return all models of a kind, by key where the store has them so."""
    if isinstance(adapter.store, LocalStore) and type(adapter).get_all is Facade.get_all:
        return adapter.store.by_key(kind)
    found: list[Any] = adapter.get_all(kind)
    return found


def _by_uid(adapter: Any, kind: str) -> Mapping[Any, Any] | None:
    """Return the models of a kind by their unique ids, if the store has them so."""
    quick = isinstance(adapter.store, LocalStore) and type(adapter).get_by_uids is Facade.get_by_uids
    return adapter.store.by_uid(kind) if quick else None


def _unflagged(adapter: Any, models: Models) -> bool:
    """Say whether none of these models has flags, which is known of what came out of a store in memory by key."""
    return isinstance(models, dict) and not getattr(adapter.store, "flagged", True)


def overrides(cls: Any, names: Iterable[str]) -> bool:
    """Say whether a class has a method of its own instead of one of `DiffSyncModel`."""

    def function(owner: Any, name: str) -> Any:
        method = getattr(owner, name)
        return getattr(method, "__func__", method)  # a class method is bound to its class

    return any(function(cls, name) is not function(DiffSyncModel, name) for name in names)


def _check_keys(left: Sequence[Any], right: Sequence[Any]) -> None:
    """Refuse models whose identifiers are unlike, but have one text, such as 7 and "7"."""
    texts = {model.get_unique_id(): model for model in left}
    for model in right:
        other = texts.get(model.get_unique_id())
        if other is not None:
            message = f"Keys mismatch: {other.get_identifiers()} vs {model.get_identifiers()}"
            raise ValueError(message)


def _name_apart(elements: Sequence[DiffElement]) -> None:
    """Give elements with one short name their unique ids, but the first."""
    names: set[str] = set()
    for element in elements:
        if element.name in names:
            element.name = element.unique_id
        names.add(element.name)


def _without(models: dict[Any, Any], counterparts: dict[Any, Any]) -> list[Any]:
    """Return the models that have no counterpart."""
    return [model for key, model in models.items() if key not in counterparts]


class _Plan:
    """How models of two classes are compared.

    ``plain`` reads all that is to be compared, unless there is more to it.
    """

    __slots__ = ("_own", "_short", "_values", "dest", "plain", "source")

    def __init__(self, source: Any, dest: Any) -> None:
        self.source, self.dest = source, dest
        classes = (source, dest) if source is not type(None) else ()
        self._own = bool(classes) and (
            source._identifiers != dest._identifiers or any(overrides(cls, _IDENTITY) for cls in classes)
        )
        self._short = any(cls._shortname or overrides(cls, ["get_shortname"]) for cls in classes)
        self._values: Callable[[Any], Any] | None = None  # None if models have to be asked for their attributes
        if classes and not any(overrides(cls, ("get_attrs", "dict")) for cls in classes):
            common = [name for name in dest._attributes if name in source._attributes]
            self._values = attrgetter(*common) if common else _nothing
        below = any(cls._children or overrides(cls, ["get_children_mapping"]) for cls in classes)
        self.plain = None if self._own or self._short or below else self._values

    def check(self, source: Any, dest: Any) -> None:
        """Refuse models that have one unique id, but no other names in common.

        Raises:
            ValueError: if they differ in their short names or identifiers.
        """
        if self._short and source.get_shortname() != dest.get_shortname():
            message = f"Shortname mismatch: {source.get_shortname()} vs {dest.get_shortname()}"
            raise ValueError(message)
        if self._own and source.get_identifiers() != dest.get_identifiers():
            message = f"Keys mismatch: {source.get_identifiers()} vs {dest.get_identifiers()}"
            raise ValueError(message)

    def may_differ(self, source: Any, dest: Any) -> bool:
        """Say whether two models may differ in attributes."""
        return self._values is None or bool(self._values(source) != self._values(dest))


def _nothing(_: Any) -> None:
    """Return what models without attributes have in common."""
