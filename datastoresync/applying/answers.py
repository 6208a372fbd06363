"""What a template's method returned, as results: one an action; what cannot have done anything has failed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from threading import Thread
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import attrs

from datastoresync.applying.plan import Step
from datastoresync.applying.report import Result, failed, reason_of, succeeded

_DONE = succeeded()
_BOOLS = ("bool", "bool_")  # numpy's, too
_WRONG = 400
"""The first status of HTTP that says that something was not done."""
_LAZY = (GeneratorType, AsyncGeneratorType, map, filter, zip)


def results_of(returned: Any, step: Step) -> list[Result]:
    """Return one result an action for the return value of a method."""
    if returned is None:
        return [_DONE] * len(step.actions)
    if isinstance(returned, Result):
        return [returned] * len(step.actions)
    if not isinstance(returned, (list, tuple)):
        return [_result_of(returned) or succeeded()] * len(step.actions)
    told = [_result_of(one) for one in returned]
    if not (any(told) or (step.batch and not returned)):
        return [succeeded()] * len(step.actions)
    results = [result or succeeded() for result in told]
    if step.batch:
        if len(results) != len(step.actions):
            reason = f"{step.method} returned {len(results)} results for {len(step.actions)} actions"
            return [failed(reason)] * len(step.actions)
        return results
    worst = next(
        (result for status in ("failed", "skipped") for result in results if result.status == status), results[0]
    )
    reasons = "; ".join(result.reason for result in results if result.reason and result.status == worst.status)
    return [attrs.evolve(worst, reason=reasons)]


def fault_of(returned: Any) -> str:
    """Return why a value shows that its method did nothing, or that nothing is known of it; empty if it does not."""
    if returned is NotImplemented or (type(returned).__name__ in _BOOLS and not returned):
        return f"returned {returned}: a method that did it returns None, and failed('why') says more"
    if inspect.iscoroutine(returned):
        returned.close()  # or Python warns of it somewhere else
        return "returned a coroutine that was not awaited, so it never ran: write `async def`, and await it there"
    if isinstance(returned, _LAZY):
        return f"returned a {type(returned).__name__} that nobody ran: call it in a loop, without yield"
    if isinstance(returned, type):
        return f"returned the class {returned.__name__}, which does nothing: raise an exception, or return a result"
    if inspect.isroutine(returned) or isinstance(returned, partial):
        name = getattr(returned, "__name__", "it")
        return f"returned a function without calling it: write {name}(…)"
    if isinstance(returned, BaseException):
        return f"returned an exception, rather than raise it: {reason_of(returned)}"
    if inspect.isawaitable(returned) or isinstance(returned, Thread) or _is_future(returned):
        return f"returned a {type(returned).__name__} that was not waited for: return what comes of it"
    return _hidden(returned) or _refusal(returned)


def _hidden(returned: Any) -> str:
    """Return what is wrong with results in a mapping, a set or a list in a list, where nobody looks for them."""
    if not isinstance(returned, Collection) or isinstance(returned, (str, bytes)):
        return ""
    within = returned.values() if isinstance(returned, Mapping) else returned
    hidden = any(isinstance(one, Result) for one in within)
    return f"returned results within a {type(returned).__name__}: return one, or a list of them" if hidden else ""


def _refusal(returned: Any) -> str:
    """Return what the answer of a service or a program says, if that is that it did not do what it was asked."""
    kind, code = type(returned).__name__, getattr(returned, "status_code", None)
    answers = code is not None or hasattr(returned, "headers")  # of other things, a status may mean anything
    status = getattr(returned, "status", None) if code is None else code
    # requests, aiohttp and our own reports have the one, httpx has the other, and http.client has neither.
    ok, is_error = getattr(returned, "ok", None), getattr(returned, "is_error", None)
    wrong = answers and ok is not True and is_error is not False and isinstance(status, int) and status >= _WRONG
    if ok is False or is_error is True or wrong:
        return f"returned a {kind} that is not ok" + (f": status {status}" if isinstance(status, int) else "")
    for name, wait in (("returncode", "wait"), ("exitcode", "join")):
        code = getattr(returned, name, 0)
        if code is None and callable(getattr(returned, wait, None)):
            return f"returned a {kind} that was not waited for: return what comes of it"
        if isinstance(code, int) and code:
            return f"returned a {kind} with {name} {code}"
    return ""


def _is_future(returned: Any) -> bool:
    futures = sys.modules.get("concurrent.futures")
    return futures is not None and isinstance(returned, futures.Future)


def _result_of(returned: Any) -> Result | None:
    """Return the result that a value is or stands for; None if it says nothing."""
    if isinstance(returned, Result):
        return returned
    fault = fault_of(returned)
    return failed(fault) if fault else None


def finished(actions: Sequence[Any], method: str, results: Sequence[Result]) -> list[Result]:
    """Return the results of a call with the actions and the method that they are about."""
    pairs = zip(results, actions, strict=True)
    return [attrs.evolve(result, action=action, method=method) for result, action in pairs]
