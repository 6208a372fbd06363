"""A mail server in a thread, which keeps what it is sent and can be told to misbehave, and runs to mail of."""

from __future__ import annotations

import base64
import contextlib
import datetime
import email
import email.policy
import socketserver
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from datastoresync import Branch, Limits, Object, Template, Tree


def certificate(folder):
    """Return the contexts of a server called localhost, and of a client that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=signed.public_bytes(serialization.Encoding.PEM).decode())


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mails on a port of its own, as long as it is a context.

    ``answers`` are given to a command (``"RCPT"``, …) instead of the usual one; an empty one is no answer at all.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *, starttls=None, tls=None, login=None, answers=None):
        super().__init__(("127.0.0.1", 0), _Session)
        self.starttls, self.tls, self.login, self.answers = starttls, tls, login, answers or {}
        self.port = self.server_address[1]
        self.mails, self.encrypted, self.logins = [], [], []
        self.over = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that breaks off is none of the server's."""


class _Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def encrypt(self, context):
        self.request = context.wrap_socket(self.request, server_side=True)
        self.setup()

    def handle(self):
        server = self.server
        self.encrypted = server.tls is not None
        if self.encrypted:
            self.encrypt(server.tls)
        self.say(server.answers.get("", "220 ready"))
        while line := self.rfile.readline().decode().strip():
            command = line.split(" ")[0].upper()
            answer = server.answers.get(command, server.answers.get(f"{command}{line[len(command) :]}"))
            if answer == "":
                server.over.wait(10)
                return
            self.say(answer) if answer else getattr(self, f"on_{command.lower()}")(line)

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()

    def on_ehlo(self, line):
        extra = ["STARTTLS"] if self.server.starttls and not self.encrypted else []
        extra += ["AUTH PLAIN"] if self.server.login else []
        lines = ["localhost", "8BITMIME", *extra, "HELP"]
        for index, one in enumerate(lines):
            self.say(f"250{'-' if index + 1 < len(lines) else ' '}{one}")

    def on_starttls(self, line):
        self.say("220 go on")
        self.encrypt(self.server.starttls)
        self.encrypted = True

    def on_auth(self, line):
        given = base64.b64decode(line.split(" ")[2]).decode().split("\0")[1:]
        self.server.logins.append(tuple(given))
        self.say("235 ok" if tuple(given) == self.server.login else "535 wrong name or password")

    def on_mail(self, line):
        self.say("250 ok")

    on_rcpt = on_rset = on_mail

    def on_data(self, line):
        self.say("354 go on")
        lines = []
        while (one := self.rfile.readline()) != b".\r\n":
            lines.append(one.removeprefix(b"."))
        self.server.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
        self.server.encrypted.append(self.encrypted)
        self.say("250 taken")

    def on_quit(self, line):
        self.say("221 bye")
        self.connection.close()


class Account(Object):
    _sensitive = ("pin",)
    name: str
    pin: str = ""


def tree(name, rows):
    members = {"users": Branch(Account, importer=[{"idnumber": key, "name": value} for key, value in rows.items()])}
    return +type(name, (Tree,), members)()


class Accounts(Template):
    def new(self, action):
        if action.source.name.startswith("<"):
            raise ValueError("no such name")

    def update(self, action):
        return None


def run(reporter, source=None, dest=None, **keywords):
    """Return the report of a run in which one action of three fails."""
    source = {"1": "Ann", "2": "<b>Bob</b>", "3": "Cäsar"} if source is None else source
    diff = tree("sis", source) - tree("app", {"1": "Anna"} if dest is None else dest)
    return Accounts().apply(diff, reporters=[reporter], limits=Limits(updates=9), **keywords)
