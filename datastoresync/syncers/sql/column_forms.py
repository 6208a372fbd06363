"""What a column makes of values: which it holds as they are, which it would change, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import attrs

from datastoresync.conversion.scalars import scalar_of
from datastoresync.printing.text import shortened
from datastoresync.syncers.sql.values import Encoder, UnfitValueError, as_it_is

Mode = Literal["exact", "kept", "fitted", "normalized"]
_NONE = type(None)
_CONTAINERS = (set, frozenset, tuple, list)


@attrs.frozen(eq=False, kw_only=True)
class ColumnForm:
    """What a column makes of values. It is called with one, and returns what is written.

    Args:
        exact: Makes a value what the column holds if nothing of it is lost; else raises `UnfitValueError`.
        fitted: The same, but rounds, cuts or fills up as the database does.
        read: Makes a value that is held what is read of it.
        plain: The types of the values that are held, and given back, just as they are.
        within: Says whether all of many values of these types, and None, are within the limits of the column; None if
            there are no limits.
        trivial: Whether each value is its own form.
        labels: Whether the members of enums have labels of their own.
        printed: The type of a column that takes text and gives it back as the database prints it, which only the
            database knows; None for any other.
        mode: ``exact`` or ``fitted``; or ``kept``, which is exact and refuses what would not be given back as it was;
            or ``normalized``, which is fitted and refuses what would be given back as no value of its type.
    """

    exact: Encoder
    fitted: Encoder
    read: Encoder
    plain: frozenset[type]
    within: Callable[[Sequence[Any]], bool] | None = None
    trivial: bool = False
    labels: bool = False
    printed: Any = None
    mode: Mode = "exact"

    def __call__(self, value: Any) -> Any:
        """Return what is written for a value; raise `UnfitValueError` if the column cannot take it."""
        if type(value) in self.plain and (self.within is None or self.within((value,))):
            return value
        if value is None:
            return None
        plain = value.value if isinstance(value, Enum) and not self.labels else value
        held = self._held(plain)
        if self.mode in ("kept", "normalized"):
            given = self._given(plain, held)
            if self.mode == "kept" and not _equal(given, plain):
                message = would_give_back(given)
                raise UnfitValueError(message)
        return held

    def _held(self, value: Any) -> Any:
        return (self.fitted if self.mode in ("fitted", "normalized") else self.exact)(value)

    def column(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return what is written for many values; raise `UnfitValueError` for the first that the column cannot take."""
        return values if self.leaves(values) else list(map(self, values))

    def leaves(self, values: Sequence[Any]) -> bool:
        """Say whether all of these values surely are written, and given back, as they are."""
        return set(map(type, values)) <= self.plain and (self.within is None or self.within(values))

    def canonical(self, value: Any) -> Any:
        """Return a value as the column would give it back, in its own type; one that does not fit as it is."""
        if value is None or (type(value) in self.plain and (self.mode != "normalized" or self.leaves((value,)))):
            return value
        plain = value.value if isinstance(value, Enum) and not self.labels else value
        try:
            found = self._given(plain, self._held(plain))
        except UnfitValueError:
            return value
        return value if plain is not value and found == plain else found

    def canonical_members(self, members: Any) -> Any:
        """Return a membership with each member as the column would give it back."""
        if not isinstance(members, (set, frozenset, list, tuple)):
            return self.canonical(members)
        return type(members)(map(self.canonical, members))

    def matched(self, value: Any) -> Any:
        """Return what is equal for keys that the column holds to be equal, whether given or read."""
        if type(value) in self.plain or value is None:
            return value
        try:
            return self.exact(value.value if isinstance(value, Enum) and not self.labels else value)
        except UnfitValueError:
            return value

    def refuses(self, value: Any) -> bool:
        """Say whether the column cannot take a value."""
        try:
            self(value)
        except UnfitValueError:
            return True
        return False

    def _given(self, value: Any, held: Any) -> Any:
        """Return what is read of a value that is held, as its declared type has it."""
        raw = self.read(held)
        try:
            return _declared(value, raw)
        except (ValueError, TypeError):
            message = f"the column would give back {shortened(raw)}, which is no {type(value).__name__}"
            raise UnfitValueError(message) from None


def _declared(value: Any, raw: Any) -> Any:
    """Return a raw value as one of the type that a value has."""
    if isinstance(value, Enum):
        return value  # its label, its value or its name: the converter takes them all
    if isinstance(value, _CONTAINERS) and isinstance(raw, list):
        samples = {type(member): member for member in value if member is not None}
        if len(samples) != 1:
            return type(value)(raw)
        ((kind, sample),) = samples.items()
        if issubclass(kind, Enum):
            return value
        return type(value)(member if member is None else _declared(sample, member) for member in raw)
    scalar = scalar_of(value)
    return raw if scalar is None else scalar.convert(raw)


def would_give_back(value: Any) -> str:
    """Return words for a value that would not be given back as it was."""
    return f"the column would give back {shortened(value)}: deliver it like that, or open the store with normalize=True"


def _equal(value: Any, other: Any) -> bool:
    return bool(value == other) or (value != value and other != other)  # noqa: PLR0124 - NaN is like itself


# --- the limits of columns, over many values at once --------------------------------------------------------------


def within_length(length: int) -> Callable[[Sequence[Any]], bool]:
    """Return a function that says whether all of many texts have at most so many characters."""
    return lambda values: max(map(len, filter(None, values)), default=0) <= length


def within_bounds(low: int, high: int) -> Callable[[Sequence[Any]], bool]:
    """Return a function that says whether all of many integers are within these bounds, which belong to them."""

    def within(values: Sequence[Any]) -> bool:
        there: Iterable[int] = [value for value in values if value is not None] if None in values else values
        return not there or (low <= min(there) and max(there) <= high)

    return within


def in_zone(aware: bool, step: int) -> Callable[[Sequence[Any]], bool]:  # noqa: FBT001 - says what the column is
    """Return a function that says whether a column holds all of many moments or times of day just as they are.

    Args:
        aware: Whether the column has a time zone; the values must have one, or have none, accordingly.
        step: The microseconds that the column tells apart: 1,000 if it keeps three digits behind the second.
    """

    def within(values: Sequence[Any]) -> bool:
        return all(
            value is None or ((value.tzinfo is not None) is aware and not value.microsecond % step) for value in values
        )

    return within


def within_scale(precision: int, scale: int) -> Callable[[Sequence[Any]], bool]:
    """Return a function that says whether a column of decimals gives all of many values back just as they are.

    They have exactly ``scale`` digits behind the point, as the column would fill up fewer of them with zeros, and at
    most ``precision - scale`` before it. Zero is looked at one by one, as it may have a sign.
    """
    limit, exponent = 10 ** (precision - scale), -scale

    def within(values: Sequence[Any]) -> bool:
        return all(
            value is None or (value.as_tuple()[2] == exponent and -limit < value < limit and value) for value in values
        )

    return within


def all_finite(values: Sequence[Any]) -> bool:
    """Say whether all numbers, integers or decimals, are finite."""
    return all(type(value) is not Decimal or value.is_finite() for value in values)


FREE = ColumnForm(exact=as_it_is, fitted=as_it_is, read=as_it_is, plain=frozenset({int, bool, _NONE}))
"""That of a column of our own."""
