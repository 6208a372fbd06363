"""``datastoresync diff OLD NEW --key id``: what differs between two files, tables, URLs or folders."""

from __future__ import annotations

import click


@click.command()
@click.argument("old")
@click.argument("new")
def command(old: str, new: str) -> int:
    """Say what must change in OLD for it to be NEW."""
    raise NotImplementedError
