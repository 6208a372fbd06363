"""The result of an action."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import attrs

from datastoresync.diffing.action import Action
from datastoresync.printing.outline import Outline

Status = Literal["succeeded", "failed", "skipped", "conflict", "unhandled", "pending"]

STATUSES: tuple[Status, ...] = ("succeeded", "failed", "skipped", "conflict", "unhandled", "pending")
"""All statuses, in the order in which they are counted: ``pending`` is what was planned and not done."""


@attrs.frozen(eq=False)
class Result:
    """The result of one action.

    Args:
        status: See `STATUSES`.
        reason: Why, for everything but success.
        action: The action; filled in if a method returns a result without one.
        method: The method that was called, or would have been.
        error: The exception, if one was raised.
        skip_children: Whether a failure, of any verb, blocks the actions of objects below this one.
        created: The object that a creation returned, if any; the destination then holds it as it is.
    """

    status: Status
    reason: str = ""
    action: Action | None = None
    method: str = ""
    error: BaseException | None = attrs.field(default=None, repr=False)
    skip_children: bool = attrs.field(default=False, repr=False)
    created: Any = attrs.field(default=None, repr=False)

    @property
    def message(self) -> str:
        """Status, message of the action, and reason, on one line."""
        what = self.action.message if self.action is not None else self.method
        return f"{self.status}: {what}{': ' if self.reason else ''}{self.reason}"

    def __outline__(self) -> Outline:
        """Describe the result."""
        return Outline(self.message, self.status)


def succeeded(reason: str = "") -> Result:
    """Say in a template's method that the action is done."""
    return Result("succeeded", reason)


def failed(reason: str, *, skip_children: bool = False) -> Result:
    """Say in a template's method that the action could not be done, without raising.

    Args:
        reason: Why.
        skip_children: Whether the object's children are to be left alone; after a failed creation they always are.
    """
    return Result("failed", reason, skip_children=skip_children)


def skipped(reason: str) -> Result:
    """Say in a template's method that the action was left alone on purpose."""
    return Result("skipped", reason)


_PASSWORD = re.compile(
    r"(?P<before>://[^/\s:@]*:)\S+(?P<after>@)"
    r"|(?P<query>(?:password|passwd|pwd)\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^&;\s'\"]+)",
    re.IGNORECASE,
)


def reason_of(error: BaseException) -> str:
    """Return what an exception says, without the passwords and row values that database errors like to quote."""
    original = getattr(error, "orig", None) or error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    said: Any = primary or str(original)
    if str(getattr(original, "sqlstate", "")).startswith("22"):  # a value that the database cannot take is in quotes
        said = re.sub(r"""(["']).*\1""", '"…"', said, flags=re.DOTALL)
    hidden = _PASSWORD.sub(lambda found: f"{found['before'] or found['query']}***{found['after'] or ''}", str(said))
    return f"{type(original).__name__}: {hidden}" if hidden else type(original).__name__


_REPR_LIMIT = 10


class Results(Sequence[Result]):
    """Results that are built all at once, on first access.

    They compare and add like the tuple of them; a slice is a tuple.

    Args:
        counts: The number of results of each status.
        make: Yields the results, in order.

    >>> results = Results({"succeeded": 2}, lambda: [Result("succeeded"), Result("succeeded")])
    >>> len(results), results[-1]
    (2, Result(status='succeeded', reason='', action=None, method=''))
    """

    __slots__ = ("_counts", "_make", "_results")

    def __init__(self, counts: Mapping[Status, int], make: Callable[[], Iterable[Result]]) -> None:
        self._counts: Counter[str] = Counter(counts)
        self._make = make
        self._results: tuple[Result, ...] | None = None

    @property
    def counts(self) -> Counter[str]:
        """The number of results of each status."""
        return Counter(self._counts)

    def _all(self) -> tuple[Result, ...]:
        if self._results is None:
            self._results = tuple(self._make())
            self._make = tuple  # releases the references it holds
        return self._results

    def __len__(self) -> int:
        return self._counts.total()

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...
    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        return self._all() == tuple(other) if isinstance(other, (tuple, Results)) else NotImplemented

    def __add__(self, other: Sequence[Result]) -> tuple[Result, ...]:
        return self._all() + tuple(other) if isinstance(other, (tuple, Results)) else NotImplemented

    def __radd__(self, other: tuple[Result, ...]) -> tuple[Result, ...]:
        return other + self._all() if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        if len(self) <= _REPR_LIMIT:
            return repr(self._all())
        return f"<Results: {', '.join(f'{status}={count}' for status, count in self._counts.items())}>"


def statuses_of(results: Sequence[Result]) -> Counter[str]:
    """Return the number of results of each status."""
    return results.counts if isinstance(results, Results) else Counter(result.status for result in results)
