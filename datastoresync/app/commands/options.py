"""Options that commands share, and how they are shown and converted."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from datastoresync.app.console import QUIET, VERBOSE
from datastoresync.app.stores import reads
from datastoresync.errors import system_reason

_LOG_FILE = "the file that the log is added to, with times; as detailed as -vv"


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # a generic class only in the newest releases
    _ParamType = click.ParamType


class Converted(_ParamType):
    """The type of an option that a function converts, as argparse calls it.

    Args:
        convert_text: The function.
        file: Whether it may be the name of a file, which shells then complete.
    """

    def __init__(self, convert_text: Callable[[str], Any], *, file: bool = False) -> None:
        self.convert_text = convert_text
        self.file = file
        self.name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - a hook
        """Return what a shell may complete it to."""
        return [CompletionItem(incomplete, type="file")] if self.file else []

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text; a default is one already."""
        if not isinstance(value, str):
            return value
        try:
            return self.convert_text(value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            self.fail(str(error), param, ctx)


class SectionOption(click.Option):
    """An option with a heading of its own in the help, above all that follow under the same."""

    def __init__(self, *args: Any, section: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help has its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(param, "section", ""), []).append(record)
        for title, records in sections.items():
            with formatter.section(title or "Options"):
                formatter.write_dl(records)


def _log_file(path: str) -> str:
    """Return the path of a log, to which something can be added.

    Raises:
        ValueError: if it cannot.
    """
    try:
        with open(path, "a", encoding="utf-8"):  # noqa: PTH123 - as logging opens it
            return path
    except OSError as error:
        message = f"cannot write to {path}: {system_reason(error)}"
        raise ValueError(message) from None


def log_options(command: click.Command) -> click.Command:
    """Add the options of every command that reads a store: what it says of its work, and where."""
    command.params += [
        click.Option(["-v", "--verbose"], count=True, help=VERBOSE),
        click.Option(["-q", "--quiet"], is_flag=True, help=QUIET),
        click.Option(["--log-file"], metavar="FILE", type=Converted(_log_file, file=True), help=_LOG_FILE),
    ]
    return command


def config_option(*names: str) -> Callable[[Any], Any]:
    """Return the option that names a configuration, instead of the arguments of these names."""
    text = f"the file that names both stores, their branches, limits and reports, instead of {' and '.join(names)}"
    return click.option("-c", "--config", type=click.Path(dir_okay=False), metavar="FILE", help=text)


def check_stores(ctx: click.Context, config: str | None, stores: Mapping[str, Any], replaced: Iterable[str]) -> None:
    """Refuse a call that names stores and a configuration, or neither.

    Args:
        ctx: The call.
        config: The configuration.
        stores: The arguments that name stores, by name.
        replaced: The options, as they are written, that a configuration has instead.

    Raises:
        UsageError: with what to write.
    """
    given = [name for name, value in stores.items() if value is not None]
    if config is None and len(given) < len(stores):
        missing = next(name for name in stores if name not in given).upper()
        ctx.fail(f"Missing argument '{missing}': or write --config FILE, which names both stores")
    if config is not None and given:
        ctx.fail(f"--config names the stores: leave {' and '.join(stores).upper().replace(' AND ', ' and ')} out")
    if config is not None and (option := next(iter(replaced), None)):
        ctx.fail(f"{option} is for stores on the command line: write into {config} what it says")


def check_written(ctx: click.Context, given: Mapping[str, Any], stores: Mapping[str, Any]) -> None:
    """Refuse to write a result or a log over a file that is compared or synced.

    Args:
        ctx: The call.
        given: The options.
        stores: The stores, by what the usage calls them; None for those that are not given.

    Raises:
        UsageError: with the store.
    """
    for option in ("output", "log_file"):
        path = Path(given.get(option) or "")
        for name, store in stores.items():
            if path.is_file() and store and reads(store, path):
                flag = option.replace("_", "-")
                ctx.fail(f"--{flag} {path} is in {name}, and would be written over: name another file")


pager_option = click.option(
    "--pager/--no-pager", default=True, help="show a long result on a terminal page by page, or at once"
)
flag = partial(click.option, is_flag=True)
"""An option without a value."""
