"""The options of one apply, which every template, tree and branch takes alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypedDict

import attrs

from datastoresync.applying.reporter import Reporter
from datastoresync.applying.safeguards import Limits, check
from datastoresync.diffing.diff import Diff, Progress
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.flags import Flags
from datastoresync.errors import DeclarationError

OnError = Literal["continue", "stop"]


class ApplyKeywords(TypedDict, total=False):
    """The keywords of every ``apply``, for type checkers and editors; `ApplyOptions` describes them."""

    mock: bool
    limits: Limits | None
    only: Filter
    exclude: Filter
    on_error: OnError | None
    reporters: Iterable[Reporter]


class SyncKeywords(ApplyKeywords, total=False):
    """The keywords of every ``sync_to``: those of ``apply``, and those of the comparison before it."""

    flags: Flags | None
    progress: Progress | None


@attrs.frozen(kw_only=True)
class ApplyOptions:
    """How one apply is carried out. Built once from the keywords of ``apply``, which must be among these.

    Args:
        mock: Walk through all actions and call nothing.
        limits: What this run may change; None for `DEFAULT_LIMITS`.
        only: The actions to carry out; see `Diff.only`.
        exclude: The actions to leave out.
        on_error: Whether to go on after a failure; None for the template's own choice.
        reporters: Reporters of this run, in addition to the template's own.
    """

    mock: bool = False
    limits: Limits | None = None
    only: Filter = None
    exclude: Filter = None
    on_error: OnError | None = None
    reporters: Iterable[Reporter] = ()

    def checked(self, diff: Diff) -> Diff:
        """Return the actions of a diff that are to be carried out.

        Raises:
            SafeguardError: if they are more than the limits allow.
        """
        diff = diff.filtered(self.only, self.exclude)
        check(diff, self.limits)
        return diff

    def stops(self, default: str) -> bool:
        """Say whether the run stops at its first failure, given the template's own choice.

        Raises:
            DeclarationError: if the choice is neither ``"continue"`` nor ``"stop"``.
        """
        choice = self.on_error or default
        if choice not in ("continue", "stop"):
            message = f"on_error is 'continue' or 'stop' (got {choice!r})"
            raise DeclarationError(message)
        return choice == "stop"
