"""``datastoresync check sync.toml``: what a configuration, a module or a plug-in declares, and what is wrong in it."""

from __future__ import annotations

import click

from datastoresync.app.checks import check_declared
from datastoresync.app.commands.options import SectionedCommand, flag, pager_option
from datastoresync.app.console import Console, say
from datastoresync.app.exit_codes import ExitCode
from datastoresync.app.pager import paged
from datastoresync.printing.text import counted

_HELP = """\
Say what is declared, and what is wrong with it; nothing is written.

WHAT is a configuration, a module, a tree in one, or the folder of a plug-in:

\b
  datastoresync check sync.toml
  datastoresync check school:Source
  datastoresync check plugins/my_store

The stores of a configuration are opened and looked at: whether they have its tables and columns.
"""


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("what", type=click.Path())
@flag("--offline", help="open no store")
@pager_option
def command(what: str, *, offline: bool, pager: bool) -> int:
    """Check what is declared."""
    found = check_declared(what, offline=offline)
    with paged(wanted=pager):
        for line in found.lines:
            say(line)
    for problem in found.problems:
        Console().say(problem, "")
    say(counted(len(found.problems), "problem") if found.problems else "no problems")
    return ExitCode.FAILED if found.problems else ExitCode.DONE
