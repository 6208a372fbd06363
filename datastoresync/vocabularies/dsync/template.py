"""Applying of a diff through the methods of models, with a callback for progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from datastoresync.applying.object_template import ObjectMethods, ObjectTemplate
from datastoresync.applying.plan import Plan
from datastoresync.applying.report import Result, failed, succeeded
from datastoresync.applying.reporter import Reporter
from datastoresync.vocabularies.dsync.exceptions import ObjectNotCreated, ObjectNotDeleted, ObjectNotUpdated
from datastoresync.vocabularies.dsync.flags import DiffSyncStatus
from datastoresync.vocabularies.dsync.identity import without_absence
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.values import copied, same

_NAMES = ("adapter", "diffsync", "dsync")
"""What the first argument of ``create`` was called over the years."""


class ModelTemplate(ObjectTemplate):
    """Calls ``create``, ``update`` and ``delete`` as diffsync does.

    Returning None is a failure that leaves the children alone, except in a `DSyncModel`. What raises is a failure,
    too, after which nothing more is called, unless the run is to go on.

    Args:
        tree: The destination.
        classes: The classes of its models.
        go_on: Whether to go on after a method raised.
    """

    def __init__(self, tree: Any, classes: Mapping[str, ObjectMethods], *, go_on: bool = True) -> None:
        super().__init__(tree, classes)
        self.go_on = go_on
        self._stopped = False
        self._names: dict[Any, str] = {}

    def call_create(self, cls: Any, ids: dict[str, Any], attributes: dict[str, Any]) -> Any:
        """Create a model; its adapter goes by the name that ``create`` has for it."""
        if cls not in self._names:
            self._names[cls] = _first_name(cls.create)
        given = {name: copied(value) for name, value in attributes.items()}
        ids = {name: without_absence(value) for name, value in ids.items()}
        made = self._call(self._created, cls, **{self._names[cls]: self.tree.adapter}, ids=dict(ids), attrs=given)
        if isinstance(made, DiffSyncModel) and made.get_identifiers() != ids:
            message = f"create of {cls.__name__} gave {made!r}, which is not what it was asked for: {ids}"
            raise ObjectNotCreated(message)
        return made

    def call_update(self, item: Any, attributes: dict[str, Any]) -> Any:
        """Update a model. What the method of a `DSyncModel` leaves as it was is set here."""
        before = {name: (getattr(item, name), copied(getattr(item, name))) for name in attributes}
        returned = self._call(self._updated, item, {name: copied(value) for name, value in attributes.items()})
        cls = type(item)
        if cls._none_is_done and self.outcome("update", cls, returned).status == "succeeded":
            for name, value in attributes.items():
                held, content = before[name]
                if getattr(item, name) is held and same(held, content):
                    setattr(item, name, copied(value))
        return returned

    def call_delete(self, item: Any) -> Any:
        """Delete a model."""
        return self._call(self._deleted, item)

    def call_move(self, item: Any, parent: Any) -> Any:
        """Put a model below another parent."""
        return self._call(item.move, parent)

    def _created(self, cls: Any, *, ids: dict[str, Any], attrs: dict[str, Any], **adapter: Any) -> Any:
        if self.tree.adapter.store.find(cls, ids) is not None:
            message = f"{cls.get_type()} {ids} cannot be created: it is there already, so make the diff anew"
            raise ObjectNotCreated(message)
        return cls.create(**adapter, ids=ids, attrs=attrs)

    def _updated(self, item: Any, attributes: dict[str, Any]) -> Any:
        if not self._is_there(item):
            message = f"{item!r} cannot be updated: it is not there any more, so make the diff anew"
            raise ObjectNotUpdated(message)
        item.set_status(DiffSyncStatus.UNKNOWN)
        return item.update(attrs=attributes)

    def _deleted(self, item: Any) -> Any:
        if not self._is_there(item):
            message = f"{item!r} cannot be deleted: it is not there any more, so make the diff anew"
            raise ObjectNotDeleted(message)
        item.set_status(DiffSyncStatus.UNKNOWN)
        return item.delete()

    def _is_there(self, item: Any) -> bool:
        return item.idnumber in self.tree[item.get_type()].contents.objects

    def stop(self) -> None:
        """Call nothing more."""
        self._stopped = True

    def _call(self, method: Any, *arguments: Any, **named: Any) -> Any:
        if self._stopped:
            return Result("pending", "not come to after a failure")
        try:
            return method(*arguments, **named)
        except Exception:
            self._stopped = not self.go_on
            raise

    def outcome(self, verb: str, cls: Any, returned: Any) -> Result:
        """Return what a method's return value means."""
        if isinstance(returned, Result):
            return returned
        if verb == "create" and isinstance(returned, DiffSyncModel):
            return Result("succeeded", created=returned)
        if returned is None and not cls._none_is_done:
            return failed(f"{verb} of {cls.__name__} returned None", skip_children=True)
        if verb == "create" and returned is not None:
            return failed(f"create of {cls.__name__} must return the model (got {type(returned).__name__})")
        return succeeded()


def _first_name(create: Any) -> str:
    """Return the name of the argument of ``create`` that takes the adapter."""
    parameters = signature(create).parameters
    known = [name for name in _NAMES if name in parameters]
    named = [
        one.name for one in parameters.values() if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    ]
    others = [name for name in named if name not in ("ids", "attrs")]
    return (known or others or [_NAMES[0]])[0]


class Listener(Reporter):
    """Calls a function after every result, and ends the run if it raises.

    Args:
        callback: Called with ``"sync"``, how many results there were and how many there will be; or None.
        stop: Ends the run.
    """

    def __init__(self, callback: Callable[[str, int, int], Any] | None, stop: Callable[[], None]) -> None:
        self.callback = callback
        self.stop = stop
        self.error: Exception | None = None
        self._done = self._total = 0

    def start(self, plan: Plan) -> None:
        """Begin at nothing."""
        self._total = len(plan.actions)

    def result(self, result: Result) -> None:  # noqa: ARG002 - a hook
        """Count, and say so; what the function raises is kept in ``error``, and it is not called again."""
        self._done += 1
        if self.callback is None or self.error is not None:
            return
        try:
            self.callback("sync", self._done, self._total)
        except Exception as error:  # noqa: BLE001 - it is raised as soon as the report is there
            self.error = error
            self.stop()
