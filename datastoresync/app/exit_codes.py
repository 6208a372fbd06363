"""The exit codes of commands and applications, and the one that an error stands for."""

from __future__ import annotations

from enum import IntEnum

from datastoresync.errors import ConfigurationError, LockedError, SafeguardError


class ExitCode(IntEnum):
    """What a process tells whoever started it."""

    DONE = 0
    """It was done, or there was nothing to do."""
    FAILED = 1
    WRONG_CALL = 2
    """The command line or the configuration is wrong; nothing was read."""
    REFUSED = 3
    """Refused by a limit, without a change."""
    DIFFERENCES = 4
    """There are differences, and ``--exit-code`` asks for them."""
    PARTLY = 5
    """Some of it was done, and some failed."""
    LOCKED = 6
    """Another run is writing to the store."""
    INTERRUPTED = 130
    """Ended by Ctrl-C, SIGTERM or SIGHUP; 128 and the number of SIGINT, as shells have it."""


HELP = """\
exit codes:
  0    done, or nothing to do
  1    failed
  2    the command line or the configuration is wrong; nothing was read
  3    refused by a limit, without a change; nothing else failed
  4    there are differences, with --exit-code
  5    partly done: some of it failed
  6    locked: another run is writing to the store
  130  interrupted by Ctrl-C, SIGTERM or SIGHUP"""


def code_of(error: BaseException | None) -> ExitCode:
    """Return the exit code of a run that an error ended."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, SafeguardError):
        return ExitCode.REFUSED
    if isinstance(error, ConfigurationError):
        return ExitCode.WRONG_CALL
    seen: set[int] = set()  # causes may go round in a circle
    while error is not None and not isinstance(error, LockedError) and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__
    return ExitCode.LOCKED if isinstance(error, LockedError) else ExitCode.FAILED
