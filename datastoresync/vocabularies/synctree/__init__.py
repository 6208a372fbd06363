"""The words of synctree: a mirrored tree made of two lists of names, and a template behind ``|``."""

from datastoresync.vocabularies.synctree.actions import Action, Actions, Differences, define_action
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.branch import Branch, SyncBranch
from datastoresync.vocabularies.synctree.importers import (
    CSVImporter,
    DBImporter,
    DefaultImporter,
    PostgresDBImporter,
    TranslatedCSVImporter,
)
from datastoresync.vocabularies.synctree.reporters import DefaultReporter, LoggerReporter
from datastoresync.vocabularies.synctree.results import (
    Result,
    dropped_action,
    exception_during_call,
    successful_result,
    unsuccessful_result,
)
from datastoresync.vocabularies.synctree.subbranch import Subbranch
from datastoresync.vocabularies.synctree.templates import (
    DefaultTemplate,
    LoggerTemplate,
    PrintTemplate,
    TemplateWrapper,
)
from datastoresync.vocabularies.synctree.tree import SyncTree
from datastoresync.vocabularies.synctree.utils import TreeError

__all__ = [
    "Action",
    "Actions",
    "Base",
    "Branch",
    "CSVImporter",
    "DBImporter",
    "DefaultImporter",
    "DefaultReporter",
    "DefaultTemplate",
    "Differences",
    "LoggerReporter",
    "LoggerTemplate",
    "PostgresDBImporter",
    "PrintTemplate",
    "Result",
    "Subbranch",
    "SyncBranch",
    "SyncTree",
    "TemplateWrapper",
    "TranslatedCSVImporter",
    "TreeError",
    "define_action",
    "dropped_action",
    "exception_during_call",
    "successful_result",
    "unsuccessful_result",
]
