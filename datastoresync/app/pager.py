"""Long output on a terminal, page by page, as git shows it."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_USUAL = "less"
_LESS = "FRX"
"""What ``less`` is told unless $LESS is set: to end where all is short, show colours, and leave the text."""


class _Page(io.StringIO):
    """What is printed, kept; to what prints, it is the terminal.

    Args:
        terminal: The terminal.
    """

    def __init__(self, terminal: Any) -> None:
        super().__init__()
        self.terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]  # that of a text in memory is None
        """The encoding of the terminal."""
        return str(self.terminal.encoding)

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


@contextmanager
def paged(*, wanted: bool = True) -> Iterator[None]:
    """Show what is printed to standard output at the end, by a pager if it is longer than the terminal.

    The pager is $DATASTORESYNC_PAGER, $PAGER or ``less``; one that is empty, or ``cat``, is none.

    Args:
        wanted: Whether to do so; what does not go to a terminal is printed as it comes in any case.
    """
    terminal = sys.stdout
    if not wanted or terminal is None or terminal.closed or not terminal.isatty():
        yield
        return
    page = _Page(terminal)
    sys.stdout = page
    try:
        yield
    finally:
        sys.stdout = terminal
        text = page.getvalue()
        command = _command() if text.count("\n") >= shutil.get_terminal_size().lines else []
        if not command or not _show(command, text):
            with suppress(BrokenPipeError):
                terminal.write(text)
                terminal.flush()


def _command() -> list[str]:
    """Return the pager and its arguments; nothing if there is none."""
    environment = os.environ
    command = shlex.split(environment.get("DATASTORESYNC_PAGER", environment.get("PAGER", _USUAL)))
    if not command or command == ["cat"] or environment.get("TERM") == "dumb" or shutil.which(command[0]) is None:
        return []
    return command


def _show(command: list[str], text: str) -> bool:
    """Show a text by a pager, and say whether that could be started."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env={"LESS": _LESS, **os.environ})  # noqa: S603 - the user's own
    except OSError:
        return False
    with suppress(OSError), process.stdin as pipe:  # type: ignore[union-attr]  # it is a pipe; who has seen enough closes it
        pipe.write(text.encode(sys.stdout.encoding or "utf-8", "replace"))
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:  # which the pager has heard, too: it ends when it likes
            continue
        return True
