"""Commands are run in a folder of their own."""

from __future__ import annotations

import sys

import pytest

from datastoresync.app.commands.group import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Return a function that runs a command in a folder of its own: its exit code, and what it printed to both."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*argv):
        code = main(list(map(str, argv)))
        return (code, *capsys.readouterr())

    return call
