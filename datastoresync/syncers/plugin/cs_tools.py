"""What the syncers of cs_tools import from it, for where it is not installed: all of its modules are this one."""

from __future__ import annotations

import sys
from typing import Any, Literal, NoReturn

import pydantic

TableRows = TableRowsFormat = RecordsFormat = list[dict[str, Any]]
sync = base = protocol = types = _types = sys.modules[__name__]


class SyncerProtocol:
    """The base of syncers of version 1.3 and 1.4, for those that want one; it asks nothing."""


class BaseSyncer(pydantic.BaseModel):
    """The base of syncers since version 1.5: a model whose fields are the options."""

    __manifest_path__: Any = None
    __syncer_name__: str = ""

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    def __init_subclass__(cls, *, is_base_class: bool = False, **options: Any) -> None:
        """Take the argument of a class that is a base of others."""
        super().__init_subclass__(**options)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field, or what is none, as a hook does."""
        if name in type(self).model_fields or name.startswith("_"):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """The name in messages."""
        return self.__syncer_name__

    def __finalize__(self) -> None:
        """Do nothing; it is called once the syncer is made."""

    def __teardown__(self) -> None:
        """Do nothing; it is called when the syncer is closed."""

    def close(self) -> None:
        """Give back what is open."""
        self.__teardown__()


Syncer = BaseSyncer


class DatabaseSyncer(BaseSyncer, is_base_class=True):
    """The base of syncers of databases: one that sets ``_engine`` has a session, and the tables in ``metadata``."""

    __is_database__ = True

    metadata: Any = None
    models: Any = None
    load_strategy: Literal["APPEND", "TRUNCATE", "UPSERT"] = "APPEND"

    _engine: Any = None
    _session: Any = None

    @property
    def engine(self) -> Any:
        """The engine."""
        return self._engine

    @property
    def cnxn(self) -> Any:
        """The engine, which the tables are made by."""
        return self._engine

    @property
    def session(self) -> Any:
        """A session, which is one until the syncer is closed."""
        from sqlalchemy.orm import Session

        if self._session is None:
            self._session = Session(self._engine)
        return self._session

    def __teardown__(self) -> None:
        """Close the session, and the connections of the engine."""
        if self._session is not None:
            self._session.close()
        if self._engine is not None:
            self._engine.dispose()


def __getattr__(name: str) -> NoReturn:
    """Refuse what is not here."""
    message = (
        f"cs_tools is not installed, and there is no {name!r} in what stands in for it: only SyncerProtocol, Syncer, "
        "DatabaseSyncer, TableRows, TableRowsFormat and RecordsFormat"
    )
    raise ImportError(message)
