"""What readers and writers have in common: a name, options, and which of these must be given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from datastoresync.app.arguments import Arguments
from datastoresync.errors import DeclarationError

__all__ = ["Part"]

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")


class Part:
    """A reader or a writer, as far as the command line must know it.

    A subclass may set ``name`` and ``required_arguments`` in its body instead, and need not call this ``__init__``.

    Args:
        required_arguments: The options that must have a value, by their names in ``args`` or as they are written.
        name: What messages and ``--help`` call it; by default the class's name: ``csv-reader`` for ``CSVReader``.
    """

    required_arguments: Iterable[str] = ()

    def __init__(self, *, required_arguments: Iterable[str] | None = None, name: str | None = None) -> None:
        if isinstance(required_arguments, str):
            message = f"required_arguments is a list: write [{required_arguments!r}]"
            raise DeclarationError(message)
        if required_arguments is not None:
            self.required_arguments = tuple(required_arguments)
        if name is not None:
            self.name = name

    @cached_property
    def name(self) -> str:
        """What messages and ``--help`` call it."""
        return _WORD_ENDS.sub("-", type(self).__name__).strip("-").lower()

    def add_arguments(self, parser: Arguments) -> None:
        """Add options, as with `argparse`. They are this part's alone; others may have options of the same names."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
