"""Lets the name `diffsync`, and every module below it, be our vocabulary's."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys

_OURS = "datastoresync.vocabularies.dsync"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives our module for each of diffsync's."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] != "diffsync":
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec):
        return importlib.import_module(_OURS + spec.name.removeprefix("diffsync"))

    def exec_module(self, module):
        pass


def install():
    """Replace diffsync."""
    sys.meta_path.insert(0, Finder())
