"""What every syncer must do, as a class of tests to inherit."""

from __future__ import annotations

from datastoresync.testing.changes import Changes
from datastoresync.testing.keyed import Keyed
from datastoresync.testing.replacement import Replacement
from datastoresync.testing.round_trips import RoundTrips

__all__ = ["SyncerContract"]


class SyncerContract(RoundTrips, Replacement, Keyed, Changes):
    """The tests of a syncer: inherit them, and say how an empty one is made.

    ::

        import pytest
        from datastoresync.testing import SyncerContract
        from my_package import MyStore

        class TestMyStore(SyncerContract):
            @pytest.fixture
            def syncer(self, tmp_path):
                return MyStore(tmp_path)

    It must load what was dumped, whatever it is called and however much it is; replace all or nothing; and name what
    is not there. ``append``, ``upsert``, ``update``, ``delete``, ``tables``, ``read``, ``apply_changes`` and ``close``
    are checked if it has them, and skipped if not. What a store cannot keep, it declares with a method
    ``normalized(value)``: what ``load`` gives for a value that ``dump`` took, or a `SyncerError` for what it refuses.
    Without that method, every value must come back as it is.

    Class attributes say the rest:

    Attributes:
        kinds: What columns may hold, a strategy of Hypothesis a kind; None for `PLAIN_KINDS`, and for `RICH_KINDS` if
            there is ``normalized``.
        identifiers: The names of tables to try. The first must be taken; the others may be refused, never mixed up.
        columns: The names of columns to try. Plain ones must be taken; the others may be refused, never changed.
        ordered: Whether records come back in the order in which they were dumped.
        streams: Whether ``data`` may be any iterable; if not, it is a list, and cannot break off midway.
        rows: How many records the largest table has.
        max_examples: How many examples Hypothesis tries a law on.
        refusals: The errors that it raises for what it cannot do; for stores of this library, ``(SyncerError,)``.

    A method ``reopening(syncer)`` may return Python that assigns ``syncer`` to the same store in another process, which
    is then killed in the middle of a dump.
    """
