"""What an application does with its parts, in one process; scripts and terminals are in test_script.py."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from datastoresync import (
    Branch,
    DeclarationError,
    Object,
    SafeguardError,
    SyncInterrupted,
    Template,
    Tree,
    failed,
    skipped,
    succeeded,
)
from datastoresync.app import App, Reader, Writer
from datastoresync.applying.preview import Preview


class People(Tree):
    users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}])


class PeopleReader(Reader):
    """Reads two people."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def read(self, args):
        self.calls += 1
        return +People()


class Recording(Writer):
    """Keeps what it was given, and does what it is told."""

    def __init__(self, act=lambda: None, **options):
        super().__init__(**options)
        self.act, self.seen = act, []

    def write(self, args, tree):
        self.seen.append((args, tree))
        return self.act()


def raising(error):
    def act():
        raise error

    return act


class Terminal(io.StringIO):
    def isatty(self):
        return True


def statuses(report):
    return [part.status for part in report.parts]


def test_every_writer_gets_the_tree_that_was_read_once():
    reader, first, second = PeopleReader(), Recording(), Recording()
    report = App(reader, first, second).run([])
    assert reader.calls == 1
    ((_, one),), ((_, two),) = first.seen, second.seen
    assert one is two is report.reader.returned
    assert (report.ok, report.exit_code, statuses(report)) == (True, 0, ["succeeded"] * 3)


@pytest.mark.parametrize(
    ("act", "status", "reason", "code"),
    [
        (raising(ValueError("no")), "failed", "ValueError: no", 1),
        (raising(ConnectionError("postgresql://ann:secret@host/db")), "failed", "postgresql://ann:***@host/db", 1),
        (raising(SafeguardError("refused, and nothing was changed")), "refused", "nothing was changed", 3),
        (raising(SystemExit("stop")), "failed", "stop", 1),
        (raising(SystemExit(0)), "succeeded", "", 0),
        (lambda: failed("half of it"), "failed", "half of it", 1),
        (lambda: skipped("nothing to do"), "skipped", "nothing to do", 0),
        (lambda: succeeded("all of it"), "succeeded", "all of it", 0),
        (type("Done", (), {"ok": False, "stat": "failed=3"}), "failed", "failed=3", 1),
        (type("Done", (), {"ok": True, "stat": 3}), "succeeded", "", 0),
        (lambda: "whatever", "succeeded", "", 0),
        (lambda: (+People()).preview(+People()), "succeeded", "total=0", 0),
        (lambda: Preview((+People()) - (+People()), ("too many",)), "refused", "would be refused: too many", 3),
    ],
)
def test_one_that_fails_hides_no_other(act, status, reason, code, capsys):
    before, after = Recording(name="before"), Recording(name="after")
    report = App(PeopleReader(), before, Recording(act, name="middle"), after).run([])
    assert statuses(report) == ["succeeded", "succeeded", status, "succeeded"]
    assert reason in report.reports[1].reason
    assert report.exit_code == code
    assert len(before.seen) == len(after.seen) == 1
    said = capsys.readouterr().err
    assert (f"{status}: middle" in said) == (status in ("failed", "refused"))
    assert "secret" not in said + str(report) + repr(report) + repr(report.reports[1])


def test_a_failure_weighs_more_than_a_refusal():
    refusing, failing = Recording(raising(SafeguardError("refused"))), Recording(raising(ValueError("no")))
    assert App(PeopleReader(), refusing, failing).run([]).exit_code == 1


def test_a_failed_sync_shows_its_stat_and_its_failures(capsys):
    class Refusing(Template):
        def new_users(self, action):
            raise OSError("the server is gone")

    class Syncing(Writer):
        def write(self, args, tree):
            dest = +Tree("dest", template=Refusing, branches={"users": Branch(Object, importer=[])})
            return tree >> dest

    report = App(PeopleReader(), Syncing()).run([])
    said = capsys.readouterr().err.splitlines()
    assert report.exit_code == 1
    assert said[0] == "failed: syncing: succeeded=0 failed=2 skipped=0 conflict=0 unhandled=0 pending=0 total=2"
    assert said[1].strip() == "failed: + users 1: OSError: the server is gone"
    assert len(said) == 3


def test_nothing_is_written_when_reading_fails(capsys):
    class Broken(Reader):
        def read(self, args):
            raise OSError("postgresql://ann:secret@host is down")

    writer = Recording()
    report = App(Broken(), writer).run([])
    assert (writer.seen, statuses(report), report.exit_code) == ([], ["failed", "pending"], 1)
    said = capsys.readouterr().err
    assert said == "failed: broken: OSError: postgresql://ann:***@host is down\n"


def test_what_is_read_must_be_a_tree():
    class Forgetful(Reader):
        def read(self, args):
            +People()

    with pytest.raises(DeclarationError, match=r"forgetful must return a tree \(got NoneType\); is a `return` missing"):
        App(Forgetful(), Recording()).run([])


def test_another_model_goes_through_if_the_application_says_so():
    class Models(App):
        def check(self, value):
            if not value:
                raise ValueError("an empty model")

        def size(self, value):
            return len(value)

    class ListReader(Reader):
        rows = ("Ann",)

        def read(self, args):
            return list(self.rows)

    writer = Recording()
    assert Models(ListReader(), writer).run([]).ok
    assert writer.seen[0][1] == ["Ann"]
    reader = ListReader()
    reader.rows = ()
    report = Models(reader, writer).run([])
    assert (report.exit_code, report.reader.reason) == (1, "ValueError: an empty model")


def test_ctrl_c_ends_it_all_and_says_what_was_done(capsys):
    first, last = Recording(name="first"), Recording(name="last")
    app = App(PeopleReader(), first, Recording(raising(KeyboardInterrupt()), name="middle"), last)
    with pytest.raises(SyncInterrupted) as stopped:
        app.run([])
    report = stopped.value.report
    assert statuses(report) == ["succeeded", "succeeded", "interrupted", "pending"]
    assert (report.exit_code, last.seen) == (130, [])
    assert capsys.readouterr().err == "interrupted: middle\n"
    with pytest.raises(SystemExit) as stopped:
        app.main([])
    assert stopped.value.code == 130


def test_main_ends_the_process_with_the_exit_code():
    for act, code in ((lambda: None, 0), (raising(ValueError("no")), 1), (raising(SafeguardError("no")), 3)):
        with pytest.raises(SystemExit) as stopped:
            App(PeopleReader(), Recording(act)).main([])
        assert stopped.value.code == code


def test_a_rehearsal_calls_only_what_can_be_rehearsed(capsys):
    class Rehearsing(Recording):
        def rehearse(self, args, tree):
            sys.stdout.write(f"rehearsing {len(tree.users)}: {args.rehearse}\n")

    plain, rehearsing = Recording(), Rehearsing()
    report = App(PeopleReader(), plain, rehearsing).run(["--rehearse"])
    assert plain.seen == rehearsing.seen == []
    assert (statuses(report), report.exit_code) == (["succeeded", "failed", "succeeded"], 1)
    said = capsys.readouterr()
    assert said.out == "rehearsing 2: True\n"
    assert "recording cannot be rehearsed" in said.err
    with pytest.raises(SystemExit):
        App(PeopleReader(), plain).run(["--rehearse", "--dry-run"])


def test_a_dry_run_calls_only_what_can_preview(capsys):
    class Previewing(Recording):
        def preview(self, args, tree):
            sys.stdout.write(f"would write {len(tree.users)}, and dry_run is {args.dry_run}\n")

    plain, previewing = Recording(), Previewing()
    report = App(PeopleReader(), plain, previewing).run(["--dry-run"])
    assert plain.seen == previewing.seen == []
    assert (statuses(report), report.exit_code) == (["succeeded", "skipped", "succeeded"], 0)
    said = capsys.readouterr()
    assert said.out == "recording: would write 2 objects\nwould write 2, and dry_run is True\n"
    assert said.err == ""


def test_it_is_silent_where_nobody_watches_and_nothing_fails(capsys):
    assert App(PeopleReader(), Recording()).run([]).ok
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_what_is_done_unless_it_wants_quiet(monkeypatch):
    for argv, lines in (([], 4), (["--quiet"], 0), (["-v", "-q"], 0)):
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("NO_COLOR", "1")
        assert App(PeopleReader(), Recording()).run(argv).ok
        said = sys.stderr.getvalue().splitlines()
        assert len(said) == lines
        if lines:
            assert said[0] == "people-reader: reading …"
            assert said[1].startswith("succeeded: people-reader: users 2 in 0.")


@pytest.mark.parametrize("configured", [False, True])
def test_verbose_says_all_and_leaves_the_log_as_it_was(capsys, caplog, monkeypatch, configured):
    logger = logging.getLogger("datastoresync")
    monkeypatch.setattr(logger, "propagate", configured)
    before = (logger.level, list(logger.handlers))

    def act():
        logging.getLogger("datastoresync.anything").info("a detail")
        try:
            raise OSError("password=secret")
        except OSError as error:
            raise ValueError("it went wrong") from error

    report = App(PeopleReader(), Recording(act)).run(["--verbose"])
    said = capsys.readouterr().err
    assert report.exit_code == 1
    assert ("a detail" in said) != configured
    assert caplog.messages == ["a detail"] * configured
    assert said.index("OSError: password=***") < said.index("which led to:")
    assert said.endswith("  ValueError: it went wrong\n")
    assert "in act" in said
    assert (logger.level, logger.handlers) == before


def test_a_circle_of_causes_is_shown_once(capsys):
    def act():
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    App(PeopleReader(), Recording(act)).run(["-v"])
    assert capsys.readouterr().err.count("ValueError: second") == 1


def test_lines_that_a_failure_brings_are_made_visible(capsys):
    App(PeopleReader(), Recording(raising(ValueError("one\n\x1b[31mtwo")))).run([])
    assert capsys.readouterr().err == "failed: recording: ValueError: one\n\\x1b[31mtwo\n"


def test_a_failure_without_a_word_is_still_a_line(capsys):
    App(PeopleReader(), Recording(raising(ValueError()))).run([])
    assert capsys.readouterr().err == "failed: recording: ValueError\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: App(PeopleReader()), r"needs a writer: App\(reader, writer\)"),
        (lambda: App(Recording(), PeopleReader()), "is not a reader: a reader first"),
        (lambda: App(PeopleReader, Recording()), r"is not a reader: write PeopleReader\(\)"),
        (lambda: App(PeopleReader(), Recording), r"is not a writer: write Recording\(\)"),
        (lambda: App(PeopleReader(), [Recording()]), "is not a writer: writers behind the reader"),
        (lambda: Recording(required_arguments="file"), r"a list: write \['file'\]"),
    ],
)
def test_what_is_no_application_is_refused_at_once(make, message):
    with pytest.raises(DeclarationError, match=message):
        make()


def test_an_option_that_a_part_adds_twice_is_a_mistake_in_the_program():
    class Twice(Recording):
        def add_arguments(self, parser):
            parser.add_argument("--file")
            parser.add_argument("--file")

    with pytest.raises(DeclarationError, match=r"twice adds an option twice: .*--file"):
        App(PeopleReader(), Twice()).run([])


def test_parts_that_define_nothing_say_what_to_define(capsys):
    with pytest.raises(DeclarationError, match=r"Reader must define read\(args\)"):
        App(Reader(), Recording()).run([])
    assert App(PeopleReader(), Writer()).run([]).reports[0].reason.endswith("Writer must define write(args, tree)")


def test_parts_may_forget_their_init_and_configure_their_class():
    class NameReader(Reader):
        required_arguments = ("people",)

        def __init__(self):
            pass

        def add_arguments(self, parser):
            parser.add_argument("--people")

        def read(self, args):
            return +People()

    class HTTPThing_writer(Recording):  # noqa: N801 - names come in all forms
        name = "upload"

    assert NameReader().name == "name-reader"
    assert repr(NameReader()) == "<NameReader name-reader>"
    assert (HTTPThing_writer().name, HTTPThing_writer(name="mine").name) == ("upload", "mine")
    assert type("HTTPThing_writer", (Writer,), {})().name == "http-thing-writer"
    with pytest.raises(SystemExit):
        App(NameReader(), Recording()).run([])
    assert App(NameReader(), Recording()).run(["--people", "x"]).ok


def test_help_shows_every_part_with_what_it_says_of_itself(capsys):
    app = App(PeopleReader(), Recording(), Recording(), name="copy", description="Copies people.", version="1.2")
    with pytest.raises(SystemExit) as stopped:
        app.run(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for piece in (
        "usage: copy [-h]",
        "Copies people.",
        "people-reader (reader):\n  Reads two people.",
        "recording (writer):\n  Keeps what it was given",
        "recording-2 (writer):",
        "130  interrupted",
    ):
        assert piece in shown
    with pytest.raises(SystemExit):
        app.run(["--version"])
    assert capsys.readouterr().out == "copy 1.2\n"


def test_all_that_is_missing_is_named_before_anything_is_read(capsys):
    class Needy(Recording):
        def add_arguments(self, parser):
            parser.add_argument("--out-file", required=True)

    reader = PeopleReader()
    with pytest.raises(SystemExit) as stopped:
        App(reader, Needy(), Needy(name="other")).run([])
    assert (stopped.value.code, reader.calls) == (2, 0)
    assert "missing arguments:\n  needy: --needy-out-file\n  other: --other-out-file\n" in capsys.readouterr().err


def test_arguments_of_one_part_cannot_be_changed_by_another():
    class Meddling(Recording):
        def add_arguments(self, parser):
            parser.add_argument("--file")

        def write(self, args, tree):
            args.file = args.dry_run = "changed"

    class Watching(Recording):
        def add_arguments(self, parser):
            parser.add_argument("--file", default="mine")

    watching = Watching()
    App(PeopleReader(), Meddling(), watching).run([])
    assert (watching.seen[0][0].file, watching.seen[0][0].dry_run) == ("mine", False)


@pytest.mark.parametrize("declare", ["option", "destination", "default"])
def test_a_writers_own_dry_run_does_not_make_a_dry_run_write(declare, capsys):
    class Own(Recording):
        def add_arguments(self, parser):
            if declare == "option":
                parser.add_argument("--dry-run", action="store_true")
            elif declare == "destination":
                parser.add_argument("--look", dest="dry_run", action="store_true")
            else:
                parser.set_defaults(dry_run=False)

    own = Own()
    assert App(PeopleReader(), own).run(["--dry-run"]).reports[0].status == "skipped"
    assert own.seen == []
    assert capsys.readouterr().out == "own: would write 2 objects\n"
    assert App(PeopleReader(), own).run([]).ok
    assert len(own.seen) == 1


def test_no_password_of_a_writers_own_words_is_shown(capsys):
    url = "postgresql://ann:hunter2@host/db?password=hunter2"
    words = (
        lambda: failed(f"cannot reach {url}"),
        lambda: [failed(f"cannot reach {url}")],
        raising(SafeguardError(f"not into {url}")),
        type("Done", (), {"ok": False, "stat": f"wrote to {url}"}),
        lambda: Preview((+People()) - (+People()), (f"not into {url}",)),
    )
    for act in words:
        report = App(PeopleReader(), Recording(act)).run([])
        assert not report.ok
        said = capsys.readouterr()
        assert "postgresql://ann:***@host/db" in said.err
        assert "hunter2" not in f"{said}{report}{report!r}{report.reports[0]!r}"


def yielding():
    yield 1


async def waiting():
    """Never run."""


async def both():
    yield 1


@pytest.mark.parametrize(
    ("act", "status", "reason"),
    [
        (lambda: [failed("nope"), succeeded()], "failed", "nope"),
        (lambda: (succeeded(), [failed("one"), failed("two")]), "failed", "one; two"),
        (lambda: [skipped("old"), succeeded("new")], "succeeded", "new"),
        (lambda: [skipped("old")], "skipped", "old"),
        (lambda: ["a row"], "succeeded", ""),
        (list, "succeeded", ""),
        (lambda: False, "failed", "it returned False"),
        (lambda: True, "succeeded", ""),
        (yielding, "failed", "it is a generator and was not run: write a method without yield"),
        (both, "failed", "it is a generator and was not run: write a method without yield"),
        (waiting, "failed", "it is async and was not run: write a plain method, with asyncio.run(…) in it"),
    ],
)
def test_what_a_writer_returns_is_no_success_unless_it_is_one(act, status, reason):
    report = App(PeopleReader(), Recording(act)).run([])
    assert (report.reports[0].status, report.reports[0].reason) == (status, reason)
    assert report.exit_code == (status == "failed")


def test_a_tree_that_was_never_imported_is_not_handed_on():
    class Forgetful(Reader):
        def read(self, args):
            return People()

    writer = Recording()
    with pytest.raises(DeclarationError, match=r"forgetful .* never imported \(users\): write `return \+tree`"):
        App(Forgetful(), writer).run([])
    assert writer.seen == []


def test_a_tree_that_has_nothing_to_import_is_handed_on():
    class Making(Reader):
        def read(self, args):
            tree = Tree(branches={"users": Branch(Object), "groups": Branch(Object, importer=[])})
            tree.users.new("1")
            tree.groups.load()
            return tree

    assert App(Making(), Recording()).run([]).ok


def test_main_tells_a_mistake_of_the_program_once_and_without_passwords(capsys):
    class Wrong(Reader):
        def read(self, args):
            raise DeclarationError("no tree in postgresql://ann:hunter2@host/db")

    class Twice(Recording):
        def add_arguments(self, parser):
            parser.add_argument("--url", default="postgresql://ann:hunter2@host/db")
            parser.add_argument("--url")

    for app, said in (
        (App(Wrong(), Recording()), "failed: wrong: no tree in postgresql://ann:***@host/db\n"),
        (App(PeopleReader(), Twice()), "failed: DeclarationError: twice adds an option twice: "),
    ):
        with pytest.raises(SystemExit) as stopped:
            app.main([])
        assert stopped.value.code == 1
        shown = capsys.readouterr().err
        assert shown.startswith(said)
        assert shown.count("\n") == 1


class Broken(io.StringIO):
    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError

    def fileno(self):
        raise OSError("there is none")


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize("make", [lambda: None, Broken, closed])
def test_nobody_listening_is_no_reason_to_stop(monkeypatch, make):
    first, second = Recording(raising(ValueError("no"))), Recording()
    for argv in ([], ["--verbose"], ["--dry-run"]):
        monkeypatch.setattr(sys, "stdout", make())
        monkeypatch.setattr(sys, "stderr", make())
        with pytest.raises(SystemExit) as stopped:
            App(PeopleReader(), first, second).main(argv)
        assert stopped.value.code == (0 if argv == ["--dry-run"] else 1)
    assert len(second.seen) == 2
