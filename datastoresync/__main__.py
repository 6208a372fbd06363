"""The command ``datastoresync``: `app.commands` has what it can do."""

from __future__ import annotations

import atexit
import os
import signal
import sys

from datastoresync import __version__

TYPE_CHECKING = False  # as in the package
if TYPE_CHECKING:
    from typing import Any, NoReturn

_LONGEST = 1 << 27
"""The longest value of a CSV file; Python's own limit, which only a program can raise, is far lower."""


def main() -> NoReturn:
    """Run a command, as ``datastoresync`` and as ``python -m datastoresync``; options alone copy a store."""
    argv = sys.argv[1:]
    if argv == ["--version"]:
        print(f"datastoresync {__version__}")  # noqa: T201 - what is asked for, without what other commands need
        sys.exit(0)
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else Ctrl-C is the program's that has started this one, or nobody's
        signal.signal(signal.SIGINT, _end)
    try:
        run = _command(argv)
    finally:
        signal.signal(signal.SIGINT, handler)
    code = run(argv)
    if handler is signal.default_int_handler:
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done, and its exit code is known
    sys.exit(code)


def _end(*_: object) -> None:
    """End at once, and say nothing: nothing has begun."""
    os._exit(130)


def _command(argv: list[str]) -> Any:
    """Return what runs a command, given its arguments; it returns the exit code."""
    import csv  # nothing is imported before Ctrl-C is heard

    csv.field_size_limit(_LONGEST)
    if any(argument.partition("=")[0] in ("--from", "--to") for argument in argv) and argv[0].startswith("-"):
        from datastoresync.app.copy_application import copy_application  # likewise

        return copy_application("datastoresync").main
    try:
        from datastoresync.app.commands.group import main as run  # likewise
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("the commands of datastoresync need click: pip install 'datastoresync[cli]'")
    return run


if __name__ == "__main__":
    main()
