"""Rows in: importers, and the feed from rows to the objects of a branch."""
