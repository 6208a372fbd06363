"""What models, trees, stores and diffs know of the adapter that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Store(Protocol):
    """Keeps the models of an adapter; see `LocalStore`."""

    flagged: bool

    def find(self, model: Any, identifier: Any) -> Any:
        """Return a model, or None."""

    def resolve_children(self) -> None:
        """Give unique ids that are plain texts in fields the keys that they stand for."""


class Owner(Protocol):
    """An adapter, as its models see it; see `Adapter`."""

    @property
    def name(self) -> str:
        """The name in messages."""

    @property
    def top_level(self) -> Sequence[str]:
        """The names of the models that a comparison begins with."""

    @property
    def store(self) -> Store:
        """The store of the models."""

    def add(self, obj: Any) -> None:
        """Keep a model."""

    def remove(self, obj: Any, remove_children: bool = False) -> None:  # noqa: FBT001, FBT002 - diffsync's order
        """Remove a model, and those below it if asked to."""

    def get(self, obj: Any, identifier: Any) -> Any:
        """Return a model by its unique id or identifiers."""

    def get_or_none(self, obj: Any, identifier: Any) -> Any:
        """Return a model by its unique id or identifiers, or None."""

    def get_all(self, obj: Any) -> list[Any]:
        """Return all models of a kind."""

    def count(self, model: Any = None) -> int:
        """Return the number of models, of a kind or in all."""
