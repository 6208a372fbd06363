"""What carries out the difference of two adapters."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from datastoresync.applying.report import Report, Result, reason_of
from datastoresync.diffing.action import Action
from datastoresync.vocabularies.dsync.diff import Diff, DiffElement, differ
from datastoresync.vocabularies.dsync.differ import Callback, overrides
from datastoresync.vocabularies.dsync.enum import (
    DiffSyncActions,
    DiffSyncFlags,
    DiffSyncModelFlags,
    DiffSyncStatus,
)
from datastoresync.vocabularies.dsync.exceptions import (
    ObjectCrudException,
    ObjectNotCreated,
    ObjectNotDeleted,
    ObjectNotFound,
    ObjectNotUpdated,
    ObjectStoreWrongType,
)
from datastoresync.vocabularies.dsync.logging import get_logger
from datastoresync.vocabularies.dsync.store.local import LocalStore
from datastoresync.vocabularies.dsync.template import create_model, delete_model, update_model

CREATE, UPDATE, DELETE = DiffSyncActions.CREATE, DiffSyncActions.UPDATE, DiffSyncActions.DELETE


class DiffSyncSyncer:
    """Carries out a diff in its destination, by the methods of its models.

    Nothing is created, updated or deleted twice, though several parents name it.

    Args:
        diff: The diff.
        src_diffsync: The source.
        dst_diffsync: The destination.
        flags: Whether to continue after a failure, and to log what is equal.
        callback: Takes ``"sync"``, the number of models done, and that of all.
    """

    def __init__(
        self, diff: Diff, src_diffsync: Any, dst_diffsync: Any, flags: DiffSyncFlags, callback: Callback | None = None
    ) -> None:
        self.diff = diff
        self.src_diffsync, self.dst_diffsync = src_diffsync, dst_diffsync
        self.flags = flags
        self.callback = callback
        self.elements_processed = 0
        self.total_elements = len(diff) if callback is not None else 0
        self.base_logger = get_logger().new(src=src_diffsync, dst=dst_diffsync, flags=flags)
        self._everything = callback is not None or DiffSyncFlags.LOG_UNCHANGED_RECORDS in flags
        self._results: list[Result] = []
        self._handled: set[int] = set()  # ids of elements
        self._done: set[tuple[str, str, str]] = set()  # action, kind and unique id
        self._lost: set[tuple[str, str, str]] = set()  # those that have failed
        self._moved: dict[int, DiffElement] = {}  # by the id of a creation: the deletion that it stands for as well
        self._index: dict[tuple[str, str], list[tuple[DiffElement, DiffElement | None]]] | None = None

    def incr_elements_processed(self, delta: int = 1) -> None:
        """Count models, and tell the callback."""
        self.elements_processed += delta
        if self.callback is not None:
            self.callback("sync", self.elements_processed, self.total_elements)

    def perform_sync(self) -> bool:
        """Carry the diff out, set its ``report``, and say whether anything was tried.

        Raises:
            ObjectStoreWrongType: before the first change, if the destination has no place for what is to be created.
            ObjectCrudException: that of a model's method, unless the flags tell to continue.
            Exception: any other of a model's method, or the callback's.
        """
        self._check_places(self.diff.elements(), None)
        started = time.perf_counter()
        changed, interrupted = False, True
        self.base_logger.info("Beginning sync")
        try:
            for element in self._below(self.diff):
                changed |= self.sync_diff_element(element)
            interrupted = False
        except Exception:
            interrupted = False
            raise
        finally:
            for element in _walk(self.diff.elements()):
                self._note(element, "pending", "not reached after a failure")
            seconds = time.perf_counter() - started
            self.diff.report = Report(tuple(self._results), seconds, interrupted=interrupted, unchecked=True)
        self.base_logger.info("Sync complete")
        return changed

    def _below(self, one: Diff | DiffElement) -> Iterable[DiffElement]:
        if self._everything:
            return one.get_children()
        elements = one.elements()  # a diff with an order of its own makes them all
        for model in one.unchanged():
            model.set_status(DiffSyncStatus.UNKNOWN)
        return elements

    def _check_places(self, elements: Iterable[DiffElement], parent: Any) -> None:
        """Refuse to create a model of a kind that the destination does not have, or that its parent cannot hold."""
        for element in elements:
            cls = self._class(element)
            if element.action == CREATE and cls is None:
                message = f"{self.dst_diffsync} has no model {element.type!r}, which is to be created: declare it there"
                raise ObjectStoreWrongType(message)
            if element.action == CREATE and parent is not None and element.type not in parent.get_children_mapping():
                valid = sorted(parent.get_children_mapping())
                message = f"Unable to store {element.type} as a child of {parent.get_type()}; valid types are {valid}"
                raise ObjectStoreWrongType(message)
            self._check_places(element.elements(), cls)

    def _class(self, element: DiffElement) -> Any:
        """Return the class of the destination's models of a kind; None if it has none."""
        owner: Any = self.dst_diffsync
        found = getattr(type(owner), element.type, getattr(owner, element.type, None))
        if found is None:  # a kind that is only in the store
            model = self.dst_diffsync.get_or_none(element.type, element.unique_id)
            found = None if model is None else type(model)
        return found

    # One element.

    def sync_diff_element(self, element: DiffElement, parent_model: Any = None) -> bool:
        """Carry out an element and those below it, and say whether anything was tried."""
        if id(element) in self._handled:  # a deletion that had to come first
            return False
        step = self._step(element)
        if step.model is not None:
            step.model.set_status(DiffSyncStatus.UNKNOWN)
        if element.action == DELETE:
            return self._delete(step, parent_model)
        changed, result = self._write(step)
        if result is None:
            self._leave_below(step)
            return changed
        if element.action == CREATE:
            self._attach(result, parent_model)
        elif element.action == UPDATE:
            self._save(result)
        self.incr_elements_processed()
        moved = self._moved.get(id(element))
        for child in (*self._below(element), *(self._below(moved) if moved is not None else ())):
            changed |= self.sync_diff_element(child, result)
        return changed

    def _step(self, element: DiffElement) -> _Step:
        cls = self._class(element)
        unique_id = cls.create_unique_id(**element.keys)
        about = {
            "action": element.action,
            "model": element.type,
            "unique_id": unique_id,
            "diffs": element.shown_diffs(),
        }
        model = self.dst_diffsync.get_or_none(cls, element.keys)
        return _Step(element, cls, unique_id, self.base_logger.bind(**about), model)

    def _write(self, step: _Step) -> tuple[bool, Any]:
        """Create or update a model; return whether that was tried, and the model, which is None after a failure."""
        element = step.element
        if (element.action, element.type, step.unique_id) in self._done:  # below another parent
            self._note(element, "succeeded")
            return False, step.model
        if element.action == CREATE and step.model is not None:
            others = [(one, above) for one, above in self._elsewhere(step) if one is not element]
            if any(one.action in (None, UPDATE) for one, _ in others):
                self._note(element, "succeeded")
                return True, step.model
            for one, above in others:
                if one.action == DELETE and id(one) not in self._handled:
                    if _may_move(step.cls):
                        return self._move(step, one, above)
                    self.sync_diff_element(one, above and self._step(above).model)
                    step = attrs.evolve(step, model=self.dst_diffsync.get_or_none(step.cls, element.keys))
        return self.sync_model(step)

    def _delete(self, step: _Step, parent_model: Any) -> bool:
        """Delete a model and then those below it, or before it in natural order, unless another parent keeps it."""
        element, model = step.element, step.model
        if (DELETE, element.type, step.unique_id) in self._done:
            self._note(element, "succeeded")
            return False
        if model is not None and self.src_diffsync.get_or_none(step.cls, element.keys) is not None:
            others = [one.action for one, _ in self._elsewhere(step) if one is not element]
            if None in others or UPDATE in others:
                self._detach(model, parent_model)
                for one in (element, *_walk(element.elements())):
                    self._note(one, "succeeded", "it is kept below another parent")
                self.incr_elements_processed()
                return True
            if CREATE in others and _may_move(step.cls):
                return False  # the creation moves it
        flags = DiffSyncModelFlags.NONE if model is None else model.model_flags
        skips_children = DiffSyncModelFlags.SKIP_CHILDREN_ON_DELETE in flags
        children_first = DiffSyncModelFlags.NATURAL_DELETION_ORDER in flags and not skips_children
        for child in self._below(element) if children_first else ():
            self.sync_diff_element(child, model)
        _, result = self.sync_model(step)
        if result is None:
            self._leave_below(step)
            return True
        self._detach(model, parent_model)
        try:
            self.dst_diffsync.remove(result, remove_children=skips_children)
        except ObjectNotFound:
            step.logger.debug("The model has removed itself")
        if skips_children:
            for below in _walk(element.elements()):
                self._note(below, "succeeded", "it goes with its parent")
            return True
        self.incr_elements_processed()
        for child in () if children_first else self._below(element):
            self.sync_diff_element(child, result)
        return True

    def _leave_below(self, step: _Step) -> None:
        """Log that what is below a model is left alone, since that one has failed."""
        step.logger.warning("No object resulted from sync, will not process child objects.")
        element = step.element
        for below in _walk(element.elements()):
            self._note(below, "skipped", f"its parent {element.type} {step.unique_id!r} could not be {element.action}d")

    def _move(self, step: _Step, deletion: DiffElement, above: DiffElement | None) -> tuple[bool, Any]:
        """Let a model move itself below another parent, and then update it; return as `sync_model` does."""
        element, model = step.element, step.model
        old_parent = None if above is None else self._step(above).model
        self._moved[id(element)] = deletion
        self._note(deletion, "succeeded", "it is moved below another parent")
        held = model.get_attrs()
        changes = {name: value for name, value in (element.source_attrs or {}).items() if differ(value, held.get(name))}

        def move() -> Any:
            self._detach(model, old_parent)
            moved = model._move(self._parent_of(element))  # noqa: SLF001 - as in `ModelTemplate`
            return update_model(moved, copy.deepcopy(changes)) if changes and moved is not None else moved

        return self._called(step, "move", move)

    def sync_model(self, step: _Step) -> tuple[bool, Any]:
        """Call a model's method; return whether that was tried, and the model, which is None after a failure."""
        element, cls, model = step.element, step.cls, step.model
        if element.action is None:
            if DiffSyncFlags.LOG_UNCHANGED_RECORDS in self.flags:
                step.logger.debug("No changes to apply; no action needed", status=DiffSyncStatus.SUCCESS.value)
            return False, model
        if (element.action, element.type, step.unique_id) in self._lost:  # below another parent
            self._note(element, "skipped", "it has failed before")
            return False, None
        values = copy.deepcopy(element.get_attrs_diffs().get("+", {}))
        kind = cls.get_type()

        def call() -> Any:
            if element.action == CREATE:
                if model is not None:
                    message = f"Failed to create {kind} {element.keys} - it already exists! Compare again"
                    raise ObjectNotCreated(message)
                return create_model(cls, self.dst_diffsync, dict(element.keys), values)
            if model is None:
                error = ObjectNotUpdated if element.action == UPDATE else ObjectNotDeleted
                message = f"Failed to {element.action} {kind} {element.keys} - not found! Compare again"
                raise error(message)
            return update_model(model, values) if element.action == UPDATE else delete_model(model)

        return self._called(step, str(element.action), call)

    def _called(self, step: _Step, verb: str, call: Callable[[], Any]) -> tuple[bool, Any]:
        """Call, log and note what comes of it; see `sync_model`."""
        element = step.element
        step.logger.debug(f"Attempting model {verb}")
        try:
            result = call()
        except Exception as error:
            self._note(element, "failed", reason_of(error), error)
            if not isinstance(error, ObjectCrudException):
                raise
            step.logger.error(str(error), status=DiffSyncStatus.ERROR.value)
            self._lost.add((str(element.action), element.type, step.unique_id))
            if DiffSyncFlags.CONTINUE_ON_FAILURE not in self.flags:
                raise
            return True, None
        if result is None:
            message = f"{element.type} {verb} did not return the model object."
            step.logger.warning(message, status=DiffSyncStatus.FAILURE.value)
            self._note(element, "failed", f"{verb} of {step.cls.__name__} returned None")
            self._lost.add((str(element.action), element.type, step.unique_id))
            return True, None
        status, message = result.get_status()
        levels = {DiffSyncStatus.SUCCESS: "info", DiffSyncStatus.FAILURE: "warning"}
        getattr(step.logger, levels.get(status, "error"))(message, status=status.value)
        self._done.add((str(element.action), element.type, step.unique_id))
        other = element.action == CREATE and result.get_identifiers() != element.keys
        self._note(element, "succeeded", f"it became {result!r}" if other else "")
        return True, result

    # Stores.

    def _attach(self, model: Any, parent_model: Any) -> None:
        if parent_model is not None and model.get_unique_id() not in _members(parent_model, model):
            parent_model.add_child(model)
            self._save(parent_model)
        self.dst_diffsync.add(model)

    def _detach(self, model: Any, parent_model: Any) -> None:
        if parent_model is not None and model.get_unique_id() in _members(parent_model, model):
            parent_model.remove_child(model)
            self._save(parent_model)

    def _save(self, model: Any) -> None:
        """Keep what has changed in a model, in a store that holds copies."""
        store = self.dst_diffsync.store
        if not isinstance(store, LocalStore) and store.find(model, model.get_identifiers()) is not None:
            store.update(obj=model)

    # The rest of the diff.

    def _elsewhere(self, step: _Step) -> Sequence[tuple[DiffElement, DiffElement | None]]:
        """Return all elements for one model, each with the one above it."""
        if self._index is None:
            self._index = {}
            waiting: list[tuple[DiffElement, DiffElement | None]] = [(one, None) for one in self.diff.get_children()]
            for element, above in waiting:
                self._index.setdefault((element.type, element.unique_id), []).append((element, above))
                waiting += [(child, element) for child in element.get_children()]
        return self._index.get((step.element.type, step.element.unique_id), ())

    def _parent_of(self, element: DiffElement) -> Any:
        above = next((above for one, above in self._elsewhere(self._step(element)) if one is element), None)
        return None if above is None else self._step(above).model

    def _note(self, element: DiffElement, status: Any, reason: str = "", error: Exception | None = None) -> None:
        """Add the results of an element, one for each action that the native diff would have for it."""
        action = element.action
        if id(element) in self._handled:
            return
        self._handled.add(id(element))
        if action is None:
            return
        key = tuple(element.keys.values())
        about = (element.type, key if len(key) > 1 else next(iter(key), None))
        models = (element.source, element.dest)
        if action == UPDATE:
            diffs = element.get_attrs_diffs()
            found = [
                Action("update", *about, name, value, diffs["-"][name], *models) for name, value in diffs["+"].items()
            ]
        else:
            found = [Action("new" if action == CREATE else "old", *about, source=models[0], dest=models[1])]
        method = f"{action}_{element.type}"
        self._results += [Result(status, reason, one, method, error) for one in found]


@attrs.frozen(eq=False)
class _Step:
    """An element in a sync.

    Args:
        element: The element.
        cls: The class of the model in the destination.
        unique_id: The unique id of the model there.
        logger: The logger, bound to what is done.
        model: The model there, if any.
    """

    element: DiffElement
    cls: Any
    unique_id: str
    logger: Any
    model: Any


def _walk(elements: Iterable[DiffElement]) -> Iterator[DiffElement]:
    """Yield elements with all that differ below them, each before those."""
    for element in elements:
        yield element
        yield from _walk(element.elements())


def _members(parent: Any, child: Any) -> Any:
    """Return the unique ids in the field for children of a kind."""
    field = parent.get_children_mapping().get(child.get_type())
    return () if field is None else getattr(parent, field)


def _may_move(cls: Any) -> bool:
    """Say whether a class has a method of its own for being moved below another parent."""
    return overrides(cls, ["_move"])
