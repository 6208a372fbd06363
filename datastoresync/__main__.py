"""The command ``datastoresync``: `app.commands` has what it can do."""

import csv
import sys
from typing import NoReturn

_LONGEST = 1 << 27
"""The longest value of a CSV file; Python's own limit, which only a program can raise, is far lower."""


def main() -> NoReturn:
    """Run a command, as ``datastoresync`` and as ``python -m datastoresync``; options alone copy a store."""
    argv = sys.argv[1:]
    csv.field_size_limit(_LONGEST)
    if any(argument.partition("=")[0] in ("--from", "--to") for argument in argv) and argv[0].startswith("-"):
        from datastoresync.app.copy_application import copy_application

        copy_application("datastoresync").main(argv)
    try:
        from datastoresync.app.commands.group import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("the commands of datastoresync need click: pip install 'datastoresync[cli]'")
    sys.exit(run(argv))


if __name__ == "__main__":
    main()
