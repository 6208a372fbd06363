"""Messages to a chat, as its server gets them."""

import json
import logging
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mail_server import run

from datastoresync import Report, Result, SafeguardError, WebhookReporter
from datastoresync.applying import webhook
from datastoresync.applying.notification import Message
from datastoresync.errors import DeclarationError, NotificationError

PATH = "/hooks/T0SECRET/b1SECRETx"
REPORT = Report([Result("failed", "<!channel> & `x` ```", method="new")])
MESSAGE = Message("users: 1 failed — sync of <@sis> > app", REPORT)


@contextmanager
def chat_server(*answers):
    """Yield the URL of a webhook and the bodies that it got; it gives the answers in turn, and takes what comes then.

    An answer is a status, its headers and its text; a status of 0 breaks the connection off, None says nothing.
    """
    bodies, waiting, over = [], list(answers), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert self.path == PATH
            assert self.headers["Content-Type"].startswith("application/json")
            status, headers, text = waiting.pop(0) if waiting else (200, {}, "ok")
            if status is None:
                over.wait(5)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PATH}", bodies
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def naps(monkeypatch):
    found = []
    monkeypatch.setattr(webhook.time, "sleep", found.append)
    return found


def test_a_chat_gets_the_subject_and_the_report_and_nobody_is_called():
    with chat_server() as (url, bodies):
        for chat in ("slack", "mattermost", "teams"):
            WebhookReporter(url, chat=chat).send(MESSAGE)
        WebhookReporter(url, chat=lambda message: {"content": message.subject}).send(MESSAGE)
    slack, mattermost, teams, own = map(json.loads, bodies)
    subject, fence, body = slack["text"].partition("\n```\n")
    assert subject == "users: 1 failed — sync of &lt;@sis&gt; &gt; app"
    assert fence
    assert "&lt;!channel&gt; &amp; `x` '''" in body
    assert slack["text"].count("```") == mattermost["text"].count("```") == 2
    assert mattermost["text"].startswith("`users: 1 failed — sync of <@sis> > app`\n```\n")
    card = teams["attachments"][0]["content"]
    assert (teams["type"], card["type"]) == ("message", "AdaptiveCard")
    assert [block["text"] for block in card["body"]] == [MESSAGE.subject, MESSAGE.text(20)]
    assert own == {"content": MESSAGE.subject}


def test_what_may_pass_is_tried_again_in_the_time_that_is_asked_for(naps):
    answers = [(503, {}, "later"), (429, {"Retry-After": "7"}, ""), (0, {}, ""), (502, {"Retry-After": "9999"}, "")]
    date = formatdate(webhook.time.time() + 20, usegmt=True)
    with chat_server(*answers, (500, {"Retry-After": date}, "")) as (url, bodies):
        WebhookReporter(url, attempts=6, wait=0.5).send(MESSAGE)
    assert len(bodies) == 6
    assert len(set(bodies)) == 1
    assert naps[:4] == [0.5, 7, 2, 30]
    assert 10 < naps[4] <= 20


@pytest.mark.parametrize(
    ("answer", "said", "attempts"),
    [
        ((404, {}, f"no hook {PATH} or b1SECRETx"), r"404 Not Found: no hook \*\*\* or \*\*\*", 1),
        ((302, {"Location": "http://127.0.0.1:9/x"}, ""), "302 Found", 1),
        ((503, {}, "down"), "503 Service Unavailable: down", 2),
        ((0, {}, ""), "Remote end closed connection", 2),
        ((None, {}, ""), "timed out", 2),
    ],
)
def test_a_message_that_cannot_be_posted_is_told_without_the_address(naps, caplog, answer, said, attempts):
    with chat_server(answer, answer) as (url, bodies):
        reporter = WebhookReporter(url, attempts=2, timeout=0.1 if answer[0] is None else 5)
        with (
            caplog.at_level(logging.ERROR, "datastoresync"),
            pytest.raises(NotificationError, match=rf"cannot post to http://127.0.0.1:\d+/\*\*\*: .*{said}") as caught,
        ):
            reporter.end(REPORT)
    assert len(bodies) == attempts
    assert len(naps) == attempts - 1
    (record,) = caplog.records
    for text in (str(caught.value), record.getMessage(), repr(vars(reporter))):
        assert "SECRET" not in text


def test_a_server_that_is_not_there_fails_nothing(naps):
    with chat_server() as (url, _):
        reporter = WebhookReporter(url)
        assert run(reporter, {"1": "Ann"}).warnings == ()
    report = run(reporter, {"1": "Ann"})
    assert (report.ok, report.exit_code, len(naps)) == (True, 0, 2)
    (warning,) = report.warnings
    assert warning.startswith("WebhookReporter.end raised NotificationError: cannot post to http://127.0.0.1:")
    assert "SECRET" not in warning
    with pytest.raises(SafeguardError):
        run(reporter, {"10": "Ann"}, {str(number): "Ann" for number in range(10, 40)})


@pytest.mark.parametrize(
    ("url", "keywords", "said"),
    [
        ("file:///etc/passwd", {}, "begins with https://"),
        ("https:///x", {}, "begins with https://"),
        ("https://x/y", {"chat": "irc"}, "chat is 'slack', 'mattermost', 'teams', or a function .got 'irc'"),
        ("https://x/y", {"attempts": 0}, "attempts is a number from 1"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_at_once(url, keywords, said):
    with pytest.raises(DeclarationError, match=said):
        WebhookReporter(url, **keywords)
