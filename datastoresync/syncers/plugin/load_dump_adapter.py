"""An adapter that lets a syncer with only load and dump take changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datastoresync.errors import DatastoreSyncError, SyncerError
from datastoresync.syncers.changes import Change, Outcome, Same
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.table_rewrite import TableContents, apply_to_tables


class LoadDumpAdapter:
    """Applies changes to any syncer by loading, changing and dumping whole tables.

    Each table is loaded once, and dumped once if it changed. A syncer with ``load`` and ``dump`` alone has no locks, so
    other writers may come between the two; of several tables, each is replaced on its own.

    Args:
        syncer: Has ``load(identifier)`` and ``dump(identifier, *, data)``. If it has ``normalized(value)``, values are
            compared as that returns them.

    >>> class Memory:
    ...     name, users = "memory", [{"idnumber": "1", "name": "Ann"}]
    ...     def load(self, identifier):
    ...         return self.users
    ...     def dump(self, identifier, *, data):
    ...         self.users = list(data)
    >>> from datastoresync.syncers.changes import Table
    >>> memory = Memory()
    >>> change = Change("update", Table("users"), ("idnumber",), ("1",), {"name": "Bea"}, {"name": "Ann"})
    >>> LoadDumpAdapter(memory).apply_changes([change], same=lambda change, attribute, raw, expected: raw == expected)
    [Outcome(status='done', reason='')]
    >>> memory.users
    [{'idnumber': '1', 'name': 'Bea'}]
    """

    def __init__(self, syncer: Any) -> None:
        self.syncer = syncer

    @property
    def name(self) -> str:
        """The name of the syncer, or of its class if it has none."""
        return str(getattr(self.syncer, "name", type(self.syncer).__name__))

    def __repr__(self) -> str:
        return f"LoadDumpAdapter({self.syncer!r})"

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> list[Outcome]:
        """Apply changes to whole tables, and return their outcomes in the same order.

        A change that is there already is ``done``. A row that differs from what was expected is a ``conflict`` and
        stays as it is; the updates of one object succeed or fail together. A value that the syncer refuses makes its
        change ``failed``, and all others ``undone``; then nothing is written.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as the syncer loads it, with an expected one.

        Raises:
            Exception: Any error of the syncer when it loads a table; nothing was written.
            SyncerError: A table could not be written; the message names those that already were.
        """
        normalized = getattr(self.syncer, "normalized", None)
        outcomes, changed = apply_to_tables(
            changes,
            same=same,
            load=self._load,
            normalized=normalized if callable(normalized) else _unchanged,
            fixed=False,
        )
        written: list[str] = []
        for name, contents in changed.items():
            try:
                self.syncer.dump(name, data=contents.records)
            except Exception as error:
                if isinstance(error, SyncerError) and not written:
                    raise
                reason = str(error) if isinstance(error, DatastoreSyncError) else type(error).__name__
                done = f"already written: {', '.join(map(repr, written))}" if written else "no other table was written"
                message = f"table {name!r} of {self.name} could not be written ({reason}); {done}"
                raise SyncerError(message) from error
            written.append(name)
        return outcomes

    def _load(self, name: str) -> TableContents:
        return TableContents.of(load_records(self.syncer, name), name)


def _unchanged(value: Any) -> Any:
    return value
