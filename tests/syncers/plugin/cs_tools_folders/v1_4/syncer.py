"""A SQLite database, by a plain dataclass that listens to the making of its tables."""

from dataclasses import dataclass

import sqlalchemy as sa
from cs_tools.sync.protocol import SyncerProtocol


@dataclass
class Lite(SyncerProtocol):
    """A database."""

    database_path: str
    truncate_on_load: bool = True
    name: str = "lite"

    __is_database__ = True

    def __post_init__(self):
        self.engine = sa.create_engine(f"sqlite:///{self.database_path}", future=True)
        self.cnxn = self.engine.connect()
        sa.event.listen(sa.schema.MetaData, "after_create", self.capture_metadata)

    def capture_metadata(self, metadata, cnxn, **kw):
        """Keep the tables."""
        self.metadata = metadata

    def load(self, table):
        """Return the rows of a table."""
        with self.cnxn.begin_nested():
            rows = self.cnxn.execute(sa.select(self.metadata.tables[table]))
            return [dict(row._mapping) for row in rows]

    def dump(self, table, *, data):
        """Write the rows of a table, as many at once as it has columns for."""
        t = self.metadata.tables[table]
        if self.truncate_on_load:
            self.cnxn.execute(t.delete())
        if data:
            size = max(1, 900 // len(data[0]))
            for start in range(0, len(data), size):
                self.cnxn.execute(t.insert(), data[start : start + size])
        self.cnxn.commit()
