"""Lets the name `diffsync`, and every module below it, be our vocabulary's."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys

_OURS = "datastoresync.vocabularies.dsync"
_OF_DIFFSYNC_1 = f"{_OURS}.diffsync1"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives our module for each of diffsync's."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] != "diffsync":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        below = spec.name.removeprefix("diffsync")
        return importlib.import_module(_OURS + below if below else self.package)

    def exec_module(self, module):
        pass


def install(*, old):
    """Replace diffsync 2, or diffsync 1."""
    sys.meta_path.insert(0, Finder(_OF_DIFFSYNC_1 if old else _OURS))
