"""The readers, writers and application of tsut under its real names: ``from tsut.apps import …``."""

from datastoresync.vocabularies.tsut.app import (
    TSUGJsonReader,
    TSUGReader,
    TSUGStdOutWriter,
    TSUGSyncWriter,
    TSUGWriter,
    TSUGXLSReader,
    TSUserGroupSyncApp,
)
from datastoresync.vocabularies.tsut.app import TSUGJsonWriter as TSUGJSONWriter
from datastoresync.vocabularies.tsut.app import TSUGXLSReader as TSUGXLSXReader
from datastoresync.vocabularies.tsut.app import TSUGXLSWriter as TSUGXLSXWriter

__all__ = [
    "TSUGJSONWriter",
    "TSUGJsonReader",
    "TSUGReader",
    "TSUGStdOutWriter",
    "TSUGSyncWriter",
    "TSUGWriter",
    "TSUGXLSReader",
    "TSUGXLSXReader",
    "TSUGXLSXWriter",
    "TSUserGroupSyncApp",
]
