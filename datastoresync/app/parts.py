"""Readers and writers, the parts of an application: a name, options, and which of these are required."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import attrs

from datastoresync.errors import DeclarationError


@attrs.frozen(eq=False)
class Argument:
    """An option or a positional argument, as a part added it.

    Args:
        flags: ``("-f", "--file")``, or the name of a positional argument.
        settings: The other arguments of ``add_argument``.
        action: What argparse made of it.
        holder: The parser or group that it was added to.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]
    action: argparse.Action
    holder: Arguments

    @property
    def positional(self) -> bool:
        """Whether it is told by its place rather than by an option."""
        return not self.action.option_strings

    @property
    def required(self) -> bool:
        """Whether the part said that it must be given."""
        return self.action.required and not (self.positional and self.action.nargs in ("?", "*"))

    def strings(self, flags: tuple[str, ...]) -> list[str]:
        """Return all that would name it on the command line if it had these flags; ``--no-x`` is made of ``--x``."""
        return list(argparse.ArgumentParser(add_help=False).add_argument(*flags, **self.settings).option_strings)


class Arguments:
    """A parser as a part sees it, or a group in one: as much of `argparse.ArgumentParser` as adds options.

    Whatever argparse refuses, it refuses here.
    """

    def __init__(self, *, _container: Any = None, _root: Arguments | None = None, _exclusive: bool = False) -> None:
        self._container: Any = argparse.ArgumentParser(add_help=False) if _container is None else _container
        self._root = self if _root is None else _root
        self.arguments: list[Argument] = []
        self.defaults: dict[str, Any] = {}
        self.groups: list[Arguments] = []
        self.exclusive = _exclusive

    @property
    def title(self) -> str | None:
        """The title of a group."""
        title: str | None = self._container.title
        return title

    @property
    def description(self) -> str | None:
        """The description of a group."""
        description: str | None = self._container.description
        return description

    @property
    def required(self) -> bool:
        """Whether one of a group of options that exclude each other must be given."""
        return self.exclusive and bool(self._container.required)

    @property
    def choices(self) -> list[Arguments]:
        """The groups of options of which exactly one must be given."""
        return list(dict.fromkeys(argument.holder for argument in self.arguments if argument.holder.required))

    def add_argument(self, *flags: str, **settings: Any) -> argparse.Action:
        """Add an option or a positional argument; the arguments are those of argparse."""
        action: argparse.Action = self._container.add_argument(*flags, **settings)
        self._root.arguments.append(Argument(flags, settings, action, self))
        return action

    def add_argument_group(self, title: str | None = None, description: str | None = None) -> Arguments:
        """Add a group that ``--help`` shows on its own, below its part."""
        return self._grouped(self._container.add_argument_group(title, description), exclusive=False)

    def add_mutually_exclusive_group(self, *, required: bool = False) -> Arguments:
        """Add a group of options of which at most one may be given, or exactly one."""
        return self._grouped(self._container.add_mutually_exclusive_group(required=required), exclusive=True)

    def _grouped(self, container: Any, *, exclusive: bool) -> Arguments:
        group = Arguments(_container=container, _root=self._root, _exclusive=exclusive)
        self.groups.append(group)
        return group

    def set_defaults(self, **defaults: Any) -> None:
        """Set defaults by name; names without an option become values of their own."""
        self._root._container.set_defaults(**defaults)  # noqa: SLF001 - of the same class
        self._root.defaults.update(defaults)

    def get_default(self, name: str) -> Any:
        """Return the default of an option."""
        return self._root._container.get_default(name)  # noqa: SLF001 - of the same class

    def __getattr__(self, name: str) -> Any:
        message = (
            f"a part adds options with add_argument, add_argument_group, add_mutually_exclusive_group and set_defaults "
            f"(got {name})"
        )
        raise AttributeError(message)


_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")


class Part:
    """A reader or a writer, as far as the command line must know it.

    A subclass may set ``name`` and ``required_arguments`` in its body instead, and need not call this ``__init__``.

    Args:
        required_arguments: The options that must have a value, by their names in ``args`` or as they are written.
        name: What messages and ``--help`` call it; by default the class's name: ``csv-reader`` for ``CSVReader``.
    """

    required_arguments: Iterable[str] = ()

    def __init__(self, *, required_arguments: Iterable[str] | None = None, name: str | None = None) -> None:
        if isinstance(required_arguments, str):
            message = f"required_arguments is a list: write [{required_arguments!r}]"
            raise DeclarationError(message)
        if required_arguments is not None:
            self.required_arguments = tuple(required_arguments)
        if name is not None:
            self.name = name

    @cached_property
    def name(self) -> str:
        """What messages and ``--help`` call it."""
        return _WORD_ENDS.sub("-", type(self).__name__).strip("-").lower()

    def add_arguments(self, parser: Arguments) -> None:
        """Add options, as with `argparse`. They are this part's alone; others may have options of the same names."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


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
