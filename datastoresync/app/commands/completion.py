"""``datastoresync completion bash``: what makes a shell complete commands, options and files."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


_HELP = """\
Print what makes a shell complete commands, options and files.

SHELL is bash, zsh or fish; by default that of $SHELL. To have it in every shell:

\b
  bash  eval "$(datastoresync completion bash)" in ~/.bashrc
  zsh   eval "$(datastoresync completion zsh)" in ~/.zshrc, after compinit
  fish  datastoresync completion fish > ~/.config/fish/completions/datastoresync.fish
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def command(ctx: click.Context, shell: str | None) -> None:
    """Print the script of a shell."""
    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    complete = get_completion_class(shell)
    if complete is None:
        ctx.fail(f"which shell? write one of {', '.join(_SHELLS)}")
    root = ctx.find_root()
    program = root.info_name or root.command_path
    click.echo(complete(root.command, {}, program, f"_{program.upper()}_COMPLETE").source())
