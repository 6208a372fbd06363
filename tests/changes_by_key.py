"""Changes to records of one table, told apart by one column, for tests that hand them to a store."""

from __future__ import annotations

from datastoresync.syncers.changes import Change


def same(change, attribute, raw, expected):
    """Say whether a raw value is the expected one."""
    return raw == expected


class ChangesByKey:
    """Makes changes.

    Args:
        table: The table, unless a change is given another one.
        key: The attribute that tells its records apart.
    """

    def __init__(self, table, key):
        self.table = table
        self.identifiers = (key,)

    def insert(self, key, table=None, **values):
        """Return the insertion of a record."""
        return Change("insert", table or self.table, self.identifiers, (key,), {self.identifiers[0]: key, **values})

    def update(self, key, table=None, /, **pairs):
        """Return the update of a record; each attribute is given as ``name=(expected, value)``."""
        expected, values = ({name: pair[index] for name, pair in pairs.items()} for index in (0, 1))
        return Change("update", table or self.table, self.identifiers, (key,), values, expected)

    def delete(self, key, table=None, **expected):
        """Return the deletion of a record."""
        return Change("delete", table or self.table, self.identifiers, (key,), {}, expected)
