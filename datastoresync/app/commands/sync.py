"""``datastoresync sync SOURCE DESTINATION``: makes one store, or a tree declared in Python, follow another."""

from __future__ import annotations

from typing import Any

import click

from datastoresync.app import cli
from datastoresync.app.application import App
from datastoresync.app.commands.options import Converted, flag, log_options, part_options, run_arguments
from datastoresync.app.syncer_reader import SyncerReader, url
from datastoresync.app.syncer_writer import SyncerWriter

_READER, _WRITER = SyncerReader(name="source"), SyncerWriter(name="destination")
_WITHOUT = ("store", "mode", "allow_loss")
_FROM = list(part_options(_READER, without=_WITHOUT))
_TO = list(part_options(_WRITER, without=_WITHOUT))


@log_options
@click.command()
@click.argument("source", type=Converted(url))
@click.argument("destination", type=Converted(url))
@flag("--dry-run", help=cli.DRY_RUN)
@flag("--rehearse", help=cli.REHEARSE)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Make DESTINATION like SOURCE: what differs is written, and nothing else.

    Both are URLs, or files whose suffix tells the format: csv:folder, people.csv, postgresql://user@host/database, or
    env:NAME for a URL in an environment variable.

    A run that would delete or change too much is refused as a whole, before its first change; --allow-… raise the
    limits.
    """
    if given["dry_run"] and given["rehearse"]:
        ctx.fail("--dry-run and --rehearse exclude each other")
    own = run_arguments(given)
    reading = run_arguments(given, [option.name for option in _FROM if option.name])
    reading.store = given["source"]
    writing = run_arguments(given, [option.name for option in _TO if option.name])
    writing.store, writing.mode = given["destination"], "sync"
    return App(_READER, _WRITER).run_with(own, [reading, writing]).exit_code


command.params += [*_FROM, *_TO]
