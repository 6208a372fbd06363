"""``datastoresync copy --from … --to …``, which is ``datastoresync --from … --to …`` under a name."""

from __future__ import annotations

from typing import NoReturn

import click

from datastoresync.app.copy_application import copy_application


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> NoReturn:
    """Read tables from one store, and write them to another."""
    copy_application("datastoresync copy").main(arguments)
