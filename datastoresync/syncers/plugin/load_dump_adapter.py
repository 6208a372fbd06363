"""An adapter that lets a syncer with only load and dump take changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datastoresync.errors import DatastoreSyncError, DeclarationError, SyncerError
from datastoresync.syncers.changes import Change, Outcome, Same, WriteOptions
from datastoresync.syncers.files.locks import machine_lock
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.read_back import read_back
from datastoresync.syncers.row_index import TableContents
from datastoresync.syncers.table_rewrite import apply_to_tables


class LoadDumpAdapter:
    """Applies changes to any syncer by loading, changing and dumping whole tables.

    Each table is loaded once; if it changed, it is dumped once, and loaded again to see what is there. Meanwhile a lock
    in the temporary folder of this machine keeps out other runs with a syncer of the same class and name. Other
    programs, and runs on other machines, may come between; of several tables, each is replaced on its own.

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
    <Outcomes: 1 × Outcome(status='done', reason='')>
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

    def apply_changes(
        self, changes: Sequence[Change], *, same: Same, options: WriteOptions | None = None
    ) -> Sequence[Outcome]:
        """Apply changes to whole tables, and return their outcomes in the same order.

        A row that differs from what was expected, or that is there already, is a ``conflict`` and stays as it is; the
        updates of one object succeed or fail together. A value that the syncer refuses makes its change ``failed``, and
        with ``on_error="stop"`` all others ``undone``; then nothing is written.

        Each table that was written is loaded again: a change that the store did not do is ``failed`` then, and one that
        it changed on the way is ``done`` with what it holds. There is no transaction, so all others stay written. What
        else is not as it was is in the ``warnings`` of the outcomes.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as the syncer loads it, with an expected one.
            options: How changes are applied; None for the usual ones.

        Raises:
            Exception: Any error of the syncer when it loads a table; nothing was written.
            DeclarationError: A rehearsal is asked for.
            LockedError: Another run on this machine is writing to a syncer of the same class and name.
            SyncerError: A table could not be written, or not be loaded again; the message says what was written.
        """
        if options is not None and options.rehearse:
            message = (
                f"{self.name} has load and dump alone, which cannot be undone, so nothing can be rehearsed there: "
                "preview the differences instead, or rehearse with a store that has transactions"
            )
            raise DeclarationError(message)
        kind = type(self.syncer)
        with machine_lock(self.name, kind.__module__, kind.__qualname__, self.name):
            return self._apply(list(changes), same, options)

    def _apply(self, changes: Sequence[Change], same: Same, options: WriteOptions | None) -> Sequence[Outcome]:
        normalized = getattr(self.syncer, "normalized", None)
        before: dict[str, TableContents] = {}

        def load(name: str) -> TableContents:
            before[name] = TableContents.of(load_records(self.syncer, name), name)
            return before[name]

        rewrite = apply_to_tables(
            changes,
            same=same,
            load=load,
            normalized=normalized if callable(normalized) else None,
            fixed=False,
            options=options,
        )
        if tables := rewrite.tables:
            self._dump(tables, before)
            read_back(changes, rewrite, before, self._load_again(tables))
        return rewrite.outcomes

    def _dump(self, tables: Mapping[str, TableContents], before: Mapping[str, TableContents]) -> None:
        written: list[str] = []
        for name, contents in tables.items():
            try:
                # Copies, as the syncer may change what it is given.
                self.syncer.dump(name, data=_dumped(contents, before[name]))
            except Exception as error:
                if isinstance(error, SyncerError) and not written:
                    raise
                done = f"already written: {', '.join(map(repr, written))}" if written else "no other table was written"
                empty = "" if contents.records else ", given no records"
                message = (
                    f"table {name!r} of {self.name} could not be written ({_text(error)}{empty}), and what it holds "
                    f"now is not known: look at it before the next run; {done}"
                )
                raise SyncerError(message) from error
            written.append(name)

    def _load_again(self, tables: Iterable[str]) -> dict[str, TableContents]:
        after: dict[str, TableContents] = {}
        for name in tables:
            try:
                after[name] = TableContents.of(load_records(self.syncer, name), name)
            except Exception as error:
                message = (
                    f"{self.name} took {', '.join(map(repr, tables))}, but table {name!r} cannot be loaded again "
                    f"({_text(error)}), so what it holds is not known: look at it before the next run"
                )
                raise SyncerError(message) from error
        return after


def _dumped(contents: TableContents, before: TableContents) -> list[dict[str, Any]]:
    """Return copies of records: all with all columns, if those that were there had them, as a `dump` may expect."""
    if any(len(record) != len(before.columns) for record in before.records):
        return list(map(dict, contents.records))
    return [dict.fromkeys(contents.columns) | record for record in contents.records]


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, DatastoreSyncError) else type(error).__name__
