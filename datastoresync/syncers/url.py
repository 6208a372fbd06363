"""URLs of stores and the options in them: ``csv:exports?delimiter=%7C``."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

import attrs

from datastoresync.errors import SyncerError

_SCHEME = re.compile(r"([a-z][a-z0-9._+-]+):(.*)", re.DOTALL | re.IGNORECASE)  # of one letter, it is a Windows drive
_DRIVE = re.compile(r"/+[a-z]:[/\\]", re.IGNORECASE)


@attrs.frozen
class Address:
    """The address of a store.

    Args:
        scheme: The kind of the store, in lower case.
        rest: The text after the scheme and its colon, as it is written. It may hold a password.

    >>> Address.parse("csv:my%20exports?delimiter=%7C").options
    {'delimiter': '|'}
    """

    scheme: str
    rest: str = attrs.field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """Return the address that a URL is; None for a text without a scheme."""
        match = _SCHEME.fullmatch(text)
        return match and cls(match[1].lower(), match[2])

    @property
    def is_url(self) -> bool:
        """Whether two slashes follow the scheme, as with the URLs of databases."""
        return self.rest.startswith("//")

    @property
    def path(self) -> str:
        """The text before the options, with percent escapes decoded: ``///abs`` is the path ``/abs``.

        Raises:
            SyncerError: The escaped bytes are not UTF-8.
        """
        try:
            path = unquote(self.rest.partition("?")[0], errors="strict")
        except UnicodeDecodeError:
            message = f"the {self.scheme}: URL has a percent sign that stands for no UTF-8: write %25 for a % in a name"
            raise SyncerError(message) from None
        if path.startswith("///"):
            path = path[2:]
        return path.lstrip("/") if _DRIVE.match(path) else path

    @property
    def options(self) -> dict[str, str]:
        """The options after the question mark, by name.

        Raises:
            SyncerError: An option has no value, no name, or is written twice.
        """
        query = self.rest.partition("?")[2]
        if not query:
            return {}
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError:
            message = (
                f"the options of the {self.scheme}: URL cannot be read: write ?name=value&name=value, with %26 for "
                "an & in a value, %25 for a %"
            )
            raise SyncerError(message) from None
        names = [name for name, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            message = f"the option {twice!r} is in the {self.scheme}: URL twice: leave one out"
            raise SyncerError(message)
        return dict(pairs)
