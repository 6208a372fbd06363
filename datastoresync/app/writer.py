"""Writes a tree somewhere, for an application."""

from __future__ import annotations

import argparse
from typing import Any

from datastoresync.app.parts import Part
from datastoresync.errors import DeclarationError

__all__ = ["Writer"]


class Writer(Part):
    """What an application does with its tree. Subclass it, and write `write`.

    A writer that can tell what it would do also defines ``preview(args, tree)``: with ``--dry-run`` that is called
    instead of `write`. A writer without it is not called at all then.

    >>> class NamesWriter(Writer):
    ...     def write(self, args, tree):
    ...         for user in tree.users.values():
    ...             print(user.name)
    """

    def write(self, args: argparse.Namespace, tree: Any) -> Any:  # noqa: ARG002 - a hook
        """Write the tree. It is handed on to the writers that follow, so leave it as it is.

        Args:
            args: The values of this writer's options under its own names, and ``dry_run``, ``verbose`` and ``quiet``.
            tree: What the reader returned.

        Returns:
            A `Report`, or whatever says in its ``ok`` whether all went well, or a list of these; None if it did.
            To fail, raise, or return False.
        """
        message = f"{type(self).__name__} must define write(args, tree)"
        raise DeclarationError(message)
