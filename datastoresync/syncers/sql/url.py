"""The URL of a database: what messages may show of it, and the engine that it opens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from datastoresync.conversion.scalars import BOOLEAN_TEXTS
from datastoresync.errors import MissingDependencyError, SyncerError
from datastoresync.masking import MASK, Secrets, is_token, plain, secrets_in
from datastoresync.spelling import nearest
from datastoresync.syncers.lock_holders import seconds_of

if TYPE_CHECKING:
    import sqlalchemy

    from datastoresync.syncers.sql.database import Database

_LOCATION = re.compile(r"(\[[^\]]*\]|[^:/]*)(:\d*)?(/.*)?", re.DOTALL)
_MISSING = "{} is read through SQLAlchemy, which is not installed: pip install 'datastoresync[sql]'"
_NORMALIZE, _TIMEOUT = "normalize", "timeout"
"""The options of a URL that are ours, and not the driver's."""


def open_database(
    url_or_engine: str | sqlalchemy.URL | sqlalchemy.Engine,
    name: str,
    options: Mapping[str, Any],
    *,
    normalize: bool = False,
    timeout: float | None = None,
) -> Database:
    """Return the database at a URL, or that of an engine; nothing is connected yet.

    Args:
        url_or_engine: The URL or the engine.
        name: What messages call it.
        options: For ``sqlalchemy.create_engine``.
        normalize: Whether what a column would change is made to fit; ``?normalize=true`` in the URL says so, too.
        timeout: Seconds to wait for locks, which ``?timeout=30`` in the URL says, too; None if nothing is said here.

    Raises:
        DeclarationError: The timeout is no number of seconds.
        MissingDependencyError: SQLAlchemy, a dialect or a driver is not installed.
        SyncerError: The URL is none, has an unknown option, or names a kind of database that is not known.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingDependencyError(_MISSING.format(name)) from error
    if int(sqlalchemy.__version__.partition(".")[0]) < 2:
        message = (
            f"{name} is read through SQLAlchemy 2, but {sqlalchemy.__version__} is installed: "
            "pip install --upgrade 'datastoresync[sql]'"
        )
        raise MissingDependencyError(message)
    from datastoresync.syncers.sql.database import Database
    from datastoresync.syncers.sql.dialects import DIALECTS
    from datastoresync.syncers.sql.lock_waits import PATIENCE, LockWaits

    known = DIALECTS.values()
    if isinstance(url_or_engine, sqlalchemy.Engine):
        waits = LockWaits(timeout)
        return Database(url_or_engine, name, _secrets(url_or_engine.url, {}), normalize=normalize, waits=waits)
    try:
        url = sqlalchemy.make_url(plain(url_or_engine))
        if _is_torn(url, url_or_engine):
            raise ValueError
    except (sqlalchemy.exc.ArgumentError, ValueError):
        examples = " or ".join(dialect.example for dialect in known if dialect.example)
        message = (
            f"{name} is not the URL of a database: write it like {examples}, with special characters in the password "
            "as %40 for @"
        )
        raise SyncerError(message) from None
    if _NORMALIZE in url.query:
        normalize = _truth(_NORMALIZE, url.query[_NORMALIZE], name)
        url = url.difference_update_query([_NORMALIZE])
    dialect = next((one for one in known if url.get_backend_name() in (one.name, *one.schemes)), None)
    if dialect is not None and dialect.takes_timeout:
        given = url.query.get(_TIMEOUT, options.get("connect_args", {}).get(_TIMEOUT))
        timeout = given if timeout is None else timeout
        url = url.difference_update_query([_TIMEOUT])
    waits = LockWaits(None if timeout is None else seconds_of(timeout, PATIENCE))
    if dialect is not None:
        options_in_url = dialect.url_options(url)
        if options_in_url and (unknown := next((one for one in url.query if one not in options_in_url), None)):
            there = nearest(unknown, [_TIMEOUT, _NORMALIZE, *options_in_url])
            raise SyncerError(f"{name}: its URL has no option {unknown!r}: {there}")
        options = dialect.engine_options(options, waits.seconds)
    scheme = url.drivername
    drivers = (dialect.driver for dialect in known if scheme in (dialect.name, *dialect.schemes) and dialect.driver)
    url = url.set(drivername=next(drivers, scheme))
    secrets = _secrets(url, options.get("connect_args", {}))
    engine = _engine(url, name, secrets, options)
    return Database(engine, name, secrets, foreign_keys=True, normalize=normalize, waits=waits)


def require_sqlalchemy(name: str) -> None:
    """Refuse a database at once if SQLAlchemy is not installed, without the time that it takes to import it.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec("sqlalchemy") is None:
        raise MissingDependencyError(_MISSING.format(name))


def _is_torn(url: sqlalchemy.URL, given: str | sqlalchemy.URL) -> bool:
    """Say whether an @ or a ? of the password was taken for the end of it, so that the rest would pass for the host."""
    options = given.partition("?")[2] if isinstance(given, str) else ""
    return "@" in (url.host or "") or "@" in options.partition("=")[0]


def _truth(option: str, text: str | tuple[str, ...], name: str) -> bool:
    truth = BOOLEAN_TEXTS.get(text.lower()) if isinstance(text, str) else None
    if truth is None:
        message = f"{name}: the option {option!r} of the URL is not true or false: write ?{option}=true"
        raise SyncerError(message)
    return truth


def _engine(url: sqlalchemy.URL, name: str, secrets: Secrets, options: Mapping[str, Any]) -> sqlalchemy.Engine:
    import sqlalchemy

    from datastoresync.syncers.sql.dialects import DIALECTS
    from datastoresync.syncers.sql.translate_errors import refusal_of

    installable = [dialect for dialect in DIALECTS.values() if dialect.extra]
    extra = next((dialect.extra for dialect in installable if url.drivername == dialect.driver), None)
    try:
        return sqlalchemy.create_engine(url, **{"hide_parameters": True, **plain(options)})
    except sqlalchemy.exc.NoSuchModuleError as error:
        if extra is not None:
            message = f"the dialect for {name} is not installed: pip install 'datastoresync[{extra}]'"
            raise MissingDependencyError(message) from error
        message = f"{name}: SQLAlchemy knows no {url.drivername!r}; use {', '.join(DIALECTS)} or what it lists"
        raise SyncerError(message) from None
    except ImportError as error:
        package = error.name if extra is None else f"'datastoresync[{extra}]'"
        message = f"the driver for {name} is not installed: pip install {package}"
        raise MissingDependencyError(message) from error
    except (sqlalchemy.exc.ArgumentError, TypeError) as error:
        raise refusal_of(error, f"cannot open {name}", secrets) from None


def without_password(url_or_engine: str | sqlalchemy.URL | sqlalchemy.Engine) -> str:
    """Return a URL without its password and options; of what is no clear URL, as little as possible."""
    parsed: Any = getattr(url_or_engine, "url", url_or_engine)
    url = url_or_engine if isinstance(url_or_engine, str) else parsed.render_as_string(hide_password=False)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "the database"
    body, _, options = rest.partition("?")
    credentials, at, where = body.rpartition("@")
    if body.startswith("/"):
        credentials, at, where = "", "", body
    if "@" in options or not _LOCATION.fullmatch(where):
        return f"{scheme}://***"  # a password that is not escaped may hold any of the characters that part a URL
    user = credentials.partition(":")[0]
    return f"{scheme}://{MASK if is_token(user) else user}{at}{where}"


def _secrets(url: sqlalchemy.URL, arguments: Mapping[str, Any]) -> Secrets:
    """Return what no message may hold, as it is and as it stands in the URL."""
    token = url.username if url.username and is_token(url.username) else None
    return secrets_in({"password": [url.password, token], "query": url.query, "arguments": arguments})
