"""The report of a run as an e-mail."""

from __future__ import annotations

import io
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from datastoresync.applying.notification import Message, NotifyingReporter, When
from datastoresync.errors import DatastoreSyncError, DeclarationError, NotificationError
from datastoresync.masking import SecretText, masked
from datastoresync.printing.html import page

Attachment = Literal["csv", "json", "jsonl", "html", "markdown", "xlsx"]
_TYPES: Final[dict[str, tuple[str, str, str]]] = {
    "csv": ("text", "csv", "csv"),
    "json": ("application", "json", "json"),
    "jsonl": ("application", "jsonl", "jsonl"),
    "html": ("text", "html", "html"),
    "markdown": ("text", "markdown", "md"),
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
}
"""The type of each attachment, and its suffix."""
_PLAIN = "smtp+plain"
_PORTS: Final[dict[str, int]] = {"smtp": 587, "smtps": 465, _PLAIN: 25}
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_LINES, _ROWS = 60, 100
"""Lines of the text; the most objects of a branch on the page."""
_LARGEST = 10_000_000
"""Bytes of an attachment; most servers take about twice as many, encoded, in a mail."""


class EmailReporter(NotifyingReporter):
    """Mails the report at the end of a run, or why it was refused or failed, as text and HTML.

    The subject says what is to be looked at: ``users: 3 failed, 12 done — sync of sis > app``. When it is sent, and
    what becomes of a mail that cannot be sent, is as in `NotifyingReporter`.

    Args:
        to: The addresses.
        sender: The address that it is from.
        server: ``smtp://user:password@host:port``, encrypted by STARTTLS, ``smtps://…``, encrypted from the first byte,
            or ``smtp+plain://…``, which is not encrypted, and takes a password for this machine alone. Characters of a
            password such as ``@`` and ``/`` are as `urllib.parse.quote` writes them.
        context: How certificates are checked; as the system does if None.
        timeout: Seconds to wait for each answer of the server.
        attach: The formats in which all results are attached, such as ``("xlsx",)``; up to 10 MB each.
        when: When a mail is sent.

    Raises:
        DeclarationError: an argument cannot be right.
    """

    def __init__(
        self,
        to: str | Sequence[str],
        *,
        sender: str,
        server: str = "smtp+plain://localhost",
        context: ssl.SSLContext | None = None,
        timeout: float = 10,
        attach: Sequence[Attachment] = (),
        when: When = "changes",
    ) -> None:
        super().__init__(when=when)
        self.to = [to] if isinstance(to, str) else list(to)
        self.sender = sender
        self.attach = (attach,) if isinstance(attach, str) else tuple(attach)
        self.timeout = timeout
        try:
            parts = urlsplit(server)
            self.scheme, self.host, self.user = parts.scheme, parts.hostname or "", unquote(parts.username or "")
            self.port = parts.port or _PORTS.get(parts.scheme, 0)
            self._password = SecretText(unquote(parts.password or ""))
        except ValueError:  # which would show the password
            self.host = ""
        for problem in self._problems():
            raise DeclarationError(problem)
        self._context = context or (None if self.scheme == _PLAIN else ssl.create_default_context())

    def _problems(self) -> Iterator[str]:
        if not self.host or self.scheme not in _PORTS:
            yield f"server is {', '.join(f'{one}://host' for one in _PORTS)}, with user:password@ before the host"
        elif self._password and self.scheme == _PLAIN and self.host not in _THIS_MACHINE:
            yield f"a password is not sent to {self.host} for all to read: write smtp:// or smtps://"
        if not self.to or not all("@" in one and one.isprintable() for one in (*self.to, self.sender)):
            yield "to and sender are mail addresses: name@example.org"
        if unknown := [one for one in self.attach if one not in _TYPES]:
            yield f"attach takes {', '.join(map(repr, _TYPES))} (got {unknown[0]!r})"

    def send(self, message: Message) -> None:
        """Send a mail.

        Raises:
            NotificationError: the server cannot be reached, or does not take it.
        """
        mail = self.mail(message)
        try:
            with closing(self._connection()) as server:
                refused = server.send_message(mail)
                with suppress(smtplib.SMTPException, OSError):  # the mail is sent
                    server.quit()
        except smtplib.SMTPNotSupportedError as error:
            raise self._error(f"{error}; smtps:// may be what it takes") from None
        except smtplib.SMTPRecipientsRefused as error:
            raise self._error(_recipients(error.recipients)) from None
        except smtplib.SMTPResponseException as error:
            raise self._error(f"{error.smtp_code} {_decoded(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._error(str(error) or type(error).__name__) from None
        if refused:
            raise self._error(_recipients(refused))

    def mail(self, message: Message) -> EmailMessage:
        """Return the mail that is sent."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.subject, self.sender, ", ".join(self.to)
        mail["Date"] = formatdate(localtime=True)
        mail["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2].strip("<> "))
        mail["Auto-Submitted"] = "auto-generated"
        files = [(name, *_attachment(message, name)) for name in self.attach]
        missing = [f"not attached: {name}, {reason}" for name, _, reason in files if reason]
        mail.set_content("\n".join([message.subject, "", message.text(_LINES), *missing, ""]))
        html = page(message.content.__outline__(), title=message.subject, rows=_ROWS)
        mail.add_alternative(html, subtype="html")
        for name, data, reason in files:
            kind, subtype, suffix = _TYPES[name]
            if not reason:
                mail.add_attachment(data, maintype=kind, subtype=subtype, filename=f"report.{suffix}")
        return mail

    def _connection(self) -> smtplib.SMTP:
        kind = partial(smtplib.SMTP_SSL, context=self._context) if self.scheme == "smtps" else smtplib.SMTP
        server = kind(self.host, self.port, timeout=self.timeout)
        try:
            if self.scheme == "smtp":
                server.starttls(context=self._context)
            if self.user:
                server.login(self.user, str.__str__(self._password))
        except BaseException:
            server.close()
            raise
        return server

    def _error(self, reason: str) -> NotificationError:
        where = f"{self.host}:{self.port}"
        return NotificationError(f"cannot send the mail by {where}: {masked(reason, [str.__str__(self._password)])}")


def _recipients(refused: Any) -> str:
    return "; ".join(f"{one} is refused: {code} {_decoded(said)}" for one, (code, said) in refused.items())


def _decoded(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _attachment(message: Message, name: str) -> tuple[bytes, str]:
    """Return all results in a format, or why there are none."""
    write: Callable[..., Any] = getattr(message.content, f"to_{name}")
    file = io.BytesIO()
    try:
        if name == "xlsx":
            write(file)
        else:
            file.write(write().encode())
    except DatastoreSyncError as error:  # a missing package, or a value that the format cannot hold
        return b"", str(error)
    large = file.tell() > _LARGEST
    return file.getvalue(), f"which has {file.tell():,} bytes" if large else ""
