"""What a template's method says of its action: a named tuple ``success method info exception``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import attrs

from datastoresync.applying import report as native
from datastoresync.applying.report import Status, reason_of


class Result(NamedTuple):
    """The result of a call. Called, it gives one that says more.

    Args:
        success: True, False, or None of an action that was left alone.
        method: The method that was called, here or in the system that is written to.
        info: What came of it.
        exception: The exception that it raised.

    >>> unsuccessful_result(method="create", info="no such class")
    Result(success=False, method='create', info='no such class', exception=None)
    """

    success: bool | None
    method: Any = ""
    info: Any = ""
    exception: Any = None

    def __call__(self, method: Any = "", info: Any = "", exception: Any = None) -> Result:
        """Return the result with a method, its outcome, and an exception."""
        return self._replace(method=method, info=info, exception=exception)


successful_result = Result(success=True)
"""The action succeeded; ``successful_result(method="", info="")`` says more."""

unsuccessful_result = Result(success=False)
"""The action failed; ``unsuccessful_result(method="", info="")`` gives the reason."""

dropped_action = Result(success=None)
"""The action was left alone; ``dropped_action(method="", info="")`` gives the reason."""

exception_during_call = Result(success=False, info="an exception")
"""The action failed; ``exception_during_call(exception=error)`` says by which exception."""


_STATUSES: dict[bool | None, Status] = {True: "succeeded", False: "failed", None: "skipped"}
_DEFAULT_REASONS: dict[Status, str] = {"failed": "unsuccessful", "skipped": "dropped"}


@attrs.frozen(eq=False)
class ReturnedResult(native.Result):
    """The native result of an action whose method returned results of this module.

    Args:
        returned: What it returned.
    """

    returned: tuple[Result, ...] = attrs.field(default=(), kw_only=True, repr=False)


def native_result(returned: Any) -> Any:
    """Return what a method returned, with results of this module as native ones; several are one, the worst of them."""
    if isinstance(returned, Result):
        return _native([returned])
    if isinstance(returned, (list, tuple)) and returned and all(isinstance(one, Result) for one in returned):
        return _native(returned)
    return returned


def _native(returned: Sequence[Result]) -> ReturnedResult:
    statuses = [_STATUSES[one.success] for one in returned]
    status = next(one for one in ("failed", "skipped", "succeeded") if one in statuses)
    worst = [one for one, own in zip(returned, statuses, strict=True) if own == status]
    error = next((one.exception for one in worst if isinstance(one.exception, BaseException)), None)
    reason = "; ".join(filter(None, map(_reason, worst))) or _DEFAULT_REASONS.get(status, "")
    return ReturnedResult(status, reason, error=error, returned=tuple(returned))


def _reason(result: Result) -> str:
    said = [str(part) for part in (result.method, result.info) if part not in ("", None)]
    if isinstance(result.exception, BaseException):
        said.append(reason_of(result.exception))
    elif result.exception is not None:
        said.append(str(result.exception))
    return ": ".join(said)


def results_of(result: native.Result) -> tuple[Result, ...]:
    """Return a native result in the words of this module: what the method returned, or one that says the same."""
    if isinstance(result, ReturnedResult) and result.returned:
        return result.returned
    success = {"succeeded": True, "skipped": None, "planned": None, "unhandled": None}.get(result.status, False)
    return (Result(success, result.method, result.reason, result.error),)
