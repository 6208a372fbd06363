"""Applying of a diff through the methods of models, with a callback for progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from datastoresync.applying.object_template import ObjectMethods, ObjectTemplate
from datastoresync.applying.plan import Plan
from datastoresync.applying.report import Result, failed, succeeded
from datastoresync.applying.reporter import Reporter
from datastoresync.vocabularies.dsync.exceptions import (
    ObjectCrudException,
    ObjectNotCreated,
    ObjectNotDeleted,
    ObjectNotUpdated,
)
from datastoresync.vocabularies.dsync.flags import DiffSyncStatus
from datastoresync.vocabularies.dsync.identity import original_part
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.values import copy_value, equal_values

_NAMES = ("adapter", "diffsync", "dsync")
"""The names of the first argument of ``create`` over the years."""


class ModelTemplate(ObjectTemplate):
    """Calls ``create``, ``update`` and ``delete`` as diffsync does.

    None is a failure that skips the children, except in a `DSyncModel`. An exception is a failure that also stops the
    run, unless it is to continue.

    Args:
        tree: The destination.
        classes: The classes of its models.
        continue_on_failure: Whether to continue after an exception.
    """

    waits_for_left_out = False  # a parent goes though a child is left alone

    def __init__(self, tree: Any, classes: Mapping[str, ObjectMethods], *, continue_on_failure: bool = True) -> None:
        super().__init__(tree, classes)
        self.continue_on_failure = continue_on_failure
        self._stopped = False
        self._names: dict[Any, str] = {}

    def call_create(self, cls: Any, ids: dict[str, Any], attributes: dict[str, Any]) -> Any:
        """Create a model, with the adapter under the name that ``create`` has for it."""
        if cls not in self._names:
            self._names[cls] = _adapter_argument(cls.create)
        given = {name: copy_value(value) for name, value in attributes.items()}
        ids = {name: original_part(value) for name, value in ids.items()}
        made = self._call(self._create_new, cls, **{self._names[cls]: self.tree.adapter}, ids=dict(ids), attrs=given)
        if isinstance(made, DiffSyncModel) and made.get_identifiers() != ids:
            message = f"create of {cls.__name__} returned {made!r} instead of {ids}"
            raise ObjectNotCreated(message)
        return made

    def call_update(self, item: Any, attributes: dict[str, Any]) -> Any:
        """Update a model. Attributes that a `DSyncModel` leaves unchanged are set here."""
        given = {name: copy_value(value) for name, value in attributes.items()}
        before = {name: (getattr(item, name), copy_value(getattr(item, name))) for name in attributes}
        returned = self._call(self._call_existing, item, "update", ObjectNotUpdated, attrs=given)
        cls = type(item)
        if cls._none_is_success and self.outcome("update", cls, returned).status == "succeeded":
            for name, value in attributes.items():
                old, copy = before[name]
                if getattr(item, name) is old and equal_values(old, copy):
                    setattr(item, name, copy_value(value))
        return returned

    def call_delete(self, item: Any) -> Any:
        """Delete a model."""
        return self._call(self._call_existing, item, "delete", ObjectNotDeleted)

    def call_move(self, item: Any, parent: Any) -> Any:
        """Move a model below another parent."""
        return self._call(item._move, parent)  # noqa: SLF001 - a hook of the user's, who owns all other names

    def _create_new(self, cls: Any, *, ids: dict[str, Any], attrs: dict[str, Any], **adapter: Any) -> Any:
        if self.tree.adapter.store.find(cls, ids) is not None:
            message = f"cannot create {cls.get_type()} {ids}: it exists already, so compare again"
            raise ObjectNotCreated(message)
        return cls.create(**adapter, ids=ids, attrs=attrs)

    def _call_existing(self, item: Any, verb: str, error: type[ObjectCrudException], **arguments: Any) -> Any:
        if item.__key__ not in self.tree[item.get_type()].contents.objects:
            message = f"cannot {verb} {item!r}: it is gone, so compare again"
            raise error(message)
        item.set_status(DiffSyncStatus.UNKNOWN)
        return getattr(item, verb)(**arguments)

    def stop(self) -> None:
        """Skip all further calls."""
        self._stopped = True

    def _call(self, method: Any, *arguments: Any, **named: Any) -> Any:
        if self._stopped:
            return Result("pending", "not reached after a failure")
        try:
            return method(*arguments, **named)
        except Exception:
            self._stopped = not self.continue_on_failure
            raise

    def outcome(self, verb: str, cls: Any, returned: Any) -> Result:
        """Return the result that a return value stands for."""
        if isinstance(returned, Result):
            return returned
        if verb == "create" and isinstance(returned, DiffSyncModel):
            return Result("succeeded", created=returned)
        if returned is None and not cls._none_is_success:
            return failed(f"{verb} of {cls.__name__} returned None", skip_children=True)
        if verb == "create" and returned is not None:
            return failed(f"create of {cls.__name__} must return the model (got {type(returned).__name__})")
        return succeeded()


def _adapter_argument(create: Any) -> str:
    """Return the name of the argument of ``create`` that takes the adapter."""
    parameters = signature(create).parameters
    known = [name for name in _NAMES if name in parameters]
    named = [
        one.name for one in parameters.values() if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    ]
    others = [name for name in named if name not in ("ids", "attrs")]
    return (known or others or [_NAMES[0]])[0]


class ProgressListener(Reporter):
    """Calls a function after every result, and stops the run if it raises.

    Args:
        callback: Takes ``"sync"``, the number of results up to now, and in all; or None.
        stop: Stops the run.
    """

    def __init__(self, callback: Callable[[str, int, int], Any] | None, stop: Callable[[], None]) -> None:
        self.callback = callback
        self.stop = stop
        self.error: Exception | None = None
        self._done = self._total = 0

    def start(self, plan: Plan) -> None:
        """Set the total."""
        self._total = len(plan.actions)

    def result(self, result: Result) -> None:  # noqa: ARG002 - a hook
        """Count, and call the function; after an exception, kept in ``error``, it is not called again."""
        self._done += 1
        if self.callback is None or self.error is not None:
            return
        try:
            self.callback("sync", self._done, self._total)
        except Exception as error:  # noqa: BLE001 - raised after the report is made
            self.error = error
            self.stop()
