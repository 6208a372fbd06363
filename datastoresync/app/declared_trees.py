"""Trees that are declared in Python, as the command line names them: ``module:Tree``; their reader and their writer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from datastoresync.app.parts import Arguments, Reader
from datastoresync.app.syncer_writer import SyncerWriter
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import reason_of
from datastoresync.diffing.diff import Diff
from datastoresync.errors import DeclarationError
from datastoresync.spelling import nearest
from datastoresync.tree import Tree

_OWN = str(Path(__file__).parents[1])


def declared_tree(text: str) -> Tree:
    """Return the tree that ``module:name`` stands for: a tree, the class of one, or a function that returns one.

    The module is looked for where Python is, and in the current folder.

    Raises:
        DeclarationError: if there is no such module, name or tree, or the module cannot be imported.
    """
    module_name, _, name = text.partition(":")
    found: Any = declared_module(module_name, text)
    for part in name.split("."):
        if not hasattr(found, part):
            trees = (
                [each for each, value in vars(found).items() if is_tree(value)] if hasattr(found, "__dict__") else []
            )
            message = f"{text}: {module_name} has no {part!r}: {nearest(part, trees)}"
            raise DeclarationError(message)
        found = getattr(found, part)
    if not isinstance(found, Tree) and callable(found):
        found = found()
    if not isinstance(found, Tree):
        message = f"{text} is no tree: name a tree, the class of one, or a function that returns one (got {found!r})"
        raise DeclarationError(message)
    return found


def declared_module(module_name: str, text: str) -> ModuleType:
    """Return a module, which is looked for where Python is, and in the current folder.

    Args:
        module_name: Its name.
        text: What names it, for messages.

    Raises:
        DeclarationError: if it is not there, or cannot be imported.
    """
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise DeclarationError(_broken(text, error)) from error
        known = [path.stem for path in Path().glob("*.py")]
        message = (
            f"{text}: there is no module {error.name!r} in {folder}, nor is one installed: {nearest(error.name, known)}"
        )
        raise DeclarationError(message) from None
    except Exception as error:
        raise DeclarationError(_broken(text, error)) from error


def is_tree(value: Any) -> bool:
    """Say whether a value is a tree, or the class of one."""
    return isinstance(value, Tree) or (isinstance(value, type) and issubclass(value, Tree) and value is not Tree)


def _broken(text: str, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    else:
        own = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(("<frozen", _OWN))]
        where = f"{own[-1].filename}:{own[-1].lineno}" if own else ""
    return f"{text}: the module cannot be imported: {reason_of(error)}{f' ({where})' if where else ''}"


class TreeReader(Reader):
    """Reads a tree.

    Args:
        tree: The tree.
        name: Its name in messages.
    """

    def __init__(self, tree: Tree, name: str) -> None:
        super().__init__(name=name)
        self.tree = tree

    def read(self, args: argparse.Namespace) -> Tree:  # noqa: ARG002 - a hook
        """Return the tree, imported."""
        return self.tree.load()


class TreeWriter(SyncerWriter):
    """Makes a tree follow another, through its own template or store.

    Args:
        destination: The tree.
        name: Its name in messages.
    """

    def __init__(self, destination: Tree, name: str) -> None:
        super().__init__("", name=name)
        self.destination = destination

    def add_arguments(self, parser: Arguments) -> None:
        """Add nothing: the command has the options."""

    def write(self, args: argparse.Namespace, tree: Any) -> Any:
        """Write what differs; it raises as `SyncerWriter.write` does."""
        return self._sync_sides(args, tree, self.destination.load(), self._limits(args, tree))

    def rehearse(self, args: argparse.Namespace, tree: Any) -> Any:
        """Write what differs, and undo it; it raises as `SyncerWriter.rehearse` does."""
        return self._rehearsed(args, tree, self.destination.load(), self._limits(args, tree))

    def preview(self, args: argparse.Namespace, tree: Any) -> Preview:
        """Print what would be written; it raises as `SyncerWriter.preview` does, and if nothing can be written."""
        self.destination.applier()
        destination, limits = self.destination.load(), self._limits(args, tree)
        return self._previewed(tree, destination, limits, whole=bool(args.verbose))

    @contextmanager
    def compared(self, args: argparse.Namespace, tree: Any) -> Iterator[tuple[Diff, list[str]]]:
        """Yield what a sync would change, and no further lines; it raises as `SyncerWriter.compared` does."""
        yield tree.diff(self.destination.load(), progress=args.progress), []
