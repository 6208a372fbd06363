"""Make one system follow another: describe both as trees, and say ``source >> dest``.

>>> from datastoresync import Branch, Object, Template, Tree
>>> class Source(Tree):
...     users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}])
>>> class Accounts(Template):
...     def new_users(self, action):
...         print("create an account for", action.source.name)
...     def update_name(self, action):
...         print("rename", action.old_value, "to", action.value)
>>> class Dest(Tree):
...     users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Anna"}])
...     template = Accounts
>>> source, dest = +Source(), +Dest()
>>> source - dest
new_users(idnumber='2')
update_name(idnumber='1', attr='name', value='Ann')
>>> preview = source > dest
new_users(idnumber='2')
update_name(idnumber='1', attr='name', value='Ann')
Source - Dest: new=1 update=1 add=0 remove=0 old=0 total=2
>>> report = source >> dest
create an account for Bob
rename Anna to Ann
>>> report.ok, source - dest
(True, <Diff: no differences>)
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datastoresync.applying.executors import OnExecutors
    from datastoresync.applying.preview import Preview
    from datastoresync.applying.report import Report
    from datastoresync.applying.reporter import (
        CallbackReporter,
        CollectingReporter,
        LoggingReporter,
        ProgressReporter,
        Reporter,
    )
    from datastoresync.applying.result import Result, failed, skipped, succeeded
    from datastoresync.applying.safeguards import Limits
    from datastoresync.applying.template import Template, batch
    from datastoresync.branch import Branch
    from datastoresync.datastore import Datastore
    from datastoresync.diffing.action import Action
    from datastoresync.diffing.diff import Diff
    from datastoresync.diffing.flags import Flags
    from datastoresync.engines.duckdb.connection import DuckDB
    from datastoresync.errors import (
        CircularOrderError,
        ColumnError,
        ComparisonError,
        ConversionError,
        DatastoreSyncError,
        DataWarning,
        DeclarationError,
        DuplicateError,
        FilterError,
        HierarchyError,
        IdnumberError,
        ImporterError,
        LockedError,
        MalformedFileError,
        ManifestError,
        MissingDependencyError,
        RowError,
        SafeguardError,
        SchemaMismatchError,
        SyncerError,
        SyncInterrupted,
        TemplateError,
    )
    from datastoresync.importing.importer import Importer, ImportReport
    from datastoresync.importing.sources import CSVImporter, ParquetImporter, SQLImporter, TSVImporter
    from datastoresync.object import Object
    from datastoresync.syncers.changes import Link, Table
    from datastoresync.syncers.sql.syncer import SQLSyncer
    from datastoresync.tree import Tree

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Branch",
    "CSVImporter",
    "CallbackReporter",
    "CircularOrderError",
    "CollectingReporter",
    "ColumnError",
    "ComparisonError",
    "ConversionError",
    "DataWarning",
    "Datastore",
    "DatastoreSyncError",
    "DeclarationError",
    "Diff",
    "DuckDB",
    "DuplicateError",
    "FilterError",
    "Flags",
    "HierarchyError",
    "IdnumberError",
    "ImportReport",
    "Importer",
    "ImporterError",
    "Limits",
    "Link",
    "LockedError",
    "LoggingReporter",
    "MalformedFileError",
    "ManifestError",
    "MissingDependencyError",
    "Object",
    "OnExecutors",
    "ParquetImporter",
    "Preview",
    "ProgressReporter",
    "Report",
    "Reporter",
    "Result",
    "RowError",
    "SQLImporter",
    "SQLSyncer",
    "SafeguardError",
    "SchemaMismatchError",
    "SyncInterrupted",
    "SyncerError",
    "TSVImporter",
    "Table",
    "Template",
    "TemplateError",
    "Tree",
    "batch",
    "failed",
    "skipped",
    "succeeded",
]

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "applying.executors": "OnExecutors",
        "applying.preview": "Preview",
        "applying.report": "Report",
        "applying.reporter": "CallbackReporter CollectingReporter LoggingReporter ProgressReporter Reporter",
        "applying.result": "Result failed skipped succeeded",
        "applying.safeguards": "Limits",
        "applying.template": "Template batch",
        "branch": "Branch",
        "datastore": "Datastore",
        "diffing.action": "Action",
        "diffing.diff": "Diff",
        "diffing.flags": "Flags",
        "engines.duckdb.connection": "DuckDB",
        "errors": (
            "CircularOrderError ColumnError ComparisonError ConversionError DataWarning DatastoreSyncError "
            "DeclarationError DuplicateError FilterError HierarchyError IdnumberError ImporterError LockedError "
            "MalformedFileError ManifestError MissingDependencyError RowError SafeguardError SchemaMismatchError "
            "SyncInterrupted SyncerError TemplateError"
        ),
        "importing.importer": "ImportReport Importer",
        "importing.sources": "CSVImporter ParquetImporter SQLImporter TSVImporter",
        "object": "Object",
        "syncers.changes": "Link Table",
        "syncers.sql.syncer": "SQLSyncer",
        "tree": "Tree",
    }
)
_MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {name: module for module, names in _NAMES.items() for name in names.split()}
)
"""Where each name comes from: it is imported when it is first asked for, since most runs need few of them."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
