"""The commands of ``datastoresync``: each is a module here, with a click command ``command``, and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "diff": "Say what differs between two files, tables, URLs or folders.",
    "sync": "Make one store like another; only what differs is written.",
    "copy": "The same by options, --from and --to; it also appends and replaces.",
    "completion": "Print what makes a shell complete commands and options.",
}
"""All commands, each with its summary: the module is imported when its command is called."""
