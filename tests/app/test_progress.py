"""Progress on terminals and in the log."""

from __future__ import annotations

import io
import logging

from datastoresync import Branch, CSVImporter, Object, Template, Tree
from datastoresync.app.console import Console
from datastoresync.app.progress import Progress
from datastoresync.importing.import_progress import import_progress
from datastoresync.syncers.records import Records


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, file, *calls, **console):
    """Return what is written to a file of calls, each with the second at which it comes."""
    clock = iter([0.0, *(second for second, *_ in calls)])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Progress(Console(file=file, **console)) as progress:
        for _, *arguments in calls:
            progress(*arguments)
    return file.getvalue()


CALLS = ((0.2, "import", 1000, 0), (0.25, "import", 2000, 2000), (0.5, "diff", 1500, 3000), (11, "sync", 9, 10))


def test_a_terminal_has_one_line_that_is_written_over_and_removed(monkeypatch):
    written = shown(monkeypatch, Terminal(), *CALLS)
    lines = [line.rstrip() for line in written.split("\r") if line.strip()]
    assert lines == ["reading: 1,000 rows", "comparing: 1,500 of 3,000", "writing: 9 of 10"]
    assert written.endswith(f"\r{' ' * len(lines[-1])}\r")
    assert "\n" not in written


def test_a_line_that_stays_is_written_over_it(monkeypatch):
    console = Console(file=Terminal())
    progress = Progress(console)
    monkeypatch.setattr("time.monotonic", lambda: progress._shown + 1)
    progress("diff", 10_000, 20_000)
    console.say("done", "")
    assert console.file.getvalue().endswith(f"\r{' ' * len('comparing: 10,000 of 20,000')}\rdone\n")


def test_elsewhere_a_line_of_the_log_says_now_and_then_how_far_it_is(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "datastoresync")
    assert shown(monkeypatch, io.StringIO(), *CALLS) == ""
    assert shown(monkeypatch, Terminal(), *CALLS, quiet=True) == ""
    assert caplog.messages == ["writing: 9 of 10"] * 2


def test_imports_comparison_and_writing_are_told_to_one_function(tmp_path):
    class Accept(Template):
        def new(self, action):
            pass

    (tmp_path / "a.csv").write_text('idnumber,name\n1,"Ann"\n2,Bob\n', encoding="utf-8")
    source = Tree("source", branches={"a": Branch(Object, importer=CSVImporter(tmp_path / "a.csv"), engine="memory")})
    dest = Tree("dest", branches={"a": Branch(Object, importer=[])}, template=Accept)
    told = []

    def progress(*arguments):
        told.append(arguments)

    with import_progress(progress):
        source.load()
    source.sync_to(dest.load(), progress=progress)
    assert told == [("import", 2, 2), ("diff", 2, 2), ("sync", 1, 2), ("sync", 2, 2)]


def test_rows_are_told_chunk_by_chunk():
    chunks = [[["1", "2"]], [["3"]]]
    branch = Branch(Object, importer=lambda: Records(["idnumber"], iter(chunks), str))
    told = []
    with import_progress(lambda *arguments: told.append(arguments)):
        branch.load()
    branch.load()
    assert told == [("import", 2, 0), ("import", 3, 0), ("import", 3, 3)]


def test_the_log_has_the_form_of_the_lines_beside_it(monkeypatch):
    logger, file = logging.getLogger("datastoresync"), io.StringIO()
    monkeypatch.setattr(logger, "propagate", False)  # otherwise it goes to the handlers of the test run
    with Console(verbose=1, file=file).logging():
        logger.info("to apply: new=1")
    assert file.getvalue() == "to apply: new=1\n"
