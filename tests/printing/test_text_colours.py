import io

import pytest

from datastoresync.printing import text as terminal
from datastoresync.printing.text import paint, wants_colour


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "WT_SESSION", "ANSICON", "ConEmuANSI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(terminal.sys, "platform", "linux")
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "on_terminal", "in_file"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_the_environment_is_heard_before_the_stream(environment, variables, on_terminal, in_file):
    for name, value in variables.items():
        environment.setenv(name, value)
    assert wants_colour(Terminal()) is on_terminal
    assert wants_colour(io.StringIO()) is in_file


def test_the_old_console_of_windows_gets_no_colours(environment):
    environment.setattr(terminal.sys, "platform", "win32")
    assert not wants_colour(Terminal())
    environment.setenv("WT_SESSION", "1")
    assert wants_colour(Terminal())


def test_what_can_only_write_gets_no_colours():
    class Sink:
        def write(self, text):
            pass

    assert not wants_colour(Sink())


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (("new", "add", "succeeded"), "32"),
        (("update", "warning", "unhandled"), "33"),
        (("old", "remove", "failed", "refused"), "31"),
        (("conflict",), "35"),
        (("note", "skipped", "pending", "planned"), "2"),
        (("datastore", "tree", "branch", "object", "diff", "report", "stat", "heading"), "1"),
    ],
)
def test_kinds_have_colours(kinds, code):
    assert [paint("x", kind) for kind in kinds] == [f"\x1b[{code}mx\x1b[0m"] * len(kinds)


def test_an_unknown_kind_and_an_empty_text_have_none():
    assert paint("x", "whatever") == "x"
    assert paint("", "new") == ""
