"""``datastoresync diff OLD NEW --key id``: what differs between two files, tables, URLs or folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import click

from datastoresync.app.commands.options import (
    Converted,
    SectionedCommand,
    SectionOption,
    check_stores,
    check_written,
    config_option,
    flag,
    log_options,
    pager_option,
)
from datastoresync.app.commands.output import FORMATS, format_of, title_of, write_diff
from datastoresync.app.commands.part_options import run_arguments
from datastoresync.app.console import Console
from datastoresync.app.exit_codes import ExitCode
from datastoresync.app.pager import paged
from datastoresync.app.progress import Progress
from datastoresync.app.store_diff import DiffOptions, StoreDiff, diff_stores
from datastoresync.app.stores import (
    FILE_OPTIONS,
    file_option_names,
    key_of_table,
    located,
    names_declared,
    open_store,
    table_pairs,
)
from datastoresync.conversion.scalars import TYPE_NAMES
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.renames import lost_zeros
from datastoresync.errors import FilterError
from datastoresync.spelling import closest, nearest
from datastoresync.syncers.registry import known_schemes

_VERBS = {"changed": ["update", "add", "remove"], "added": ["new"], "removed": ["old"]}
_COLUMNS = "columns"
_READING = {name: text for name, text in FILE_OPTIONS.items() if name != _COLUMNS}
"""The options for files; which columns are compared is an option of its own."""
_SECTION = "Files to read (--old-… and --new-… for one of them)"


def _pair(example: str) -> Callable[[str], tuple[str, str]]:
    def split(text: str) -> tuple[str, str]:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            message = f"a pair is needed, as in {example} (got {text!r})"
            raise ValueError(message)
        return left, right

    return split


def _typed(text: str) -> tuple[str, type]:
    column, name = _pair("born=date")(text)
    if name.lower() not in TYPE_NAMES:
        message = f"the type is one of {', '.join(TYPE_NAMES)} (got {name!r})"
        raise ValueError(message)
    return column, TYPE_NAMES[name.lower()]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        message = f"it is a number, 0 or more (got {text!r})"
        raise ValueError(message)
    return int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _store(text: str) -> str:
    if names_declared(text) and not closest(text.partition(":")[0], known_schemes()):
        message = f"{text} is declared in Python: datastoresync sync --dry-run shows what differs between such trees"
        raise ValueError(message)
    return located(text)


_HELP = """\
Say what must change in OLD for it to be NEW: first how much, then each row.

Both are files, folders of files, or URLs; the first row of a file has the names of its columns:

\b
  datastoresync diff old.csv new.xlsx --key id
  datastoresync diff monday tuesday --key users=id --key members=group+person
  datastoresync diff people.csv postgresql://ann@host/school --key id
  datastoresync diff --config sync.toml
"""


@log_options
@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("old", required=False, type=Converted(_store, file=True))
@click.argument("new", required=False, type=Converted(_store, file=True))
@config_option("OLD", "NEW")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=Converted(key_of_table),
    metavar="COLUMN",
    help="the column that identifies a row; several as first+second, of one table as users=id; default: idnumber",
)
@click.option(
    "--optional-key", multiple=True, metavar="COLUMN", help="a column that may be empty where it is part of a key"
)
@click.option(
    "--tables", type=Converted(table_pairs), help="the tables to compare, as users,groups or old=new; default: all"
)
@click.option("--columns", type=Converted(_names), help="the columns to compare, as name,grade; default: all of both")
@click.option(
    "--rename",
    multiple=True,
    type=Converted(_pair("birthday=born")),
    metavar="OLD=NEW",
    help="what NEW calls a column of OLD",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    type=Converted(_typed),
    metavar="COLUMN=TYPE",
    help=f"compare a column as values of a type: {', '.join(TYPE_NAMES)}; default: as the store with types has it",
)
@flag("--ignore-case", help="take texts for equal that differ in case alone")
@click.option("--only", multiple=True, metavar="WHAT", help="show only: changed, added, removed, a table, .COLUMN")
@click.option("--exclude", multiple=True, metavar="WHAT", help="leave out: changed, added, removed, a table, .COLUMN")
@click.option("--limit", type=Converted(_count), metavar="N", help="show at most that many rows")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="the format; default: what --output ends in, or text"
)
@flag("--json", "as_json", help="the same as --format json")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="the file to write it to; -: none"
)
@flag("--exit-code", help="end with 4 if there are differences")
@pager_option
@click.pass_context
def command(ctx: click.Context, /, old: Any, new: Any, **given: Any) -> int:
    """Say what must change in OLD for it to be NEW."""
    given["output"], asked = None if given["output"] == "-" else given["output"], given["form"]
    if given["as_json"] and asked not in (None, "json"):
        ctx.fail(f"--json and --format {asked} exclude each other")
    try:
        form = format_of("json" if given["as_json"] else asked, given["output"])
    except ValueError as error:
        ctx.fail(f"--output: {error}")
    if form == "xlsx" and not given["output"]:
        ctx.fail("a workbook is written to a file: --output FILE")
    check_stores(ctx, given["config"], {"old": old, "new": new}, _described_stores(given))
    check_written(ctx, given, {"OLD": old, "NEW": new})
    options = DiffOptions(
        tables=given["tables"] or (),
        keys=dict(given["keys"]),
        optional=given["optional_key"],
        columns=given["columns"],
        rename=dict(given["rename"]),
        types=dict(given["types"]),
        ignore_case=given["ignore_case"],
    )
    console = Console(verbose=given["verbose"], quiet=given["quiet"], log_file=given["log_file"])
    with (
        console.logging(),
        Progress(console) as progress,
        _found(ctx, old, new, options, {**given, "progress": progress}) as whole,
    ):
        found = attrs.evolve(whole, diff=_filtered(ctx, whole.diff, given))
        progress.close()
        if given["verbose"]:
            console.say(found.diff.explain(), "")
        if not given["quiet"]:
            with paged(wanted=given["pager"]):
                title = title_of(old, new) if given["config"] is None else title_of(given["config"])
                write_diff(found, form, given["output"], limit=given["limit"], title=title)
        return ExitCode.DIFFERENCES if found and given["exit_code"] else ExitCode.DONE


def _described_stores(given: dict[str, Any]) -> list[str]:
    """Return the options that are given of those that say what the stores have."""
    names = ["keys", "optional_key", "tables", "columns", "rename", "types", "ignore_case"]
    names += [*_READING, *(f"{which}_{name}" for which in ("old", "new") for name in FILE_OPTIONS)]
    words = {"keys": "key", "types": "type"}
    return [f"--{words.get(name, name).replace('_', '-')}" for name in names if given[name]]


@contextmanager
def _found(ctx: click.Context, old: Any, new: Any, options: DiffOptions, given: dict[str, Any]) -> Iterator[StoreDiff]:
    """Yield what differs, while the stores are open."""
    if given["config"] is None:
        with (
            open_store(old, options=_options(ctx, old, "old", (old, new), given), spelling="old") as before,
            open_store(new, options=_options(ctx, new, "new", (old, new), given), spelling="new") as after,
        ):
            yield diff_stores(before, after, options, progress=given["progress"])
        return
    from datastoresync.app.configured_parts import configured_parts  # most runs have none, and start-up counts

    with configured_parts(given["config"]) as parts:
        reading, writing = run_arguments(given), run_arguments(given)
        reading.store, writing.store = parts.stores
        with parts.writer.compared(writing, parts.reader.read(reading)) as (diff, apart):
            yield StoreDiff(diff, (*apart, *lost_zeros(diff)))


def _options(ctx: click.Context, store: Any, which: str, stores: Any, given: dict[str, Any]) -> dict[str, str]:
    """Return the options for the files of one store: its own, and those for both that its format has."""
    known = file_option_names(store)
    for name in _READING:
        if given[name] is not None and not any(name in file_option_names(each) for each in stores):
            ctx.fail(f"--{name.replace('_', '-')} is for files of another format: neither OLD nor NEW has it")
    common = {name: given[name] for name in _READING if given[name] is not None and name in known}
    own = {name: given[f"{which}_{name}"] for name in FILE_OPTIONS if given[f"{which}_{name}"] is not None}
    return {**common, **own}


def _filtered(ctx: click.Context, diff: Diff, given: dict[str, Any]) -> Diff:
    for option, method in (("only", Diff.only), ("exclude", Diff.exclude)):
        if given[option]:
            try:
                diff = method(diff, *(_VERBS.get(term, term) for term in given[option]))
            except FilterError as error:
                known = [*_VERBS, *(each.name for each in diff.branch_diffs)]
                unknown = next((term for term in given[option] if "." not in term and term not in known), None)
                columns = {name for each in diff.branch_diffs for name in each.right.attributes}
                hint = f"write .{unknown} for the column" if unknown in columns else nearest(unknown, known)
                said = f"no table or change {unknown!r}: {hint}" if unknown else error
                ctx.fail(f"--{option}: {said}")
    return diff


for _name, _text in FILE_OPTIONS.items():
    _flag = _name.replace("_", "-")
    if _name in _READING:
        _help = _text.replace("%%", "%")
        command.params.append(SectionOption([f"--{_flag}"], metavar=_name.upper(), help=_help, section=_SECTION))
    command.params += [SectionOption([f"--{_which}-{_flag}"], hidden=True) for _which in ("old", "new")]
