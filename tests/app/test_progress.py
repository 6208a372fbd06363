"""Progress on terminals and in the log."""

from __future__ import annotations

import io
import logging

from datastoresync.app.console import Console
from datastoresync.app.progress import Progress


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


CALLS = ((0.2, "import", 1, 2), (0.25, "import", 2, 2), (0.5, "diff", 1500, 3000), (11, "sync", 9, 10))


def test_a_terminal_has_one_line_that_is_written_over_and_removed(monkeypatch):
    written = shown(monkeypatch, Terminal(), *CALLS)
    lines = [line.rstrip() for line in written.split("\r") if line.strip()]
    assert lines == ["reading: 1 of 2", "comparing: 1,500 of 3,000", "writing: 9 of 10"]
    assert written.endswith(f"\r{' ' * len(lines[-1])}\r\r\r")
    assert "\n" not in written


def test_elsewhere_a_line_of_the_log_says_now_and_then_how_far_it_is(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "datastoresync")
    assert shown(monkeypatch, io.StringIO(), *CALLS) == ""
    assert shown(monkeypatch, Terminal(), *CALLS, quiet=True) == ""
    assert caplog.messages == ["writing: 9 of 10"] * 2


def test_imports_comparison_and_writing_are_told_to_one_function(tmp_path):
    from datastoresync import Branch, Object, Template, Tree

    class Accept(Template):
        def new(self, action):
            pass

    source = Tree("source", branches={name: Branch(Object, importer=[{"idnumber": "1"}]) for name in ("a", "b")})
    dest = Tree("dest", branches={name: Branch(Object, importer=[]) for name in ("a", "b")}, template=Accept)
    told = []
    source.load(progress=lambda *arguments: told.append(arguments))
    source.sync_to(dest.load(), progress=lambda *arguments: told.append(arguments))
    assert told == [("import", 1, 2), ("import", 2, 2), ("diff", 1, 2), ("diff", 2, 2), ("sync", 1, 2), ("sync", 2, 2)]
