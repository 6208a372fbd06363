"""The group of all commands, and the run of one: its exit code, and its errors on standard error."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import click

from datastoresync import __version__
from datastoresync.app.commands import COMMANDS
from datastoresync.app.console import Console, finish
from datastoresync.app.exit_codes import HELP, ExitCode, code_of
from datastoresync.errors import DatastoreSyncError, DataWarning, system_reason
from datastoresync.masking import hidden
from datastoresync.spelling import closest, nearest

PROGRAM = "datastoresync"
_LOOKALIKE = re.compile(r"; if they are one, declare `_key = (.*)` in Record$")
_IGNORING = f"; {PROGRAM} diff --ignore-case takes them for one"


class CommandGroup(click.Group):
    """Imports a command when it is called or completed, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - a hook
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - a hook
        """Return a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__package__}.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command that the first argument names."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            store = Path(args[0]).exists() or ":" in args[0]
            hint = f"write {PROGRAM} diff {args[0]} NEW, say" if store else nearest(args[0], COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - a hook
        """Write the names and summaries, without an import."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - a hook
        """Write the exit codes, in lines of their own."""
        formatter.write(f"\n{HELP}\n")


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, message="%(prog)s %(version)s")
def group() -> None:
    """Look before you leap: see what differs between two stores, and make one follow the other."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code; what goes wrong is said on standard error.

    Args:
        argv: The arguments; those of the process if None.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - none with >&-
    given = hidden(list(sys.argv[1:] if argv is None else argv))
    hook, sys.unraisablehook = sys.unraisablehook, _log_unraisable
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            warnings.simplefilter("default", DataWarning)
            return _exit_code(given)
    finally:
        sys.unraisablehook = hook


def _log_unraisable(found: Any) -> None:
    """Log what goes wrong when an object is thrown away, such as a file half written: what led to it is told."""
    logging.getLogger("datastoresync").debug("%s: %r", found.err_msg or found.object, found.exc_value)


def _exit_code(given: list[str]) -> int:
    try:
        return int(group.main(given, prog_name=PROGRAM, standalone_mode=False) or ExitCode.DONE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.FAILED
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except (click.ClickException, DatastoreSyncError, OSError) as error:
        return _say_error(error, given)
    finally:
        finish()


def _say_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - a hook
    filename: str,  # noqa: ARG001 - as above
    lineno: int,  # noqa: ARG001 - as above
    file: TextIO | None = None,  # noqa: ARG001 - as above
    line: str | None = None,  # noqa: ARG001 - as above
) -> None:
    """Say what a warning does, and not in which line of our code it was given."""
    said = _LOOKALIKE.sub(lambda found: _IGNORING if found[1] == "str.casefold" else "", str(message))
    Console().say(f"warning: {said}", "warning")


def _reason(error: OSError) -> str:
    """Return what the system says, and of which file."""
    return f"{error.filename or 'cannot write the output'}: {system_reason(error)}"


def _unknown_option(error: click.NoSuchOption, given: Sequence[str]) -> str:
    """Return that an option is not there, and the command that has it, or the option that was meant."""
    name = error.option_name
    if not name.startswith("--"):  # a long option with one hyphen is read letter by letter
        name = next((each for each in given if each.startswith(name) and len(each) > 2), name)
    if name == "--version":
        return f"there is no option --version here: write {PROGRAM} --version"
    options = {each: _options_of(each) for each in COMMANDS}
    own = options.get(error.ctx.info_name or "", []) if error.ctx else []
    others = [each for each in COMMANDS if name in options[each]]
    near = closest(name.lstrip("-"), (each.removeprefix("--") for each in own if each.startswith("--")))
    hints = [f": it is an option of {PROGRAM} {each}" for each in others]
    hints += [f": did you mean --{near}?"] if near else []
    return f"there is no option {name}{next(iter(hints), '')}"


def _options_of(name: str) -> list[str]:
    """Return the options that the help of a command shows, as they are written."""
    command: click.Command = import_module(f"{__package__}.{name}").command
    if name != "copy":
        return [flag for each in command.params if not getattr(each, "hidden", False) for flag in each.opts]
    from datastoresync.app.copy_application import copy_application  # its parser is argparse's

    return re.findall(r"--[a-z-]+\b", copy_application(PROGRAM).command_line().help().partition("\n\n")[0])


def _say_error(error: Exception, given: Sequence[str]) -> int:
    """Say what is wrong, and return the exit code."""
    console = Console()
    if isinstance(error, click.ClickException):
        path = " ".join([PROGRAM, *(each for each in given[:1] if each in COMMANDS)])
        help_asked_for = isinstance(error, click.exceptions.NoArgsIsHelpError)
        said = _unknown_option(error, given) if isinstance(error, click.NoSuchOption) else error.format_message()
        if said.startswith("Got unexpected extra argument"):
            said += ": quote a name with blanks in it"
        console.say(said if help_asked_for else f"{path}: {said}\nsee {path} --help", "")
        return ExitCode.WRONG_CALL
    reason = _reason(error) if isinstance(error, OSError) else str(error)
    console.say(f"failed: {reason}", "failed")
    if "-vv" in given:
        console.trace(error)
    return code_of(error)
