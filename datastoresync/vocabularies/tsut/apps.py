"""The readers, writers and application of tsut under their real names: ``from tsut.apps import …``."""

from datastoresync.vocabularies.tsut.app import (
    TSUGCSVReader,
    TSUGCSVWriter,
    TSUGJsonReader,
    TSUGJSONWriter,
    TSUGJsonWriter,
    TSUGOutputWriter,
    TSUGReader,
    TSUGStdOutWriter,
    TSUGSyncReader,
    TSUGSyncWriter,
    TSUGWriter,
    TSUGXLSReader,
    TSUGXLSWriter,
    TSUGXLSXReader,
    TSUGXLSXWriter,
    TSUserGroupSyncApp,
)
from datastoresync.vocabularies.tsut.util import add_cnx_parser_arguments, eprint

__all__ = [
    "TSUGCSVReader",
    "TSUGCSVWriter",
    "TSUGJSONWriter",
    "TSUGJsonReader",
    "TSUGJsonWriter",
    "TSUGOutputWriter",
    "TSUGReader",
    "TSUGStdOutWriter",
    "TSUGSyncReader",
    "TSUGSyncWriter",
    "TSUGWriter",
    "TSUGXLSReader",
    "TSUGXLSWriter",
    "TSUGXLSXReader",
    "TSUGXLSXWriter",
    "TSUserGroupSyncApp",
    "add_cnx_parser_arguments",
    "eprint",
]
