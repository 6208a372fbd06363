"""Calls of the methods of models, and what their return values mean."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

from datastoresync.applying.object_template import ObjectMethods, ObjectTemplate
from datastoresync.applying.report import Result, failed, succeeded
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.vocabularies.dsync.declaration import schema_for
from datastoresync.vocabularies.dsync.enum import DiffSyncStatus
from datastoresync.vocabularies.dsync.exceptions import ObjectNotCreated
from datastoresync.vocabularies.dsync.identity import original_part
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.values import copy_value, equal_values

_NAMES = ("adapter", "diffsync", "dsync")
"""The names of the first argument of ``create`` over the years."""


def create_model(cls: Any, adapter: Any, ids: dict[str, Any], attrs: dict[str, Any]) -> Any:
    """Call ``create``, with the adapter under the name that it has for it, and return the model or None.

    Raises:
        ObjectNotCreated: if it returns something else than the model.
    """
    create: Any = cls.create
    name = _adapter_argument(getattr(create, "__func__", create))
    made = create(**{name: adapter}, ids=dict(ids), attrs=attrs)
    if made is None and cls._none_is_success:
        found = adapter.get_or_none(cls, ids)
        return cls.create_base(adapter, ids, attrs) if found is None else found
    if made is not None and not isinstance(made, DiffSyncModel):
        message = f"create of {cls.__name__} must return the model (got {type(made).__name__})"
        raise ObjectNotCreated(message)
    return made


def update_model(model: Any, attrs: dict[str, Any]) -> Any:
    """Call ``update``, and return the model or None. Attributes that a `DSyncModel` leaves unchanged are set here."""
    cls: Any = type(model)
    if not cls._none_is_success:
        return model.update(attrs=attrs)
    before = {name: (getattr(model, name), copy_value(getattr(model, name))) for name in attrs}
    given = {name: copy_value(value) for name, value in attrs.items()}
    returned = model.update(attrs=given)
    for name, value in attrs.items():
        old, copy = before[name]
        if getattr(model, name) is old and equal_values(old, copy):
            setattr(model, name, value)
    return model if returned is None else returned


def delete_model(model: Any) -> Any:
    """Call ``delete``, and return the model or None."""
    cls: Any = type(model)
    returned = model.delete()
    return model if returned is None and cls._none_is_success else returned


@lru_cache(maxsize=64)
def _adapter_argument(create: Any) -> str:
    """Return the name of the argument of ``create`` that takes the adapter."""
    parameters = list(signature(create).parameters.values())
    named = [one.name for one in parameters if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    known = [name for name in _NAMES if name in named]
    others = [name for name in named[1:] if name not in ("ids", "attrs")]  # without the class
    return (known or others or [_NAMES[0]])[0]


class ModelTemplate(ObjectTemplate):
    """Applies native diffs to an adapter's tree through ``create``, ``update`` and ``delete``.

    None is a failure that skips the children, except in a `DSyncModel`.
    """

    waits_for_left_out = False  # a parent goes though a child is left alone

    def _create(self, diff: Diff, methods: ObjectMethods, branch: str, actions: Sequence[Action]) -> Any:
        source: Any = actions[0].source
        if not schema_for(methods.cls).own_unique_id:
            return super()._create(diff, methods, branch, actions)
        return self.call_create(methods.cls, source.get_identifiers(), diff.values(actions[0]))

    def call_create(self, cls: Any, ids: dict[str, Any], attributes: dict[str, Any]) -> Any:
        """Create a model."""
        given = {name: copy_value(value) for name, value in attributes.items()}
        named = {name: original_part(value) for name, value in ids.items()}
        made = create_model(cls, self.tree.adapter, named, given)
        if made is not None and made.get_identifiers() != named:
            message = f"create of {cls.__name__} returned {made!r} instead of {named}"
            raise ObjectNotCreated(message)
        return made

    def call_update(self, item: Any, attributes: dict[str, Any]) -> Any:
        """Update a model."""
        item.set_status(DiffSyncStatus.UNKNOWN)
        return update_model(item, {name: copy_value(value) for name, value in attributes.items()})

    def call_delete(self, item: Any) -> Any:
        """Delete a model."""
        item.set_status(DiffSyncStatus.UNKNOWN)
        return delete_model(item)

    def call_move(self, item: Any, parent: Any) -> Any:
        """Move a model below another parent."""
        return item._move(parent)  # noqa: SLF001 - a hook of the user's, who owns all other names

    def outcome(self, verb: str, cls: Any, returned: Any) -> Result:
        """Return the result that a return value stands for."""
        if isinstance(returned, Result):
            return returned
        if returned is None:
            return failed(f"{verb} of {cls.__name__} returned None", skip_children=True)
        return Result("succeeded", created=returned) if verb == "create" else succeeded()
