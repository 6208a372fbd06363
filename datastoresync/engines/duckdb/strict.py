"""Reads text files once more with our own reader, where no other one can be trusted with them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from datastoresync.engines.relation import Unfaithful
from datastoresync.errors import DatastoreSyncError
from datastoresync.syncers.files.csv_reader import read_csv
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.source_info import DelimitedFile, DelimitedFiles

__all__ = ["reread"]


def reread(origin: DelimitedFiles) -> Records:
    """Return the records of files that were looked through before, which warned of what there is to warn of.

    What is wrong with them raises `Unfaithful` while they are read: the in-memory engine says what it is.
    """
    columns = origin.files[0].columns

    def chunks() -> Iterator[Columns]:
        for file in origin.files:
            count = 0
            for chunk in _refused(file):
                count += len(chunk[0])
                yield [chunk[file.columns.index(name)] for name in columns]
            if not count and len(origin.files) > 1:
                raise Unfaithful("one of the files has no rows")

    return Records(columns, chunks(), lambda index: f"row {index + 1}")


def _refused(file: DelimitedFile) -> Iterator[Columns]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = read_csv(
                file.path,
                encoding=file.encoding,
                delimiter=file.delimiter,
                columns={file.header[place]: name for place, name in zip(file.places, file.columns, strict=True)},
                null=file.null,
            )
        if records.origin.files[0].state != file.state:
            raise Unfaithful("the file changed while it was read")
        yield from records.chunks
    except DatastoreSyncError as error:
        raise Unfaithful("the files are not as they should be") from error
