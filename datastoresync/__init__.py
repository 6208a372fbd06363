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
Source - Dest: new=1 update=1 add=0 remove=0 old=0 total=2
  users  1 new, 1 value changes
    + users 2  name: 'Bob'
    ~ users 1  name: 'Anna' → 'Ann'
>>> preview = source > dest
Source - Dest: new=1 update=1 add=0 remove=0 old=0 total=2
  within the limits
  users  1 new, 1 value changes
    + users 2  name: 'Bob'
    ~ users 1  name: 'Anna' → 'Ann'
  calls:
    new_users(idnumber='2')
    update_name(idnumber='1', attr='name', value='Ann')
>>> report = source >> dest
create an account for Bob
rename Anna to Ann
>>> report.ok, source - dest
(True, <Diff: no differences>)
"""

from datastoresync.lazy import lazy_names

__version__ = "0.1.0"

TYPE_CHECKING = False  # which type checkers take for True: nothing else is imported here
if TYPE_CHECKING:  # `X as X` tells type checkers that a name is public
    from datastoresync.applying.executors import OnExecutors as OnExecutors
    from datastoresync.applying.mail import EmailReporter as EmailReporter
    from datastoresync.applying.preview import Preview as Preview
    from datastoresync.applying.reporter import (
        CallbackReporter as CallbackReporter,
        CollectingReporter as CollectingReporter,
        LoggingReporter as LoggingReporter,
        ProgressReporter as ProgressReporter,
        Reporter as Reporter,
    )
    from datastoresync.applying.report import (
        Report as Report,
        Result as Result,
        failed as failed,
        skipped as skipped,
        succeeded as succeeded,
    )
    from datastoresync.applying.limits import Limits as Limits
    from datastoresync.applying.retry import Retry as Retry, retry as retry
    from datastoresync.applying.template import Template as Template, batch as batch
    from datastoresync.applying.webhook import WebhookReporter as WebhookReporter
    from datastoresync.branch import Branch as Branch
    from datastoresync.datastore import Datastore as Datastore
    from datastoresync.diffing.action import Action as Action
    from datastoresync.diffing.diff import Diff as Diff
    from datastoresync.diffing.flags import Flags as Flags
    from datastoresync.engines.duckdb.connection import DuckDB as DuckDB
    from datastoresync.errors import (
        CircularOrderError as CircularOrderError,
        ColumnError as ColumnError,
        ComparisonError as ComparisonError,
        ConfigurationError as ConfigurationError,
        ConversionError as ConversionError,
        DatastoreSyncError as DatastoreSyncError,
        DataWarning as DataWarning,
        DeclarationError as DeclarationError,
        DuplicateError as DuplicateError,
        FilterError as FilterError,
        HierarchyError as HierarchyError,
        IdnumberError as IdnumberError,
        ImporterError as ImporterError,
        LockedError as LockedError,
        MalformedFileError as MalformedFileError,
        ManifestError as ManifestError,
        MissingDependencyError as MissingDependencyError,
        NotificationError as NotificationError,
        RowError as RowError,
        SafeguardError as SafeguardError,
        SchemaMismatchError as SchemaMismatchError,
        SyncerError as SyncerError,
        SyncInterrupted as SyncInterrupted,
        TemplateError as TemplateError,
    )
    from datastoresync.importing.file_importers import (
        ExcelImporter as ExcelImporter,
        ParquetImporter as ParquetImporter,
        TSVImporter as TSVImporter,
    )
    from datastoresync.importing.import_progress import import_progress as import_progress
    from datastoresync.importing.importer import (
        CSVImporter as CSVImporter,
        Importer as Importer,
        ImportReport as ImportReport,
        SQLImporter as SQLImporter,
    )
    from datastoresync.object import Object as Object
    from datastoresync.printing.progress_line import ProgressLine as ProgressLine
    from datastoresync.syncers.table_layout import Link as Link, Ref as Ref, Table as Table
    from datastoresync.syncers.sql.syncer import SQLSyncer as SQLSyncer
    from datastoresync.tree import Tree as Tree
else:  # so that type checkers refuse a name that is in no module
    __all__, __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "applying.executors": "OnExecutors",
            "applying.limits": "Limits",
            "applying.mail": "EmailReporter",
            "applying.preview": "Preview",
            "applying.report": "Report Result failed skipped succeeded",
            "applying.reporter": "CallbackReporter CollectingReporter LoggingReporter ProgressReporter Reporter",
            "applying.retry": "Retry retry",
            "applying.template": "Template batch",
            "applying.webhook": "WebhookReporter",
            "branch": "Branch",
            "datastore": "Datastore",
            "diffing.action": "Action",
            "diffing.diff": "Diff",
            "diffing.flags": "Flags",
            "engines.duckdb.connection": "DuckDB",
            "errors": (
                "CircularOrderError ColumnError ComparisonError ConfigurationError ConversionError DataWarning "
                "DatastoreSyncError DeclarationError DuplicateError FilterError HierarchyError IdnumberError "
                "ImporterError LockedError MalformedFileError ManifestError MissingDependencyError "
                "NotificationError RowError SafeguardError SchemaMismatchError SyncInterrupted SyncerError "
                "TemplateError"
            ),
            "importing.import_progress": "import_progress",
            "importing.file_importers": "ExcelImporter ParquetImporter TSVImporter",
            "importing.importer": "CSVImporter ImportReport Importer SQLImporter",
            "object": "Object",
            "printing.progress_line": "ProgressLine",
            "syncers.table_layout": "Link Ref Table",
            "syncers.sql.syncer": "SQLSyncer",
            "tree": "Tree",
        },
    )
