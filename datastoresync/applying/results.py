"""Results that are made when somebody looks at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import overload

from datastoresync.applying.result import Result, Status

__all__ = ["Results", "statuses_of"]

_SHOWN = 10


class Results(Sequence[Result]):
    """Results that nobody may ever look at: they are made together, once somebody does.

    In all other ways it is like the tuple of them: equal to it, and added to it. A slice is a tuple.

    Args:
        counts: How many there are of each status.
        make: Yields them, in order.

    >>> results = Results({"succeeded": 2}, lambda: [Result("succeeded"), Result("succeeded")])
    >>> len(results), results[-1]
    (2, Result(status='succeeded', reason='', action=None, method=''))
    """

    __slots__ = ("_counts", "_made", "_make")

    def __init__(self, counts: Mapping[Status, int], make: Callable[[], Iterable[Result]]) -> None:
        self._counts: Counter[str] = Counter(counts)
        self._make = make
        self._made: tuple[Result, ...] | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many there are of each status."""
        return Counter(self._counts)

    def _all(self) -> tuple[Result, ...]:
        if self._made is None:
            self._made = tuple(self._make())
            self._make = tuple  # what it held is needed no more
        return self._made

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
        if len(self) <= _SHOWN:
            return repr(self._all())
        return f"<Results: {', '.join(f'{status}={count}' for status, count in self._counts.items())}>"


def statuses_of(results: Sequence[Result]) -> Counter[str]:
    """Return how many results there are of each status."""
    return results.counts if isinstance(results, Results) else Counter(result.status for result in results)
