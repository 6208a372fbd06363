"""What a part adds its options to: they are noted, and get their final names when all parts have added theirs."""

from __future__ import annotations

import argparse
from typing import Any

import attrs

__all__ = ["Argument", "Arguments"]


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
