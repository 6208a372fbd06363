"""Repeating a template's calls: what the system refused for now, and what is declared safe to repeat."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any, Literal, TypeVar, overload

import attrs

from datastoresync.errors import DeclarationError, MissingDependencyError

F = TypeVar("F", bound=Callable[..., Any])

_REFUSED = 429
_UNAVAILABLE = 503
_UNKNOWN = frozenset({408, 500, 502, 503, 504})
"""HTTP statuses behind which the server, or one behind it, may have done what it was asked to."""
_UNKNOWN_NAMES = frozenset({"TransportError", "Timeout", "ConnectionError", "ClientConnectionError", "HTTPException"})
"""Base classes of the errors of connections in httpx, requests, aiohttp and http.client."""

Outcome = Literal["refused", "unknown", "failed"]


def _is_positive(_: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        message = f"{attribute.name} is a number above 0 (got {value!r})"
        raise DeclarationError(message)


def _is_whole(_: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, int):
        message = f"{attribute.name} is a whole number (got {value!r})"
        raise DeclarationError(message)


def _are_errors(_: Any, __: Any, value: Any) -> None:
    if not all(isinstance(one, type) and issubclass(one, Exception) for one in value):
        message = f"refusals are classes of exceptions: refusals=(RateLimitError,) (got {value!r})"
        raise DeclarationError(message)


@attrs.frozen(kw_only=True)
class Retry:
    """How a template's calls are repeated: ``retry = Retry()`` in it for all of its methods, ``@retry`` for one.

    What the system refused for now, and so did not do, is repeated: HTTP status 429, and 503 with ``Retry-After``, at
    the time that this says; a connection that it does not take; and what ``refusals`` names. If it is **not known**
    whether the system did it, as after a timeout, a lost connection or a status such as 502, the template's
    ``current(action)`` is asked first: what was done is not done again. Without that method such a call is repeated
    only if it is declared safe. Anything else, such as status 400 or a `ValueError`, is never repeated.

    Waits grow from ``first_wait`` to ``longest_wait`` seconds, unless there is a ``Retry-After``. Needs
    ``pip install 'datastoresync[retry]'``.

    Args:
        attempts: Calls an action, at most; those that were told when to come again do not count.
        timeout: Seconds after which nothing is repeated any more; no longer wait is begun, whoever asks for it.
        safe: Whether a call may be repeated though it may have been carried out: it sets a value, say, or has a key
            by which the system knows it again.
        refusals: Classes of further exceptions by which the system says that it did nothing.
        first_wait: Seconds before the first repetition.
        longest_wait: Seconds before a later one, at most.

    Raises:
        DeclarationError: if one of these is no positive number, or no class of an exception.
    """

    attempts: int = attrs.field(default=5, validator=[_is_positive, _is_whole])
    timeout: float = attrs.field(default=300.0, validator=_is_positive)
    safe: bool = False
    refusals: tuple[type[Exception], ...] = attrs.field(default=(), converter=tuple, validator=_are_errors)
    first_wait: float = attrs.field(default=0.1, validator=_is_positive)
    longest_wait: float = attrs.field(default=5.0, validator=_is_positive)

    @overload
    def __call__(self, method: F, /) -> F: ...
    @overload
    def __call__(self, /, **how: Any) -> Retry: ...
    def __call__(self, method: Any = None, /, **how: Any) -> Any:
        """Mark a method of a template as one whose calls are repeated; or return a mark that differs in some words.

        >>> from datastoresync import Template
        >>> class Accounts(Template):
        ...     @retry(safe=True)  # setting a name twice does no harm
        ...     def update_name(self, action):
        ...         print(action.value)

        Raises:
            DeclarationError: if a word has a wrong value, or it marks no method.
        """
        if method is None:
            return attrs.evolve(self, **how)
        if not callable(method):
            message = f"@retry marks a method of a template (got {method!r}): write @retry or @retry(safe=True)"
            raise DeclarationError(message)
        method.__retry__ = self
        return method

    def wait_after(self, error: BaseException, calls: int, started: float) -> float | Literal[True] | None:
        """Return the seconds to wait before a call is repeated; True for the usual ones, None if it is not.

        Args:
            error: What it raised.
            calls: How many calls were made that were not told when to come again.
            started: When the first one was, by the monotonic clock.
        """
        asked = retry_after(error)
        if asked is None:
            return True if calls < self.attempts else None
        return asked if time.monotonic() + asked - started <= self.timeout else None

    def outcome(self, error: BaseException) -> Outcome:
        """Say whether a failed call was refused for now, has surely failed, or may have been carried out."""
        causes = _causes(error)
        return "refused" if any(isinstance(one, self.refusals) for one in causes) else outcome_of(error)

    def contexts(self) -> Any:
        """Return the context managers of stamina, one a call, to iterate over with ``for`` or ``async for``."""
        return _stamina().retry_context(
            on=lambda error: isinstance(error, RepeatError) and error.wait,
            attempts=None,
            timeout=self.timeout,
            wait_initial=self.first_wait,
            wait_max=self.longest_wait,
            wait_jitter=self.first_wait,
        )


class RepeatError(Exception):
    """A call is to be repeated after ``wait`` seconds, or after the usual ones if that is True; stamina logs it."""

    def __init__(self, method: str, error: BaseException, wait: float | Literal[True]) -> None:
        super().__init__(f"{method}: {type(error).__name__}")
        self.wait = wait


retry = Retry()
"""Marks a method as one whose calls are repeated: ``@retry``, or ``@retry(safe=True)`` with the words of `Retry`."""


def retry_of(template: Any, call: Any) -> Retry | None:
    """Return how a method of a template is repeated; None if it is not.

    Raises:
        DeclarationError: if the template's ``retry`` is no `Retry`.
    """
    own = getattr(call, "__retry__", None)
    found = getattr(template, "retry", None) if own is None else own
    if found is None or isinstance(found, Retry):
        return found
    if callable(found) and not isinstance(found, type):
        return None  # a method of the user's own
    message = f"{type(template).__name__}.retry is a Retry: write `retry = Retry()` (got {found!r})"
    raise DeclarationError(message)


def check_retry(template: Any) -> None:
    """Check before the first action that what a template says of repeating can be done.

    Raises:
        DeclarationError: if the template's ``retry`` is no `Retry`.
        MissingDependencyError: if stamina is not installed.
    """
    is_marked = any(hasattr(value, "__retry__") for cls in type(template).__mro__ for value in vars(cls).values())
    if retry_of(template, None) is not None or is_marked:
        _stamina()


def _stamina() -> Any:
    try:
        return import_module("stamina")
    except ImportError as error:
        message = "calls are repeated by stamina, which is not installed: pip install 'datastoresync[retry]'"
        raise MissingDependencyError(message) from error


def outcome_of(error: BaseException) -> Outcome:
    """Say whether a failed call was refused for now, has surely failed, or may have been carried out."""
    causes = list(_causes(error))
    statuses = [status for one in causes if (status := _status(one)) is not None]
    if statuses:
        refused = statuses[0] == _REFUSED or (statuses[0] == _UNAVAILABLE and retry_after(error) is not None)
        return "refused" if refused else "unknown" if statuses[0] in _UNKNOWN else "failed"
    if any(isinstance(one, (ConnectionRefusedError, socket.gaierror)) for one in causes):
        return "refused"
    names = {cls.__name__ for one in causes for cls in type(one).__mro__}
    lost = any(isinstance(one, (TimeoutError, ConnectionError)) for one in causes)
    return "unknown" if lost or names & _UNKNOWN_NAMES else "failed"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that it comes from."""
    seen: list[Any] = []
    left: list[Any] = [error]
    while left:
        one = left.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in seen):
            seen.append(one)
            yield one
            left += [one.__cause__ or one.__context__, getattr(one, "reason", None)]
            left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an exception is about, whichever library raised it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        return _number(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for holder in (response, error):
        for name in ("status_code", "status", "code"):
            if (number := _number(getattr(holder, name, None))) is not None:
                return number
    return None


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and 100 <= value < 600 else None


def retry_after(error: BaseException) -> float | None:
    """Return the seconds after which the server wants to be asked again; None if it does not say."""
    for one in _causes(error):
        response = getattr(one, "response", None)
        if isinstance(response, Mapping):
            response = response.get("ResponseMetadata", {})
            headers = response.get("HTTPHeaders", {})
        else:
            headers = getattr(response, "headers", None) or getattr(one, "headers", None) or {}
        try:
            items = headers.items()
        except AttributeError:
            continue
        for name, value in items:
            if str(name).lower() == "retry-after":
                return _seconds(str(value).strip())
    return None


def _seconds(text: str) -> float | None:
    """Return the seconds of a ``Retry-After``: a number, or a date; see RFC 9110, 10.2.3."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


async def iterate(contexts: Any, *, asynchronous: bool) -> AsyncIterator[Any]:
    """Yield the context managers of stamina, waiting in the event loop or in this thread."""
    if asynchronous:
        async for context in contexts:
            yield context
    else:
        for context in contexts:
            yield context
