"""Options that commands share, and those of readers and writers as options of a command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import click

from datastoresync.app import cli
from datastoresync.app.parts import AppPart, Argument, Arguments

_LOG_FILE = "the file that the log is added to, with times; as detailed as -vv"


class Converted(click.ParamType[Any]):
    """The type of an option that a function converts, as argparse calls it.

    Args:
        convert_text: The function.
    """

    def __init__(self, convert_text: Callable[[str], Any]) -> None:
        self.convert_text = convert_text
        self.name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text; a default is one already."""
        if not isinstance(value, str):
            return value
        try:
            return self.convert_text(value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            self.fail(str(error), param, ctx)


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
            yield _option(argument)


def _option(argument: Argument) -> click.Option:
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
    return click.Option([action.dest, *argument.flags], **about)


def _list_or_none(_: click.Context, __: click.Parameter, value: tuple[Any, ...]) -> list[Any] | None:
    return list(value) or None


def _log_file(path: str) -> str:
    """Return the path of a log, to which something can be added.

    Raises:
        ValueError: if it cannot.
    """
    try:
        with open(path, "a", encoding="utf-8"):  # noqa: PTH123 - as logging opens it
            return path
    except OSError as error:
        message = f"cannot write to {path}: {error.strerror}"
        raise ValueError(message) from None


def log_options(command: click.Command) -> click.Command:
    """Add the options of every command that reads a store: what it says of its work, and where."""
    command.params += [
        click.Option(["-v", "--verbose"], count=True, help=cli.VERBOSE),
        click.Option(["-q", "--quiet"], is_flag=True, help=cli.QUIET),
        click.Option(["--log-file"], metavar="FILE", type=Converted(_log_file), help=_LOG_FILE),
    ]
    return command


SHARED = ("dry_run", "rehearse", "verbose", "quiet", "log_file")
"""The names of an application's own options."""


def run_arguments(values: dict[str, Any], names: Collection[str] = ()) -> argparse.Namespace:
    """Return the values of an application's own options, and of those named, as a part takes them."""
    return argparse.Namespace(**{name: values.get(name) for name in (*SHARED, *names)})


flag = partial(click.option, is_flag=True)
"""An option without a value."""
