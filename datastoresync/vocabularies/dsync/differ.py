"""What compares two adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from datastoresync.errors import HierarchyError
from datastoresync.runtime import collector_paused
from datastoresync.vocabularies.dsync.diff import Diff, DiffElement, Groups
from datastoresync.vocabularies.dsync.flags import DiffSyncFlags, DiffSyncModelFlags
from datastoresync.vocabularies.dsync.logging import get_logger
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.utils import intersection, symmetric_difference

Callback = Callable[[str, int, int], Any]
"""Takes the stage, ``"diff"`` or ``"sync"``, the number of models done, and that of all."""


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
        self._plans: dict[tuple[type, type], tuple[Callable[[Any], Any] | None, bool]] = {}
        self._path: set[tuple[str, str]] = set()
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
            groups[kind], same = self._compared(source.get_all(kind), dest.get_all(kind))
            equal += same
        diff.fill({kind: entries for kind, entries in groups.items() if entries}, equal, self._element)
        return diff

    def _compared(self, source: Sequence[Any], dest: Sequence[Any]) -> tuple[list[Any], int]:
        """Return the entries of a diff for models of one kind, and how many equal ones are in its tuples."""
        left, right = _by_key(source, dest), _by_key(dest, source)
        matched = left.keys() & right.keys()
        size = len(left) + len(right) - len(matched)
        self.incr_models_processed(max(len(source) - size, 0) + max(len(dest) - size, 0))
        if len(matched) < len(left) and len(matched) < len(right):
            _check_keys(
                [model for key, model in left.items() if key not in matched],
                [model for key, model in right.items() if key not in matched],
            )
        pairs = [(model, right.get(key)) for key, model in left.items()]
        pairs += [(None, model) for key, model in right.items() if key not in matched]
        entries: list[Any] = []
        names: set[str] = set()
        equal = 0
        for one, other in pairs:
            if self._skips(one, other):
                continue
            self.incr_models_processed((one is not None) + (other is not None))
            groups, same = self._compared_below(one, other)
            element = None
            if one is None or other is None or self._differs(one, other):
                element = self._element(one, other)
            if element is not None and element.action is None:
                element = None
            if element is None and any(type(entry) is not tuple for below in groups.values() for entry in below):
                element = self._element(one, other)
            if element is None:
                entries.append((one, other, groups or None))
                equal += same + 1
                continue
            if groups:
                element.child_diff.fill(groups, same, self._element)
            if element.name in names:
                element.name = element.unique_id
            names.add(element.name)
            entries.append(element)
        return entries, equal

    def _compared_below(self, source: Any, dest: Any) -> tuple[Groups, int]:
        """Return the entries for the children of one or two models, by kind, and how many equal ones are in tuples."""
        left = source.get_children_mapping() if source is not None else {}
        right = dest.get_children_mapping() if dest is not None else {}
        groups: Groups = {}
        equal = 0
        if not left and not right:
            return groups, equal
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
            sources = self.src_diffsync.get_by_uids(getattr(source, left[kind]), kind) if kind in left else []
            dests = self.dst_diffsync.get_by_uids(getattr(dest, right[kind]), kind) if kind in right else []
            entries, same = self._compared(sources, dests)
            equal += same
            if entries:
                groups[kind] = entries
        self._path.discard(place)
        return groups, equal

    def _differs(self, source: Any, dest: Any) -> bool:
        """Say whether two models may differ in attributes, or raise if their short names do."""
        classes = (type(source), type(dest))
        if classes not in self._plans:
            self._plans[classes] = _comparison(*classes)
        getter, short = self._plans[classes]
        if short and source.get_shortname() != dest.get_shortname():
            message = f"Shortname mismatch: {source.get_shortname()} vs {dest.get_shortname()}"
            raise ValueError(message)
        return getter is None or bool(getter(source) != getter(dest))

    def _skips(self, source: Any, dest: Any) -> bool:
        """Say whether flags leave a model out, and why in the log."""
        left = DiffSyncModelFlags.NONE if source is None else source.model_flags
        right = DiffSyncModelFlags.NONE if dest is None else dest.model_flags
        if not (left or right or self.flags):
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


def _by_key(models: Sequence[Any], counterparts: Sequence[Any]) -> dict[Any, Any]:
    """Return models by their identifiers, or by their unique ids where a class makes those itself."""
    classes = {type(some[0]) for some in (models, counterparts) if some}
    methods = ("get_unique_id", "create_unique_id", "get_identifiers")
    identifiers = {tuple(cls._identifiers) for cls in classes}
    if any(overrides(cls, methods) for cls in classes) or len(identifiers) != 1 or () in identifiers:
        return {model.get_unique_id(): model for model in models}
    return dict(zip(map(attrgetter(*identifiers.pop()), models), models, strict=True))


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


def _comparison(source: Any, dest: Any) -> tuple[Callable[[Any], Any] | None, bool]:
    """Return what reads the attributes that two classes have in common, and whether short names are to be compared.

    The first is None if models have to be asked for their attributes.
    """
    short = bool(source._shortname or dest._shortname or overrides(source, ["get_shortname"]))
    if overrides(source, ("get_attrs", "dict")) or overrides(dest, ("get_attrs", "dict")):
        return None, short
    common = [name for name in dest._attributes if name in source._attributes]
    return (attrgetter(*common) if common else lambda _: ()), short
