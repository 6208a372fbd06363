"""The words of the first datastoresync: trees of classes that are branch and model at once."""

from datastoresync.vocabularies.dss.base import Base
from datastoresync.vocabularies.dss.branch import Branch
from datastoresync.vocabularies.dss.importers import DefaultImporter
from datastoresync.vocabularies.dss.templates import Action, Actions, DefaultTemplate
from datastoresync.vocabularies.dss.tree import DataStoreTree

__all__ = ["Action", "Actions", "Base", "Branch", "DataStoreTree", "DefaultImporter", "DefaultTemplate"]
