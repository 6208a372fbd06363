"""Importers: where the rows of a subbranch come from."""

from datastoresync.vocabularies.synctree.importers.csv_importer import CSVImporter, TranslatedCSVImporter
from datastoresync.vocabularies.synctree.importers.db_importer import DBImporter, PostgresDBImporter
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter

__all__ = ["CSVImporter", "DBImporter", "DefaultImporter", "PostgresDBImporter", "TranslatedCSVImporter"]
