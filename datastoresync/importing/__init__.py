"""Rows in: importers, and the way from rows to the objects of a branch."""
