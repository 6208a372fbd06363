"""The options of readers and writers, as those of a command."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from typing import Any

import click

from datastoresync.app.commands.options import Converted, SectionOption
from datastoresync.app.parts import AppPart, Argument, Arguments


def part_options(part: AppPart, *, without: Collection[str] = ()) -> Iterator[click.Option]:
    """Yield the options of a reader or a writer as those of a command.

    Args:
        part: The reader or writer.
        without: The names in ``args`` of those that the command has in another way.
    """
    parser = Arguments()
    part.add_arguments(parser)
    for argument in parser.arguments:
        if argument.action.dest not in without:
            limit = "Limits" if argument.flags[0].startswith("--allow-") else ""
            title = limit if argument.group is parser else (argument.group.title or limit)
            yield _option(argument, title.capitalize())


def _option(argument: Argument, section: str) -> click.Option:
    action, settings = argument.action, argument.settings
    about: dict[str, Any] = {"help": (action.help or "") % {**vars(action)}, "default": action.default}
    if action.choices is not None:
        about["type"] = click.Choice(list(action.choices))
    elif action.nargs == 0:
        about["is_flag"] = True
    else:
        about["type"] = Converted(action.type) if callable(action.type) else str
        about["metavar"] = action.metavar or action.dest.upper()
    if settings.get("action") == "append":
        about["multiple"] = True
        about["callback"] = _list_or_none
    return SectionOption([action.dest, *argument.flags], section=section, **about)


def _list_or_none(_: click.Context, __: click.Parameter, value: tuple[Any, ...]) -> list[Any] | None:
    return list(value) or None


SHARED = ("dry_run", "rehearse", "verbose", "quiet", "log_file", "progress", "console")
"""The names of an application's own options."""


def run_arguments(values: dict[str, Any], names: Collection[str] = ()) -> argparse.Namespace:
    """Return the values of an application's own options, and of those named, as a part takes them."""
    return argparse.Namespace(**{name: values.get(name) for name in (*SHARED, *names)})
