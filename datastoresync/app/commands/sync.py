"""``datastoresync sync SOURCE DESTINATION``: makes one store, or a tree declared in Python, follow another."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

import click

from datastoresync.app import cli
from datastoresync.app.application import App
from datastoresync.app.commands.options import (
    Converted,
    SectionedCommand,
    check_stores,
    check_written,
    config_option,
    flag,
    log_options,
    pager_option,
)
from datastoresync.app.commands.part_options import part_options, run_arguments
from datastoresync.app.console import Console
from datastoresync.app.declared_trees import TreeReader, TreeWriter, declared_tree
from datastoresync.app.exit_codes import code_of
from datastoresync.app.pager import paged
from datastoresync.app.parts import Reader, Writer
from datastoresync.app.progress import Progress
from datastoresync.app.report import AppReport, PartReport
from datastoresync.app.stores import located, names_declared
from datastoresync.app.syncer_reader import SyncerReader
from datastoresync.app.syncer_writer import SyncerWriter
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import Reporter, tell
from datastoresync.branch import Branch
from datastoresync.errors import DatastoreSyncError
from datastoresync.importing.import_progress import import_progress
from datastoresync.masking import masked
from datastoresync.tree import Tree

_WITHOUT = ("store", "mode", "allow_loss")
_READING = list(part_options(SyncerReader(name="source"), without=_WITHOUT))
_WRITING = list(part_options(SyncerWriter(name="destination"), without=_WITHOUT))
_HELP = """\b
Make DESTINATION like SOURCE: what differs is written, and nothing else.

Both are files, folders of files, or URLs, or trees that are declared in Python:

\b
  datastoresync sync people.csv postgresql://ann@host/school --key id --dry-run
  datastoresync sync env:SCHOOL xlsx:school.xlsx --tables people
  datastoresync sync school:Source school:Destination
  datastoresync sync --config sync.toml

A run that would delete or change too much is refused as a whole, before its first change; --allow-… raise the limits.
"""


def _store_or_tree(text: str) -> str:
    return text if names_declared(text) else located(text)


@log_options
@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("source", required=False, type=Converted(_store_or_tree, file=True))
@click.argument("destination", required=False, type=Converted(_store_or_tree, file=True))
@config_option("SOURCE", "DESTINATION")
@flag("--dry-run", help=cli.DRY_RUN)
@flag("--rehearse", help=cli.REHEARSE)
@pager_option
@flag("--json", "as_json", help="print the result as JSON to standard output, and nothing else there")
@click.pass_context
def command(ctx: click.Context, /, source: Any, destination: Any, **given: Any) -> int:
    """Make a destination like a source."""
    if given["dry_run"] and given["rehearse"]:
        ctx.fail("--dry-run and --rehearse exclude each other")
    reading = [option.opts[0] for option in _READING if given[option.name or ""] is not None]
    check_stores(ctx, given["config"], {"source": source, "destination": destination}, reading)
    check_written(ctx, given, {"SOURCE": source, "DESTINATION": destination})
    if source is not None and names_declared(source) and reading:
        ctx.fail(f"{reading[0]} is for a store, and {source} is a tree, which says in Python what it reads")
    console = Console(verbose=given["verbose"], quiet=given["quiet"], log_file=given["log_file"])
    with (
        _told_as_json(as_json=given["as_json"]),
        Progress(console) as progress,
        import_progress(progress),
        _parts(given, source, destination, partial(_tell_failure, console)) as (parts, stores, reporters),
    ):
        own = run_arguments({**given, "progress": progress, "console": console})
        arguments = [
            run_arguments(vars(own) | given, [option.name or "" for option in _READING + _WRITING]) for _ in parts
        ]
        arguments[0].store, arguments[1].store = stores
        arguments[1].mode, arguments[1].reporters = "sync", reporters
        pages = given["pager"] and (given["dry_run"] or given["rehearse"])
        with redirect_stdout(sys.stderr) if given["as_json"] else paged(wanted=pages):
            report = App(*parts).run_with(own, arguments)
        for part in report.parts:
            if part.status == "failed" and part.error is not None and not given["dry_run"]:
                _tell_failure(console, reporters, f"{part.name}: {part.reason}")
    if not given["as_json"]:
        return report.exit_code
    click.echo(json.dumps(_described(report), indent=2))
    return report.exit_code


@contextmanager
def _told_as_json(*, as_json: bool) -> Iterator[None]:
    """Print what stops a run before its first part as JSON, too, for programs that read nothing else."""
    try:
        yield
    except DatastoreSyncError as error:
        if as_json:
            found = {"exit_code": int(code_of(error)), "ok": False, "parts": [], "reason": masked(str(error))}
            click.echo(json.dumps(found, indent=2))
        raise


def _tell_failure(console: Console, reporters: Sequence[Reporter], reason: str) -> None:
    for note in tell(reporters, "failed", masked(reason)):
        console.say(f"warning: {note}", "warning")


@contextmanager
def _parts(
    given: dict[str, Any], source: Any, destination: Any, failed: Callable[[Sequence[Reporter], str], None]
) -> Iterator[tuple[tuple[Reader, Writer], Any, Any]]:
    """Yield the reader and the writer, what they open, and the reporters, who are told of a failure as well."""
    if given["config"] is None:
        trees = [declared_tree(text) if names_declared(text) else None for text in (source, destination)]
        yield (_reader(trees), _writer(trees)), (source, destination), ()
        return
    from datastoresync.app.configured_parts import configured_parts  # most runs have none, and start-up counts

    with configured_parts(given["config"], *[] if given["dry_run"] else [failed]) as parts:
        yield (parts.reader, parts.writer), parts.stores, parts.reporters


def _reader(trees: list[Tree | None]) -> Reader:
    """Return what reads the source: a declared tree, tables as a declared destination has them, or any tables."""
    source, destination = trees
    if source is not None:
        return TreeReader(source, "source")
    if destination is not None:
        branches = {name: Branch(destination[name].object_class) for name in destination.branches}
        return SyncerReader(name="source", branches=branches)
    return SyncerReader(name="source")


def _writer(trees: list[Tree | None]) -> Writer:
    return SyncerWriter(name="destination") if trees[1] is None else TreeWriter(trees[1], "destination")


def _described(report: AppReport) -> dict[str, Any]:
    return {"exit_code": int(report.exit_code), "ok": report.ok, "parts": list(map(_described_part, report.parts))}


def _described_part(part: PartReport) -> dict[str, Any]:
    found = {"name": part.name, "status": part.shown_status, "reason": part.reason, "seconds": round(part.seconds, 3)}
    returned = part.returned if isinstance(part.returned, list) else [part.returned]
    for one in returned:
        if isinstance(one, Report):
            failures = [result.message for result in one.failures]
            found |= {"counts": dict(one.shown_counts), "failures": failures, "warnings": list(one.warnings)}
        elif isinstance(one, Preview):
            found |= {"counts": dict(one.diff.counts), "refused": list(one.refused)}
            found["changes"] = json.loads(one.diff.to_json())
    return found


command.params += [*_READING, *_WRITING]
