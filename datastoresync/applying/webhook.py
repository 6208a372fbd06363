"""The report of a run as a message in a chat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import IO, Any, Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from datastoresync.applying.notification import Message, NotifyingReporter, When
from datastoresync.applying.retry import retry_after
from datastoresync.errors import DeclarationError, NotificationError
from datastoresync.masking import MASK, SecretText, masked

Chat = Literal["slack", "mattermost", "teams"]
_LINES = 20
_LONGEST_WAIT = 30.0
"""Seconds, whatever a server asks for."""
_SAID = 200
"""Characters of a server's answer that an error has."""
_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers of a server that may be another one later."""


def _slack(message: Message) -> Any:
    escaped = (_fenced(one).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for one in _parts(message))
    return {"text": "{}\n```\n{}\n```".format(*escaped)}


def _mattermost(message: Message) -> Any:
    subject, text = map(_fenced, _parts(message))
    return {"text": f"`{subject.replace('`', chr(39))}`\n```\n{text}\n```"}  # no name in it is a mention


def _teams(message: Message) -> Any:
    subject, text = _parts(message)
    blocks = [{"text": subject, "weight": "Bolder"}, {"text": text, "fontType": "Monospace"}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "wrap": True, **block} for block in blocks],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _parts(message: Message) -> tuple[str, str]:
    return message.subject, message.text(_LINES)


def _fenced(text: str) -> str:
    return text.replace("```", "'''")


_PAYLOADS: Final[dict[str, Callable[[Message], Any]]] = {"slack": _slack, "mattermost": _mattermost, "teams": _teams}


class WebhookReporter(NotifyingReporter):
    """Posts the report of a run, or why it was refused or failed, to the incoming webhook of a chat, as JSON.

    It is tried again after what may pass: a connection that fails or takes too long, and answers such as 429 and 503,
    in the time that these ask for. What was posted just before a connection broke may so be there twice. When it is
    sent, and what becomes of a message that cannot be sent, is as in `NotifyingReporter`.

    Args:
        url: The address of the webhook, which is a secret: errors have its host alone.
        chat: ``"slack"``, ``"mattermost"``, ``"teams"``; or a function that returns the JSON of a `Message`.
        timeout: Seconds to wait for each answer of the server.
        attempts: How often it is tried, at most.
        wait: Seconds before the second attempt; twice as many before each further one.
        when: When a message is sent.

    Raises:
        DeclarationError: an argument cannot be right.
    """

    def __init__(
        self,
        url: str,
        *,
        chat: Chat | Callable[[Message], Any] = "slack",
        timeout: float = 10,
        attempts: int = 3,
        wait: float = 1.0,
        when: When = "changes",
    ) -> None:
        super().__init__(when=when)
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise DeclarationError("the address of a webhook begins with https:// and a host")
        payload = _PAYLOADS.get(chat) if isinstance(chat, str) else chat
        if not callable(payload):
            message = f"chat is {', '.join(map(repr, _PAYLOADS))}, or a function (got {chat!r})"
            raise DeclarationError(message)
        if attempts < 1:
            message = f"attempts is a number from 1 (got {attempts!r})"
            raise DeclarationError(message)
        self.timeout, self.attempts, self.wait = timeout, attempts, wait
        self._url = SecretText(url)
        self._shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/{MASK}"
        self._payload = payload

    def send(self, message: Message) -> None:
        """Post a message.

        Raises:
            NotificationError: the server cannot be reached, or does not take it.
        """
        body = json.dumps(self._payload(message)).encode()
        reason = ""
        for attempt in range(self.attempts):
            again, wait, reason = self._post(body)
            if again is None:
                return
            if not again:
                break
            if attempt + 1 < self.attempts:
                time.sleep(min(_LONGEST_WAIT, wait or self.wait * 2**attempt))
        said = masked(reason, self._secrets())
        raise NotificationError(f"cannot post to {self._shown}: {said}")

    def _post(self, body: bytes) -> tuple[bool | None, float, str]:
        """Return whether to try again, None if it is posted; the seconds until then; and what went wrong."""
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "datastoresync"}
        request = Request(str.__str__(self._url), data=body, headers=headers)  # noqa: S310 - http or https
        try:
            with build_opener(_NoRedirects).open(request, timeout=self.timeout) as answer:
                answer.read(_SAID)
            return None, 0, ""
        except HTTPError as error:
            with error:
                said = error.read(_SAID).decode(errors="replace").strip()
            reason = f"{error.code} {error.reason}{': ' if said else ''}{said}"
            return error.code in _AGAIN, retry_after(error) or 0, reason
        except URLError as error:
            return True, 0, str(error.reason)
        except (OSError, ValueError) as error:  # a timeout in the answer; an address that http.client refuses
            return isinstance(error, OSError), 0, str(error)

    def _secrets(self) -> list[str]:
        url = str.__str__(self._url)
        parts = urlsplit(url)
        found = [*parts.path.split("/"), parts.path, parts.query, parts.username, parts.password, url]
        return [one for one in found if one and len(one) > 3]


class _NoRedirects(HTTPRedirectHandler):
    """Refuses to be sent elsewhere: it would get a request without the message."""

    def redirect_request(self, req: Request, fp: IO[bytes], *about: Any) -> None:  # noqa: ARG002 - a hook
        return None
