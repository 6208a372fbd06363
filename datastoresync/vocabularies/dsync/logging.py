"""Logging as diffsync does it: events with what they are about, through structlog where it is installed.

Without structlog the same calls go to the logger ``datastoresync`` of the standard library, with what they are about
behind the event, and as attributes in ``record.structured``.
"""

from __future__ import annotations

import logging
from typing import Any

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""The levels of `enable_console_logging`, by verbosity."""


class StandardLogger:
    """The calls of a bound logger of structlog, on one of the standard library.

    Args:
        logger: The logger.
        context: What is logged with each event.

    >>> StandardLogger(logging.getLogger("demo")).new(src="plan").bind(model="site")
    <StandardLogger demo: src='plan' model='site'>
    """

    def __init__(self, logger: logging.Logger, **context: Any) -> None:
        self._logger = logger
        self._context = context

    def __repr__(self) -> str:
        return f"<StandardLogger {self._logger.name}: {_shown(self._context)}>"

    def new(self, **context: Any) -> StandardLogger:
        """Return a logger with this context alone."""
        return StandardLogger(self._logger, **context)

    def bind(self, **context: Any) -> StandardLogger:
        """Return a logger with this context as well."""
        return StandardLogger(self._logger, **{**self._context, **context})

    def unbind(self, *names: str) -> StandardLogger:
        """Return a logger without these names in its context.

        Raises:
            KeyError: if one is not in it.
        """
        context = dict(self._context)
        for name in names:
            del context[name]
        return StandardLogger(self._logger, **context)

    def log(self, level: int, event: str, *arguments: Any, exc_info: Any = None, **context: Any) -> None:
        """Log an event, whose place-holders the arguments fill, with its context."""
        if self._logger.isEnabledFor(level):
            about = {**self._context, **context}
            text = event % arguments if arguments else str(event)
            message = " ".join(filter(None, (text, _shown(about))))
            self._logger.log(level, "%s", message, exc_info=exc_info, extra={"structured": {"event": text, **about}})

    def debug(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log an event for debugging."""
        self.log(logging.DEBUG, event, *arguments, **context)

    def info(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log an event."""
        self.log(logging.INFO, event, *arguments, **context)

    def warning(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log a warning."""
        self.log(logging.WARNING, event, *arguments, **context)

    warn = warning

    def error(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log an error."""
        self.log(logging.ERROR, event, *arguments, **context)

    def critical(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log what ends the program."""
        self.log(logging.CRITICAL, event, *arguments, **context)

    def exception(self, event: str, *arguments: Any, **context: Any) -> None:
        """Log an error with the exception that is being handled."""
        self.log(logging.ERROR, event, *arguments, **{"exc_info": True, **context})


def _shown(context: dict[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in context.items())


def get_logger() -> Any:
    """Return a logger with structlog's calls: structlog's own if that is installed, otherwise a `StandardLogger`."""
    try:
        import structlog
    except ImportError:
        return StandardLogger(logging.getLogger("datastoresync"))
    return structlog.get_logger()


def enable_console_logging(verbosity: int = 0) -> None:
    """Show log events on standard error.

    Args:
        verbosity: 0 for warnings, 1 for what is done as well, 2 or more for everything.
    """
    logging.basicConfig(format="%(message)s", level=LEVELS[max(0, min(verbosity, len(LEVELS) - 1))])
    try:
        import structlog
    except ImportError:
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S"),
            structlog.processors.StackInfoRenderer(),
            structlog.dev.ConsoleRenderer(),
        ],
        context_class=dict,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
