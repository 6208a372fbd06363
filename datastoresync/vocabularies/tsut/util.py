"""The helpers of tsut's scripts: ``from tsut.util import …``."""

from __future__ import annotations

import os
import sys
from typing import Any

from datastoresync.masking import SecretText


def eprint(*values: Any, **options: Any) -> None:
    """Print to standard error, as `print` does."""
    print(*values, file=sys.stderr, **options)  # noqa: T201 - that is what it is for


def add_cnx_parser_arguments(parser: Any) -> None:
    """Add the options of a connection: ``--ts_url``, ``--username``, ``--password`` and ``--disable_ssl``.

    ``--password env:NAME`` gives what is in that environment variable; without it, it is ``THOUGHTSPOT_PASSWORD``.
    """
    parser.add_argument("--ts_url", metavar="URL", help="the URL of ThoughtSpot: https://host")
    parser.add_argument("--username", metavar="NAME", help="the administrator who logs in")
    parser.add_argument(
        "--password",
        metavar="PASSWORD",
        type=_from_environment,
        default="env:THOUGHTSPOT_PASSWORD",
        help="their password, or env:NAME for that in an environment variable; by default env:THOUGHTSPOT_PASSWORD",
    )
    parser.add_argument("--disable_ssl", "--disable-ssl", action="store_true", help="do not verify the certificate")


def _from_environment(text: str) -> str:
    """Return a password, or that in a variable which is set; whoever logs in says what is missing."""
    origin, _, name = text.partition(":")
    return SecretText(os.environ.get(name, text) if origin == "env" else text)
