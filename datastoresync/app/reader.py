"""Reads a tree, for an application."""

from __future__ import annotations

import argparse
from typing import Any

from datastoresync.app.parts import Part
from datastoresync.errors import DeclarationError

__all__ = ["Reader"]


class Reader(Part):
    """Where an application's tree comes from. Subclass it, and write `read`.

    >>> from datastoresync import CSVImporter, Branch, Object, Tree
    >>> class PeopleReader(Reader):
    ...     def add_arguments(self, parser):
    ...         parser.add_argument("--people", required=True, metavar="FILE", help="the school's export")
    ...     def read(self, args):
    ...         return Tree(branches={"users": Branch(Object, importer=CSVImporter(args.people))}).load()
    """

    def read(self, args: argparse.Namespace) -> Any:  # noqa: ARG002 - a hook
        """Return the tree, imported.

        Args:
            args: The values of this reader's options under its own names, and ``dry_run``, ``verbose`` and ``quiet``.
        """
        message = f"{type(self).__name__} must define read(args)"
        raise DeclarationError(message)
