"""``datastoresync init SOURCE DESTINATION``: looks at two stores, and writes a configuration, or a script."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from datastoresync.app.commands.options import Converted, SectionedCommand, SectionOption, flag
from datastoresync.app.console import say
from datastoresync.app.starter import Starter, look_at, refuse_to_guess, script_of, toml_of
from datastoresync.app.stores import FILE_OPTIONS, key_of_table, table_pairs
from datastoresync.errors import SyncerError

_HELP = """\
Look at two stores, and write a configuration that makes one follow the other; or a script with --python.

\b
  datastoresync init people.csv env:SCHOOL --tables people --key people=id
  datastoresync init exports sqlite:///school.db --python

On a terminal, what is not given is asked for. The stores are read, and nothing is written to them. A URL with a
password is not written down: the file names an environment variable instead.
"""

_FILES = "How the files of SOURCE are read"


@click.command(cls=SectionedCommand, help=_HELP)
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=Converted(key_of_table),
    metavar="COLUMN",
    help="what identifies a row; several as first+second, of one table as users=id; default: the primary key",
)
@click.option(
    "--tables",
    type=Converted(table_pairs),
    metavar="NAMES",
    help="the tables of SOURCE, as users,groups; one that is called otherwise in DESTINATION as people=accounts; "
    "default: all",
)
@flag("--python", help="write a script with classes instead of a configuration")
@click.option("-o", "--output", metavar="FILE", help="the file to write; default: sync.toml, or sync.py")
@click.pass_context
def command(ctx: click.Context, /, source: str | None, destination: str | None, **given: Any) -> None:
    """Write what a sync of two stores begins with."""
    asks = sys.stdin is not None and sys.stdin.isatty()
    urls = [
        url or (click.prompt(question) if asks else ctx.fail(f"Missing argument '{name}'"))
        for name, url, question in (
            ("SOURCE", source, "The store to follow: a file, a folder or a URL"),
            ("DESTINATION", destination, "The store that is to follow it"),
        )
    ]
    options = {name: given[name] for name in FILE_OPTIONS if given[name] is not None}
    ask = _ask if asks else refuse_to_guess
    starter = look_at((urls[0], urls[1]), given["tables"] or (), dict(given["keys"]), ask, options)
    path = Path(given["output"] or ("sync.py" if given["python"] else "sync.toml"))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write((script_of if given["python"] else toml_of)(starter))
    except FileExistsError:
        raise SyncerError(f"{path} is there already: name another file with --output") from None
    except OSError as error:
        raise SyncerError(f"cannot write {path}: {error.strerror}: name another file with --output") from None
    _tell(starter, path, python=given["python"])


def _ask(table: str, columns: Sequence[str]) -> tuple[str, ...]:
    text = click.prompt(f"Which columns identify a row of {table} ({', '.join(columns)})? Several as first+second")
    return tuple(text.split("+"))


def _tell(starter: Starter, path: Path, *, python: bool) -> None:
    """Say what was written, and what comes next."""
    for branch in starter.branches:
        columns = f"{len(branch.types)} columns" if branch.types else "all columns"
        say(f"{branch.name}: {' > '.join(branch.tables)}, key {' + '.join(branch.key)}, {columns}")
        if branch.made:
            own, table = branch.tables
            hint = f"; --tables {own}={starter.there[0]} pairs it with one that is there" if starter.there else ""
            say(f"  the destination has no table {table}: the first sync makes it{hint}")
    for side, variable in starter.variables.items():
        say(f"the URL of the {side} is read from the environment variable {variable}")
    look = f"python {path} --dry-run" if python else f"datastoresync sync --config {path} --dry-run"
    say(f"{path} is written; next: {look}")


command.params += [
    SectionOption([f"--{name.replace('_', '-')}"], metavar=name.upper(), help=text.replace("%%", "%"), section=_FILES)
    for name, text in FILE_OPTIONS.items()
]
