"""Tells a callback how far a sync is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datastoresync.applying.plan import Plan
from datastoresync.applying.reporter import Reporter
from datastoresync.applying.result import Result

__all__ = ["Listener"]


class Listener(Reporter):
    """Calls a function after every result, and ends the run if it raises.

    Args:
        callback: Called with ``"sync"``, how many results there were and how many there will be; or None.
        stop: Ends the run.
    """

    def __init__(self, callback: Callable[[str, int, int], Any] | None, stop: Callable[[], None]) -> None:
        self.callback = callback
        self.stop = stop
        self.error: Exception | None = None
        self._done = self._total = 0

    def start(self, plan: Plan) -> None:
        """Begin at nothing."""
        self._total = len(plan.actions)

    def result(self, result: Result) -> None:  # noqa: ARG002 - a hook
        """Count, and say so; what the function raises is kept in ``error``, and it is not called again."""
        self._done += 1
        if self.callback is None or self.error is not None:
            return
        try:
            self.callback("sync", self._done, self._total)
        except Exception as error:  # noqa: BLE001 - it is raised as soon as the report is there
            self.error = error
            self.stop()
