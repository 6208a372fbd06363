"""ThoughtSpot's session, user and group calls, version 1 of its public REST API, over one connection."""

from __future__ import annotations

import datetime
import email.utils
import json
import random
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from datastoresync.errors import DeclarationError, MissingDependencyError, SyncerError
from datastoresync.masking import SecretText, hidden, secrets_in
from datastoresync.printing.text import cell
from datastoresync.syncers.thoughtspot.principals import FIELDS, KINDS

if TYPE_CHECKING:
    import httpx

Answer = Mapping[str, Mapping[str, Sequence[str]]]
"""The outcomes of a sync: for ``users`` and ``groups`` the names ``added``, ``updated``, ``deleted`` and
``unchanged``."""

_API = "/callosum/v1/tspublic/v1"
_HEADERS = {"X-Requested-By": "ThoughtSpot", "Accept": "application/json"}
_OUTCOMES = ("added", "updated", "deleted", "unchanged")
_LONGEST_WAIT = 300.0
"""Seconds; a longer ``Retry-After`` is an error."""


class ThoughtSpotService:
    """A session of an administrator of a ThoughtSpot cluster.

    Temporary failures (no connection, no answer in time, 429, 5xx) are retried, since a sync is idempotent. The waits
    double from a second on, are a little random so that several clients spread, and follow ``Retry-After``.

    Args:
        url: The URL of the cluster: ``https://host``.
        username: The administrator's name.
        password: Never shown.
        verify: Whether to verify the certificate. If not, plain ``http`` is accepted, too.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        retries: The number of further attempts of a call.
        sleep: Waits for a number of seconds.

    Raises:
        DeclarationError: if the URL is invalid, has a password in it, or would send one in the clear.
        MissingDependencyError: if httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        verify: bool = True,
        timeout: float = 60.0,
        retries: int = 5,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            message = "ThoughtSpot needs httpx: pip install 'datastoresync[thoughtspot]'"
            raise MissingDependencyError(message) from error
        self._httpx = httpx
        self._credentials = hidden({"username": username, "password": password, "rememberme": "false"})
        self._retries = retries
        self._sleep = sleep
        self.host = _host_of(url, verify=verify)
        self._client = httpx.Client(base_url=url.rstrip("/"), headers=_HEADERS, verify=verify, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def log_in(self) -> None:
        """Begin a session. `sync` begins another one if it has expired.

        Raises:
            SyncerError: if the cluster cannot be reached, or refuses the login.
        """
        response = self._send("POST", "/session/login", data=self._credentials)
        if response.status_code in (self._httpx.codes.UNAUTHORIZED, self._httpx.codes.FORBIDDEN):
            user = self._credentials["username"]
            message = f"{self.host} does not let {user!r} in ({response.status_code}): check the name and the password"
            raise SyncerError(message)
        if not response.is_success:
            message = f"cannot log in to {self.host}: {self._describe(response, ())}"
            raise SyncerError(message)

    def sync(
        self,
        principals: Sequence[Mapping[str, Any]],
        *,
        apply: bool = True,
        remove_deleted: bool = False,
        password: str | None = None,
    ) -> Answer:
        """Make users and groups equal to the principals, and return the changes.

        Args:
            principals: The users and groups.
            apply: Whether to make the changes; otherwise they are only returned.
            remove_deleted: Whether to delete all other users and groups.
            password: The password of new users without one.

        Raises:
            SyncerError: if the cluster cannot be reached, refuses, or returns an invalid answer.
        """
        principals, password = hidden(list(principals)), None if password is None else SecretText(password)
        fields: dict[str, Any] = {
            "principals": ("principals.json", hidden(json.dumps(principals).encode()), "application/json"),
            "applyChanges": (None, json.dumps(apply)),
            "removeDeleted": (None, json.dumps(remove_deleted)),
        }
        if password:
            fields["password"] = (None, password)
        secrets = secrets_in({"passwords": [password, *(principal.get("password") for principal in principals)]})
        response = self._call("sync", "POST", "/user/sync", secrets, files=fields)
        return self._answer(response)

    def principals(self) -> list[dict[str, Any]]:
        """Return all users and groups as records, with the attributes in `FIELDS` that the answer has of each.

        Who logs in elsewhere, such as an ``LDAP_USER``, is a ``LOCAL_USER``, as `sync` knows no others.

        Raises:
            SyncerError: if the cluster cannot be reached, refuses, or returns an invalid answer.
        """
        return [_principal(record) for record in self._records("users and groups", "/user/list")]

    def privileges(self) -> dict[str, list[str]]:
        """Return the privileges of all groups by name.

        Raises:
            SyncerError: if the cluster cannot be reached, refuses, or returns an invalid answer.
        """
        found = {}
        for record in self._records("groups", "/group"):
            header, privileges = record.get("header"), record.get("privileges")
            name = header.get("name") if isinstance(header, dict) else None
            if not isinstance(name, str) or not isinstance(privileges, list) or not _are_names(privileges):
                raise self._wrong_answer("groups and their privileges")
            found[name] = privileges
        return found

    def change_privilege(self, verb: Literal["add", "remove"], privilege: str, groups: Sequence[str]) -> None:
        """Give a privilege to groups, or take it from them.

        Raises:
            SyncerError: if the cluster cannot be reached, or refuses.
        """
        fields = {"privilege": privilege, "groupNames": json.dumps(list(groups))}
        self._call(f"{verb} the privilege {privilege!r}", "POST", f"/group/{verb}privilege", data=fields)

    def _records(self, what: str, path: str) -> list[dict[str, Any]]:
        """Return the answer to a call that lists records."""
        response = self._call(f"list {what}", "GET", path)
        try:
            told = response.json()
        except ValueError:
            told = None
        if not isinstance(told, list) or not all(isinstance(record, dict) for record in told):
            raise self._wrong_answer(what)
        return told

    def _wrong_answer(self, what: str) -> SyncerError:
        return SyncerError(f"{self.host} did not answer with {what}: is this the URL of ThoughtSpot itself?")

    def _call(
        self, what: str, method: str, path: str, secrets: Iterable[str | None] = (), **content: Any
    ) -> httpx.Response:
        """Return the response to a call, in another session if this one has expired.

        Raises:
            SyncerError: if it is refused.
        """
        response = self._send(method, path, **content)
        if response.status_code == self._httpx.codes.UNAUTHORIZED:
            self.log_in()
            response = self._send(method, path, **content)
        if not response.is_success:
            message = f"{self.host} refuses to {what}: {self._describe(response, secrets)}"
            raise SyncerError(message)
        return response

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request, with retries, and return the response of any status."""
        reason = ""
        for attempt in range(self._retries + 1):
            wait = 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - no cryptography
            try:
                response = self._client.request(method, _API + path, **content)
            except self._httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                if _is_certificate_error(error):
                    message = (
                        f"{self.host} cannot prove who it is: {reason}; have its certificate's issuer trusted here "
                        "(SSL_CERT_FILE), or give --disable-ssl if anybody may answer in its place"
                    )
                    raise SyncerError(message) from None
            else:
                if response.status_code != self._httpx.codes.TOO_MANY_REQUESTS and not response.is_server_error:
                    return response
                reason = self._describe(response, ())
                wait = max(wait, _retry_after(response.headers.get("Retry-After", "")))
                if wait > _LONGEST_WAIT:
                    message = f"{self.host} is not to be asked again for {wait:,.0f} s: {reason}; run it later"
                    raise SyncerError(message)
            if attempt < self._retries:
                self._sleep(wait)
        message = f"{self.host} did not answer as it should, in {self._retries + 1} attempts: {reason}"
        raise SyncerError(message)

    def _describe(self, response: httpx.Response, secrets: Iterable[str | None]) -> str:
        """Return the message of a response, on one line and without the passwords of the request."""
        said = f"{response.status_code} {response.reason_phrase}".strip()
        if response.is_redirect:
            return f"{said}: use the URL that it redirects to"
        try:
            told = response.json()["debug"]
        except (ValueError, TypeError, LookupError):
            return said
        # A quoted password may be escaped in another way, so nothing after the word is shown.
        text = re.split("password", str(told), maxsplit=1, flags=re.IGNORECASE)[0]
        for secret in filter(None, (self._credentials["password"], *secrets)):
            text = text.replace(secret, "***").replace(json.dumps(secret)[1:-1], "***")
        return f"{said}: {cell(text, 200)}"

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            told = response.json()
        except ValueError:
            told = None
        names = {
            (branch, outcome): f"{branch}{outcome.title()}" for branch in ("users", "groups") for outcome in _OUTCOMES
        }
        lists = {name: told[name] for name in names.values() if name in told} if isinstance(told, dict) else {}
        if not lists or not all(map(_are_names, lists.values())):
            message = (
                f"{self.host} answered {response.status_code}, but not with what was added, updated and deleted: "
                "whether it was done is not known; is this the URL of ThoughtSpot itself?"
            )
            raise SyncerError(message)
        return {
            branch: {outcome: lists.get(names[branch, outcome], []) for outcome in _OUTCOMES}
            for branch in ("users", "groups")
        }


def _host_of(url: str, *, verify: bool) -> str:
    """Return the host of a URL that a password may be sent to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "the URL of ThoughtSpot is to look like https://thoughtspot.example.org"
        raise DeclarationError(message)
    if "@" in parts.netloc or parts.query or parts.fragment:
        message = f"the URL of ThoughtSpot is to be no more than {parts.scheme}://{parts.hostname}"
        raise DeclarationError(message)
    if parts.scheme == "http" and verify and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        message = f"http://{parts.hostname} would send passwords in the clear: use https, or --disable-ssl if you must"
        raise DeclarationError(message)
    return parts.hostname


def _principal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of the list of principals with what `sync` knows of its kind."""
    kind = f"LOCAL_{str(record.get('principalTypeEnum')).rpartition('_')[2]}"
    unknown = ("mail", "password") if kind == KINDS["groups"] else ("privileges",)
    known = {column: record[column] for column in FIELDS if column in record and column not in unknown}
    return {**known, "principalTypeEnum": kind}


def _are_names(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(name, str) for name in given)


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _retry_after(given: str) -> float:
    """Return the seconds that a ``Retry-After`` asks for: it has a number of them, or a date (RFC 9110, 10.2.3)."""
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        until = email.utils.parsedate_to_datetime(given)
    except ValueError:
        return 0.0
    return (until - datetime.datetime.now(datetime.UTC)).total_seconds()
