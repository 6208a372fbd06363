"""Importers of databases, through SQLAlchemy."""

from __future__ import annotations

from typing import Any

from datastoresync.importing import importer as native
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter


class DBImporter(DefaultImporter):
    """Reads the rows of a query, or of a whole table.

    Its settings are ``url``, a URL or an engine of SQLAlchemy; ``<subbranch>_query`` or ``query``, a statement whose
    columns are named as the attributes are; or ``table``, which is called as the subbranch if there is no query.
    """

    def get_url(self) -> Any:
        """Return the URL of the database, or the engine.

        Raises:
            DeclarationError: if there is no setting for it.
        """
        return self.required_setting("url")

    def reader(self) -> Any:
        """Return the rows as a stream."""
        query = self.get_setting(f"{self._subbranch}_query", self.get_setting("query"))
        table = None if query else self.get_setting("table", str(self._subbranch))
        return native.SQLImporter(self.get_url(), query, table=table).bound().read()


class PostgresDBImporter(DBImporter):
    """Reads PostgreSQL: of the setting ``url``, or ``host``, ``port``, ``user``, ``password`` and ``database``."""

    def get_url(self) -> Any:
        """Return the URL of the database, or the engine."""
        if self.get_setting("url"):
            return self.get_setting("url")
        from sqlalchemy.engine import URL  # not all who import have a database

        return URL.create(
            "postgresql+psycopg",
            username=self.get_setting("user"),
            password=self.get_setting("password"),
            host=self.get_setting("host", "localhost"),
            port=self.get_setting("port"),
            database=self.required_setting("database"),
        )
