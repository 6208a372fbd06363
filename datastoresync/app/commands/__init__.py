"""The commands of ``datastoresync``: each is a module here, with a click command ``command``, and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "diff": "Say what differs between two files, tables, URLs or folders.",
    "sync": "Make one store like another; only what differs is written.",
    "check": "Say what a configuration, a module or a plug-in declares, and what is wrong with it.",
    "init": "Look at two stores, and write a configuration or a script that syncs them.",
    "copy": "The same by options, --from and --to; it also appends and replaces.",
    "completion": "Print what makes a shell complete commands and options.",
}
"""All commands, each with its summary: the module is imported when its command is called."""
