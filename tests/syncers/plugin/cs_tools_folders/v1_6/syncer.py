"""A SQLite database, by the base of databases."""

from __future__ import annotations

import pathlib
from typing import Any, Union

import pydantic
import sqlalchemy as sa
from cs_tools.sync import base


class Base(base.DatabaseSyncer, is_base_class=False):
    """A database."""

    __manifest_path__ = pathlib.Path(__file__).parent / "MANIFEST.json"
    __syncer_name__ = "base"

    database_path: Union[pydantic.FilePath, pydantic.NewPath]
    pragma_speedy_inserts: bool = False

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._engine = sa.create_engine(f"sqlite:///{self.database_path}", future=True)
        if self.pragma_speedy_inserts:
            sa.event.listen(self._engine, "connect", self.speed_up)

    def speed_up(self, connection: Any, record: Any) -> None:
        """Leave the safety out."""
        connection.execute("PRAGMA synchronous=OFF").close()

    def load(self, tablename: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        rows = self.session.execute(self.metadata.tables[tablename].select()).mappings()
        return [dict(row) for row in rows]

    def dump(self, tablename: str, *, data: list[dict[str, Any]]) -> None:
        """Write the rows of a table, as the strategy says."""
        table = self.metadata.tables[tablename]
        if self.load_strategy == "TRUNCATE":
            self.session.execute(table.delete())
        if data:
            self.session.execute(table.insert(), data)
        self.session.commit()
