"""Who is told how far imports are, for as long as a block of code runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from datastoresync.diffing.diff import Progress
from datastoresync.syncers.records import Columns, Records

_TOLD: ContextVar[Progress | None] = ContextVar("_TOLD", default=None)


@contextmanager
def import_progress(progress: Progress | None) -> Iterator[None]:
    """Have imports within the block call a function with ``"import"``, the rows read so far, and the total.

    The total is 0 until it is known, which is at the end of each branch.

    >>> from datastoresync import Branch, Object
    >>> with import_progress(lambda *told: print(told)):
    ...     users = Branch(Object, importer=[{"idnumber": "1"}, {"idnumber": "2"}]).load()
    ('import', 2, 2)
    """
    token = _TOLD.set(progress)
    try:
        yield
    finally:
        _TOLD.reset(token)


def tell(done: int, total: int) -> None:
    """Say how many rows were read, to whoever is to be told."""
    if (progress := _TOLD.get()) is not None:
        progress("import", done, total)


def watch(source: object) -> None:
    """Have it said of records how many were read, chunk by chunk, if anybody is to be told."""
    if isinstance(source, Records) and _TOLD.get() is not None:
        source.chunks = _counted(source.chunks)


def _counted(chunks: Iterable[Columns]) -> Iterator[Columns]:
    done = 0
    for chunk in chunks:
        done += len(chunk[0]) if chunk else 0
        tell(done, 0)
        yield chunk
