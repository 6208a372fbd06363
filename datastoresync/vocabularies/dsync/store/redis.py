"""The store of an adapter's models in Redis, as JSON. It needs ``pip install "datastoresync[redis]"``."""

from __future__ import annotations

import json
import uuid
import weakref
from typing import Any

from datastoresync.errors import MissingDependencyError
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectStoreException
from datastoresync.vocabularies.dsync.store import BaseStore, Kind

try:
    from redis import Redis, RedisError
except ImportError as missing:
    raise MissingDependencyError('RedisStore needs redis: pip install "datastoresync[redis]"') from missing

ROOT_LABEL = "datastoresync"


class RedisStore(BaseStore):
    """Keeps the models of one adapter in Redis: a hash for each kind, with the models' JSON by unique id.

    What `get` returns is a copy: `update` keeps what is changed in it, or in a model that was added. A sync does so.
    Models come in the order of their unique ids. The class of a kind is that of the adapter, or else of what was added.

    Args:
        args: Ignored here.
        store_id: The name of the content, for another store to find it; a new one if None.
        host: The host of the server.
        port: Its port.
        url: Its URL, instead of host and port: ``redis://``, ``rediss://`` or ``unix://``.
        db: The number of the database.
        kwargs: See `BaseStore`.

    Raises:
        ValueError: if both ``url`` and ``host`` are given.
        ObjectStoreException: if the server cannot be reached; each method raises it as well.
    """

    def __init__(
        self,
        *args: Any,
        store_id: str | None = None,
        host: str | None = None,
        port: int = 6379,
        url: str | None = None,
        db: int = 0,
        **kwargs: Any,
    ) -> None:
        self._store_id = store_id or str(uuid.uuid4())
        self._classes: dict[str, Any] = {}
        super().__init__(*args, **kwargs)
        if url and host:
            message = "'url' and 'host' arguments can't be specified together."
            raise ValueError(message)
        if not url and not host:
            message = "Redis store is unavailable: give its host or its url"
            raise ObjectStoreException(message)
        options: dict[str, Any] = {"db": db, "decode_responses": True}
        self._store = Redis.from_url(url, **options) if url else Redis(host=str(host), port=port, **options)
        weakref.finalize(self, self._store.close)
        self._ask("ping")

    def __str__(self) -> str:
        return f"{self.name} ({self._store_id})"

    def _ask(self, command: str, *arguments: Any) -> Any:
        try:
            return getattr(self._store, command)(*arguments)
        except RedisError as error:
            message = f"Redis store is unavailable. {error}"
            raise ObjectStoreException(message) from error

    def _key(self, kind: str) -> str:
        return f"{ROOT_LABEL}:{self._store_id}:{kind}"

    def get_all_model_names(self) -> set[str]:
        """Return the names of the kinds of which there are models."""
        label = self._key("")
        pattern = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in label.replace("\\", "\\\\"))
        return {key.removeprefix(label) for key in self._ask("keys", f"{pattern}*")}

    def get(self, model: Kind, identifier: Any) -> Any:
        """Return a copy of a model by its unique id, or by its identifiers in a mapping.

        Raises:
            ObjectNotFound: if there is none.
            ValueError: if the class of the kind is not known.
        """
        cls, kind = self._get_object_class_and_model(model)
        uid = self._get_uid(model, cls, identifier)
        found = self._ask("hget", self._key(kind), uid)
        if found is None:
            message = f"{kind} {uid} not present in {self}"
            raise ObjectNotFound(message)
        return self._model(kind, found)

    def get_all(self, model: Kind) -> list[Any]:
        """Return copies of all models of a kind, in the order of their unique ids."""
        kind = self._get_object_class_and_model(model)[1]
        return [self._model(kind, found) for _, found in sorted(self._ask("hgetall", self._key(kind)).items())]

    def add(self, obj: Any) -> None:
        """Keep a model.

        Raises:
            ObjectAlreadyExists: if there is another one with its identifiers.
            ObjectStoreException: if it would come back with other values.
        """
        text, kind, uid = self._text(obj), obj.get_type(), obj.get_unique_id()
        if not self._ask("hsetnx", self._key(kind), uid, text) and self.get(kind, uid).dict() != obj.dict():
            message = f"Object {uid} already present in {self}: change or remove that one"
            raise ObjectAlreadyExists(message, obj)
        if obj.adapter is None:
            obj.adapter = self.adapter

    def update(self, obj: Any) -> None:
        """Keep a model, in place of one with its identifiers.

        Raises:
            ObjectStoreException: if it would come back with other values.
        """
        self._ask("hset", self._key(obj.get_type()), obj.get_unique_id(), self._text(obj))

    def remove_item(self, modelname: str, uid: Any) -> None:
        """Remove a model by its name and unique id.

        Raises:
            ObjectNotFound: if it is missing.
        """
        if not self._ask("hdel", self._key(modelname), uid):
            message = f"{modelname} {uid} not present in {self}"
            raise ObjectNotFound(message)

    def count(self, model: Kind = None) -> int:
        """Return the number of models, of a kind or in all."""
        kinds = self.get_all_model_names() if model is None else [self._get_object_class_and_model(model)[1]]
        return sum(self._ask("hlen", self._key(kind)) for kind in kinds)

    def _text(self, obj: Any) -> str:
        self._classes.setdefault(obj.get_type(), type(obj))
        text: str = obj.json(exclude_defaults=False)
        held, given = self._model(obj.get_type(), text).dict(), obj.dict()
        changed = sorted(name for name in {*held, *given} if held.get(name) != given.get(name))
        if changed:
            name = changed[0]
            message = (
                f"{obj.get_type()} {obj.get_unique_id()} cannot be kept as JSON: {name} is {given.get(name)!r} and "
                f"comes back as {held.get(name)!r}; declare its type, or keep the models in a LocalStore"
            )
            raise ObjectStoreException(message)
        return text

    def _model(self, kind: str, text: str) -> Any:
        """Return a model from its JSON."""
        cls = self._get_object_class_and_model(kind)[0] or self._classes.get(kind)
        if cls is None:
            message = f"the class of {kind} is unknown, as {self.adapter} declares none: declare it there"
            raise ValueError(message)
        model = cls(**json.loads(text))
        model.adapter = self.adapter
        return model
