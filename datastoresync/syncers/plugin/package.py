"""A folder of code, imported as a package that is nobody else's.

Its name is made of what is in the folder, so that two folders of one name, or one that was edited, never meet. In its
modules, ``import util`` means the file beside them if there is one; ``sys.path`` stays as it is.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from datastoresync.syncers.plugin.manifest import refused

__all__ = ["import_code"]

_PREFIX: Final = "datastoresync_plugin_"


def import_code(folder: Path, name: str) -> ModuleType:
    """Return the module ``syncer`` of a folder; it is run once, and again after a file in the folder changed.

    Args:
        folder: Where ``syncer.py`` is.
        name: What the package's name shows of whose it is.

    Raises:
        ManifestError: A file is a link that leads out of the folder.
        Exception: Whatever the code raises.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    place = folder.resolve()
    readable = re.sub(r"\W", "_", name)
    package = f"{_PREFIX}{readable}_{_digest(place)}"
    try:
        if package not in sys.modules:
            _make_package(package, place)
        return import_module(f"{package}.syncer")
    except BaseException:
        for each in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            del sys.modules[each]
        raise


def _digest(folder: Path) -> str:
    digest = blake2b(str(folder).encode("utf-8", "surrogatepass"), digest_size=8)
    for file in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
        if file.is_file():
            digest.update(repr((str(file), file.read_bytes())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _make_package(name: str, folder: Path) -> None:
    start = folder / "__init__.py"
    if start.is_file():
        spec = spec_from_file_location(
            name, start, loader=_Loader(name, str(start)), submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    else:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module


class _Loader(SourceFileLoader):
    """Runs a file with an ``import`` of its own, and writes no bytecode beside it."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Say that bytecode can be neither trusted nor kept."""
        raise OSError(path)

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        folder = Path(sys.modules[package].__path__[0])
        path = Path(self.path)
        if not path.resolve().is_relative_to(folder):
            raise refused(path, "it is a link that leads out of its folder: put the file itself there")
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": partial(_import, package, folder)}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules of these packages, and leaves all others to others."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib gives it
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX) or not path:
            return None
        return _spec(fullname, next(iter(path)))


_FINDER: Final = _Finder()


def _spec(fullname: str, folder: str) -> ModuleSpec | None:
    spec = FileFinder(folder, (_Loader, SOURCE_SUFFIXES)).find_spec(fullname)
    return None if spec is None or spec.loader is None else spec  # without a loader, it is but a folder


def _import(
    package: str,
    folder: Path,
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that Python gives them
    locals: Mapping[str, Any] | None = None,  # noqa: A002 - as above
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import for a module of a package, where the files beside it come before what is installed."""
    first = name.partition(".")[0]
    own = level == 0 and first not in sys.stdlib_module_names and _spec(f"{package}.{first}", str(folder))
    if not own:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    if fromlist:
        return builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
    import_module(f"{package}.{name}")
    return sys.modules[f"{package}.{first}"]
