"""Mails of runs, as a server gets them."""

import io
import json
import logging
from html.parser import HTMLParser

import openpyxl
import pytest
from mail_server import Accounts, MailServer, certificate, run, tree

from datastoresync import (
    EmailReporter,
    NotificationError,
    Report,
    Result,
    SafeguardError,
)
from datastoresync.applying import mail
from datastoresync.applying.notification import Message
from datastoresync.applying.plan import Plan
from datastoresync.errors import DeclarationError


def reporter_for(server, scheme="smtp+plain", **keywords):
    keywords = {"to": "head@school.org", "sender": "sync@school.org", "timeout": 5} | keywords
    return EmailReporter(server=f"{scheme}://localhost:{server.port}", **keywords)


class Words(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.words, self.elements = [], set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_a_mail_says_what_failed_and_has_all_results_attached():
    with MailServer() as server:
        reporter = reporter_for(server, to=["head@school.org", "it@school.org"], attach=["json", "xlsx", "csv"])
        report = run(reporter)
        (found,) = server.mails
    assert report.warnings == ()
    assert found["Subject"] == "users: 1 failed, 2 done — sync of sis > app"
    assert (found["From"], found["To"]) == ("sync@school.org", "head@school.org, it@school.org")
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].endswith("@school.org>")
    text, page = (found.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "no such name" in text
    words = Words(page)
    assert any("no such name" in one for one in words.words)
    assert "script" not in words.elements
    attached = {part.get_filename(): part.get_content() for part in found.iter_attachments()}
    assert set(attached) == {"report.json", "report.xlsx", "report.csv"}
    assert json.loads(attached["report.json"]) == report.to_dicts()
    sheet = openpyxl.load_workbook(io.BytesIO(attached["report.xlsx"])).active
    assert sheet.max_row == 4
    assert attached["report.csv"].replace("\r\n", "\n") == report.to_csv()


def test_a_refused_run_says_why_in_its_subject_and_what_would_have_been_done():
    many = {str(number): "Ann" for number in range(10, 40)}
    with MailServer() as server:
        reporter = reporter_for(server, when="problems", attach="jsonl")
        with pytest.raises(SafeguardError) as caught:
            run(reporter, {"10": "Ann"}, many)
        (found,) = server.mails
    assert found["Subject"] == "refused: 29 of 30 users would be deleted — sync of sis > app"
    assert caught.value.violations[0].partition(":")[0] in found.get_body(("plain",)).get_content()
    assert not hasattr(caught.value, "__notes__")
    (attached,) = found.iter_attachments()
    rows = [json.loads(line) for line in attached.get_content().decode().splitlines()]
    assert rows[0]["status"] == "refused"
    assert {row["change"] for row in rows[1:]} == {"old"}


@pytest.mark.parametrize(
    ("when", "rows", "sent"),
    [
        ("changes", {"1": "Anna"}, None),
        ("changes", {"1": "Ann"}, "users: 1 done — sync of sis > app"),
        ("always", {"1": "Anna"}, "nothing to do — sync of sis > app"),
        ("problems", {"1": "Ann"}, None),
        ("problems", {"1": "Anna", "2": "<b>"}, "users: 1 failed — sync of sis > app"),
    ],
)
def test_a_mail_is_sent_when_it_is_wanted(when, rows, sent):
    with MailServer() as server:
        run(reporter_for(server, when=when), rows)
        assert [found["Subject"] for found in server.mails] == ([] if sent is None else [sent])


def test_subjects_tell_mock_runs_statuses_and_branches():
    subjects = []

    class Noting(EmailReporter):
        def send(self, message):
            subjects.append(message.subject)

    reporter = Noting("a@b.org", sender="a@b.org")
    run(reporter, mock=True)
    assert subjects == ["users: 3 planned — mock run of sis > app"]
    diff = tree("sis", {"1": "Ann"}) - tree("app", {"1": "Anna", "2": "Bob\n"})
    (update, old) = diff
    reporter.start(Plan.through(Accounts(), diff))
    for result in (
        Result("succeeded", action=update, held={"name": "ANN"}),
        Result("conflict", action=old),
        Result("unhandled", action=old),
        Result("skipped", action=old),
        Result("pending", method="x"),
    ):
        reporter.result(result)
    reporter.end(Report([Result("failed")], interrupted=True, rehearsed=True))
    assert subjects[1] == (
        "interrupted: users: 1 in conflict, 1 without a method, 1 changed by the store, 1 skipped; 1 not done"
        " — rehearsal of sis > app"
    )
    reporter._counts.clear()
    for name in "abcd":
        reporter._counts[name].update(succeeded=1000, failed=name == "c")
    reporter.end(Report([Result("failed")]))
    assert subjects[2] == "4 branches: 1 failed, 4,000 done — sync of sis > app"
    reporter._title = "x" * 200 + "\r\nBcc: all@school.org"
    reporter.end(Report([Result("failed")]))
    assert len(subjects[3]) == 150
    assert subjects[3].isprintable()


def test_passwords_go_through_tls_alone(tmp_path):
    at_server, trusted = certificate(tmp_path)
    for scheme, offers in (("smtp", {"starttls": at_server}), ("smtps", {"tls": at_server})):
        with MailServer(**offers, login=("ann", "p@ss/w")) as server:
            url = f"{scheme}://ann:p%40ss%2Fw@localhost:{server.port}"
            reporter = EmailReporter("a@b.org", sender="a@b.org", server=url, context=trusted, timeout=5)
            assert run(reporter).warnings == ()
            assert (len(server.mails), server.encrypted, server.logins) == (1, [True], [("ann", "p@ss/w")])
            assert "p@ss" not in repr(vars(reporter))


def warning_of(reporter, caplog):
    """Return what a run says of a mail that cannot be sent; it is the same in the log, and no matter of the run."""
    with caplog.at_level(logging.ERROR, "datastoresync"):
        report = run(reporter, {"1": "Ann"})
    assert (report.ok, report.exit_code) == (True, 0)
    (warning,) = report.warnings
    said = warning.removeprefix("EmailReporter.end raised NotificationError: cannot send the mail by localhost:")
    assert said != warning
    assert any(said in record.getMessage() for record in caplog.records)
    return said


def test_a_mail_that_cannot_be_sent_is_told_and_fails_nothing(tmp_path, caplog):
    at_server, trusted = certificate(tmp_path)
    with MailServer() as server:
        pass
    assert "refused" in warning_of(reporter_for(server), caplog)
    with MailServer() as server:
        assert "STARTTLS extension not supported" in warning_of(reporter_for(server, "smtp", context=trusted), caplog)
        assert server.mails == []
    with MailServer(starttls=at_server) as server:
        assert "certificate verify failed" in warning_of(reporter_for(server, "smtp"), caplog)
        assert server.mails == []
    with MailServer(starttls=at_server, login=("ann", "right")) as server:
        url = f"smtp://ann:secret-1@localhost:{server.port}"
        reporter = EmailReporter("a@b.org", sender="a@b.org", server=url, context=trusted)
        said = warning_of(reporter, caplog)
        assert "535 wrong name or password" in said
        assert "secret-1" not in said
    with MailServer(answers={"RCPT TO:<b@b.org>": "550 nobody"}) as server:
        said = warning_of(reporter_for(server, to=["a@b.org", "b@b.org"]), caplog)
        assert said.endswith("b@b.org is refused: 550 nobody")
        assert len(server.mails) == 1
    with MailServer(answers={"RCPT": "550 nobody"}) as server:
        assert "head@school.org is refused: 550 nobody" in warning_of(reporter_for(server), caplog)
    with MailServer(answers={"DATA": "552 too much"}) as server:
        assert "552 too much" in warning_of(reporter_for(server), caplog)
    with MailServer(answers={"EHLO": "", "HELO": ""}) as server:
        assert "timed out" in warning_of(reporter_for(server, timeout=0.1), caplog)


def test_a_refusal_that_cannot_be_sent_is_a_refusal_with_a_note():
    with MailServer() as server:
        pass
    with pytest.raises(SafeguardError) as caught:
        run(reporter_for(server), {"10": "Ann"}, {str(number): "Ann" for number in range(10, 40)})
    assert "EmailReporter.refused raised NotificationError" in caught.value.__notes__[0]


def test_what_cannot_be_attached_is_told(monkeypatch):
    reporter = EmailReporter("a@b.org", sender="a@b.org", attach=["csv", "json"])
    report = Report([Result("failed", "half: \ud800")])
    found = reporter.mail(Message("subject", report))
    assert list(found.iter_attachments()) == []
    assert "not attached: csv, row 1 holds U+D800" in found.get_body(("plain",)).get_content()
    monkeypatch.setattr(mail, "_LARGEST", 50)
    found = reporter.mail(Message("subject", Report([])))
    assert [part.get_filename() for part in found.iter_attachments()] == ["report.json"]
    assert "not attached: csv, which has 56 bytes" in found.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"server": "https://mail.school.org"}, r"server is smtp://host, smtps://host, smtp\+plain://host"),
        ({"server": "smtp://x:secret@y:port"}, "server is smtp://host"),
        ({"server": "smtp+plain://a:secret@mail.school.org"}, "a password is not sent to mail.school.org for all"),
        ({"to": "head"}, "mail addresses"),
        ({"to": []}, "mail addresses"),
        ({"to": "a@b.org\nBcc: c@d.org"}, "mail addresses"),
        ({"attach": ["pdf"]}, "attach takes 'csv', .*'xlsx' .got 'pdf'"),
        ({"when": "never"}, "when is 'always', 'changes', 'problems' .got 'never'"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_at_once(arguments, said):
    with pytest.raises(DeclarationError, match=said) as caught:
        EmailReporter(**({"to": "a@b.org", "sender": "a@b.org"} | arguments))
    assert "secret" not in str(caught.value)
    assert issubclass(NotificationError, RuntimeError)
