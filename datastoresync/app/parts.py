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
        action: The action that argparse returned.
        group: The parser or group that it was added to.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]
    action: argparse.Action
    group: Arguments

    @property
    def positional(self) -> bool:
        """Whether it is positional, without an option."""
        return not self.action.option_strings

    @property
    def required(self) -> bool:
        """Whether the part declares it as required."""
        return self.action.required and not (self.positional and self.action.nargs in ("?", "*"))

    def option_strings(self, flags: tuple[str, ...]) -> list[str]:
        """Return all option strings of these flags, with ``--no-x`` that argparse derives from ``--x``."""
        return list(argparse.ArgumentParser(add_help=False).add_argument(*flags, **self.settings).option_strings)


class Arguments:
    """A parser for a part, or a group in one: the methods of `argparse.ArgumentParser` that add options.

    It refuses what argparse refuses.
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
        """Whether one option of an exclusive group must be given."""
        return self.exclusive and bool(self._container.required)

    @property
    def required_groups(self) -> list[Arguments]:
        """The groups of which exactly one option must be given."""
        return list(dict.fromkeys(argument.group for argument in self.arguments if argument.group.required))

    def add_argument(self, *flags: str, **settings: Any) -> argparse.Action:
        """Add an option or a positional argument; the arguments are those of argparse."""
        action: argparse.Action = self._container.add_argument(*flags, **settings)
        self._root.arguments.append(Argument(flags, settings, action, self))
        return action

    def add_argument_group(self, title: str | None = None, description: str | None = None) -> Arguments:
        """Add a group with a heading of its own in ``--help``."""
        return self._add_group(self._container.add_argument_group(title, description), exclusive=False)

    def add_mutually_exclusive_group(self, *, required: bool = False) -> Arguments:
        """Add a group of options that exclude each other."""
        return self._add_group(self._container.add_mutually_exclusive_group(required=required), exclusive=True)

    def _add_group(self, container: Any, *, exclusive: bool) -> Arguments:
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


class AppPart:
    """A reader or a writer, to the command line.

    A subclass may set ``name`` and ``required_arguments`` in its body instead, and need not call this ``__init__``.

    Args:
        required_arguments: The options that must have a value, by their names in ``args`` or on the command line.
        name: The name in messages and ``--help``; by default that of the class: ``csv-reader`` for ``CSVReader``.
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
        """The name in messages and ``--help``."""
        return _WORD_ENDS.sub("-", type(self).__name__).strip("-").lower()

    def add_arguments(self, parser: Arguments) -> None:
        """Add options, as with `argparse`. Other parts may have options of the same names."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Reader(AppPart):
    """Makes an application's tree. Subclass it, and write `read`.

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
            args: The values of this reader's options under its own names, and ``dry_run``,
                ``rehearse``, ``verbose`` and ``quiet``.
        """
        message = f"{type(self).__name__} must define read(args)"
        raise DeclarationError(message)


class Writer(AppPart):
    """Writes an application's tree. Subclass it, and write `write`.

    It may also define ``preview(args, tree)``, which shows the effect of `write`: with ``--dry-run`` that is called
    instead. A writer without it is not called then. Likewise ``rehearse(args, tree)``, which does what `write` would
    and undoes it, is called with ``--rehearse``; a writer without it fails then, without being called.

    >>> class NamesWriter(Writer):
    ...     def write(self, args, tree):
    ...         for user in tree.users.values():
    ...             print(user.name)
    """

    def write(self, args: argparse.Namespace, tree: Any) -> Any:  # noqa: ARG002 - a hook
        """Write the tree, without changes to it, since other writers follow.

        Args:
            args: The values of this writer's options under its own names, and ``dry_run``,
                ``rehearse``, ``verbose`` and ``quiet``.
            tree: The tree of the reader.

        Returns:
            A `Report`, another object with an ``ok``, or a list of these; None means success. To fail, raise, or
            return False.
        """
        message = f"{type(self).__name__} must define write(args, tree)"
        raise DeclarationError(message)
