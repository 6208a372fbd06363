"""A syncer of your own: a folder with ``MANIFEST.json`` and ``syncer.py``, imported as a package of its own.

The name of the package contains a digest of the folder, so that two folders of one name, or two versions of one folder,
are different packages. ``import util`` in its modules means the file next to them, if there is one; ``sys.path`` stays
as it is.
"""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from datastoresync.errors import DatastoreSyncError, DeclarationError, ManifestError, SyncerError
from datastoresync.masking import Secrets, hidden, masked, plain, secrets_in, without_frames
from datastoresync.spelling import nearest
from datastoresync.syncers.options import (
    cause_without_secrets,
    converted_options,
    error_text,
    option_fault,
    parameters_of,
)
from datastoresync.syncers.plugin.hooks import call_hooks, fault_of_hooks
from datastoresync.syncers.plugin.manifest import CODE, Manifest, read_json, read_manifest, read_toml, refused
from datastoresync.syncers.plugin.pydantic1 import is_written_for_1
from datastoresync.syncers.protocol import Syncer, fault_of

if TYPE_CHECKING:
    import sqlalchemy


_PREFIX: Final = "datastoresync_plugin_"
_PYDANTIC_1: Final = "__pydantic1__"
"""The name in a package that says whether ``import pydantic`` in it means ``pydantic.v1``."""


def import_code(folder: Path, name: str, *, pydantic1: bool = False) -> ModuleType:
    """Return the module ``syncer`` of a folder; it runs once, and again after a file in the folder changed.

    Args:
        folder: The folder of ``syncer.py``.
        name: The readable part of the name of the package.
        pydantic1: Whether it requires pydantic 1; what is written in its words gets it in any case.

    Raises:
        ManifestError: A file is a link that leads out of the folder.
        Exception: Any error that the code raises.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    resolved = folder.resolve()
    readable = re.sub(r"\W", "_", name)
    package = f"{_PREFIX}{readable}_{_digest(resolved)}{'_1' * pydantic1}"
    try:
        if package not in sys.modules:
            _make_package(package, resolved, pydantic1=pydantic1 or is_written_for_1(_files(resolved)))
        return import_module(f"{package}.syncer")
    except BaseException:
        for each in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            del sys.modules[each]
        raise


def _digest(folder: Path) -> str:
    digest = blake2b(str(folder).encode("utf-8", "surrogatepass"), digest_size=8)
    for file in _files(folder):
        digest.update(repr((str(file), file.read_bytes())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in [*folder.glob("*.py"), *folder.glob("*/*.py")] if file.is_file())


def _make_package(name: str, folder: Path, *, pydantic1: bool) -> None:
    start = folder / "__init__.py"
    if start.is_file():
        spec = spec_from_file_location(
            name, start, loader=_Loader(name, str(start)), submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        module.__dict__[_PYDANTIC_1] = pydantic1
        sys.modules[name] = module
        spec.loader.exec_module(module)
    else:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        module.__dict__[_PYDANTIC_1] = pydantic1
        sys.modules[name] = module


class _Loader(SourceFileLoader):
    """Runs a file with an ``import`` of its own, and writes no bytecode."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Raise, so that bytecode is neither read nor written."""
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
    """Finds the modules of these packages only."""

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
    """Import for a module of a package, where the files next to it come before installed packages."""
    first = name.partition(".")[0]
    own = level == 0 and first not in sys.stdlib_module_names and _spec(f"{package}.{first}", str(folder))
    if not own and first == "cs_tools" and level == 0 and find_spec(first) is None:
        return import_module("datastoresync.syncers.plugin.cs_tools")
    if not own and first == "pydantic" and level == 0 and vars(sys.modules[package]).get(_PYDANTIC_1):
        found = builtins.__import__(f"pydantic.v1{name.removeprefix(first)}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules["pydantic.v1"]
    if not own:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    if fromlist:
        return builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
    import_module(f"{package}.{name}")
    return sys.modules[f"{package}.{first}"]


def load_syncer(
    folder: str | os.PathLike[str],
    configuration: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    metadata: sqlalchemy.MetaData | None = None,
) -> Any:
    """Create the syncer that a folder describes.

    ``MANIFEST.json`` has its ``name``, its ``syncer_class`` and the ``requirements``, which are checked, never
    installed. The code in ``syncer.py`` may import the files next to it, as ``import util`` or ``from . import util``;
    those of its own folder come first.

    A class with a true ``__is_database__`` has a ``cnxn``, an engine or a connection of SQLAlchemy: before its first
    use, the tables in ``metadata`` are created there, and committed.

    Args:
        folder: The folder of the syncer.
        configuration: The arguments of the class by name, or the path of a JSON file with them, or of a TOML file
            with them in its table ``configuration``. A required ``name`` that is not among them is the manifest's.
        metadata: The tables to create in a database; other stores need none.

    Returns:
        An instance of the class, which is a `Syncer`.

    Raises:
        ManifestError: The manifest, the class or the configuration is wrong, a requirement is not met, or the code
            raised; ``path`` is the file to look into.
        SyncerError: The tables could not be created.
    """
    configuration = hidden(configuration) if isinstance(configuration, dict) else configuration
    try:
        return _load(read_manifest(Path(folder)), {}, _options(configuration), metadata)
    except DatastoreSyncError as error:
        raise without_frames(error)  # noqa: B904 - its own cause, without the frames that hold the options


def open_folder(path: str, texts: Mapping[str, str], options: Mapping[str, Any]) -> Any:
    """Create the syncer of a folder as `load_syncer` does, with options of a URL, which are texts, and others.

    Args:
        path: The folder.
        texts: The options of the URL; each is converted by the annotation of its parameter.
        options: Further options. ``metadata`` are the tables to create in a database, and reach the class if it has a
            parameter of this name.

    Raises:
        ManifestError: As for `load_syncer`, or a text cannot be converted.
        SyncerError: The tables could not be created.
    """
    try:
        return _load(read_manifest(Path(path)), texts, dict(options), None)
    except DatastoreSyncError as error:
        raise without_frames(error)  # noqa: B904 - as above


def _load(manifest: Manifest, texts: Mapping[str, str], options: dict[str, Any], metadata: Any) -> Any:
    code = manifest.folder / CODE
    options = hidden(options)
    secrets = secrets_in({**options, **texts})
    kind = checked_class(manifest, secrets)
    parameters = parameters_of(kind)
    if parameters is None or "metadata" in parameters:
        metadata = options.get("metadata") if metadata is None else options.setdefault("metadata", metadata)
    elif metadata is None:
        metadata = options.pop("metadata", None)
    if parameters is not None:
        named = parameters.get("name")
        if named is not None and named.default is named.empty and "name" not in texts:
            options.setdefault("name", manifest.name)
        if _is_database(kind) and "metadata" in parameters and metadata is None:
            metadata = options["metadata"] = _no_tables()
        if fault := option_fault(parameters, {**texts, **options}):
            raise refused(code, f"the class {kind.__name__} {fault}{_hint(kind, {**texts, **options})}")
    try:
        options |= converted_options(kind, texts)
    except ValueError as error:
        raise refused(code, f"the class {kind.__name__} {error}") from None
    options = hidden(options)
    syncer = _run(code, secrets, lambda: call_hooks(kind(**plain(options)), options))
    if not isinstance(syncer, Syncer) or not isinstance(syncer.name, str) or not syncer.name:
        raise refused(code, f"a {kind.__name__} has no name: write name = {manifest.name!r} in the class")
    if getattr(syncer, "__is_database__", False) or _is_database(kind):
        _make_tables(code, syncer, metadata, secrets)
    return syncer


def checked_class(manifest: Manifest, secrets: Secrets | None = None) -> type[Any]:
    """Return the class of a syncer, without an instance of it.

    Args:
        manifest: The manifest that names it.
        secrets: What no message may hold.

    Raises:
        ManifestError: The code raises, or the class is not there or cannot be a syncer.
    """
    kind, code = _class_of(manifest, Secrets() if secrets is None else secrets), manifest.folder / CODE
    if fault := fault_of(kind):
        raise refused(code, f"the class {kind.__name__} {fault}")
    if fault := fault_of_hooks(kind):
        raise refused(code, fault)
    return kind


def _no_tables() -> Any:
    import sqlalchemy

    return sqlalchemy.MetaData()


def _options(configuration: Mapping[str, Any] | str | os.PathLike[str] | None) -> dict[str, Any]:
    if isinstance(configuration, (str, os.PathLike)):
        path = Path(configuration)
        configuration = read_toml(path) if path.suffix.lower() == ".toml" else read_json(path)
        if not isinstance(configuration, Mapping):
            raise refused(path, "it must hold an object: the options of the syncer by name")
    if configuration is not None and not isinstance(configuration, Mapping):
        kind = type(configuration).__name__
        message = (
            f"a configuration is a mapping from the options of the syncer to their values, or a path, not a {kind}"
        )
        raise DeclarationError(message)
    return dict(configuration or {})


# The class -----------------------------------------------------------------------------------------------------------


def _run(code: Path, secrets: Secrets, call: Callable[[], Any]) -> Any:
    """Call code of the plug-in; its errors are raised as ones that name the line."""
    try:
        return call()
    except ManifestError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is raised again, and caused by it unless that tells
        hint = ""
        if type(error).__module__ == "pydantic.errors":
            hint = "; if it is written for pydantic 1, import from pydantic.v1 instead of pydantic"
        if isinstance(error, ModuleNotFoundError):
            hint = "; if that is a package, list it in the manifest's requirements and install it"
        reason = error_text(error, secrets, folder=code.parent.resolve())
        raise refused(code, f"its code raised an error: {reason}{hint}") from cause_without_secrets(error, secrets)


def _class_of(manifest: Manifest, secrets: Secrets) -> type[Any]:
    code = manifest.folder / CODE
    module = _run(code, secrets, lambda: import_code(manifest.folder, manifest.name, pydantic1=manifest.pydantic1))
    kind = getattr(module, manifest.syncer_class, None)
    if isinstance(kind, type):
        return kind
    if kind is not None:
        raise refused(code, f"{manifest.syncer_class} is a {type(kind).__name__}, and must be a class")
    classes = [name for name, each in vars(module).items() if isinstance(each, type)]
    hint = nearest(manifest.syncer_class, classes)
    raise refused(
        code, f"there is no class {manifest.syncer_class!r}, which the manifest names as syncer_class: {hint}"
    )


def _hint(kind: type[Any], options: Mapping[str, Any]) -> str:
    """Return a hint if fields were declared without a constructor."""
    declared = inspect.get_annotations(kind)
    if kind.__init__ is object.__init__ and not dataclasses.is_dataclass(kind) and set(options) & set(declared):
        return " (it declares fields, but makes no constructor of them: write @dataclass above it)"
    return ""


# The tables ----------------------------------------------------------------------------------------------------------


def _is_database(kind: type[Any]) -> bool:
    """Say whether a class says that it is a database, or inherits from cs_tools' base of them, or one of its name."""
    return bool(getattr(kind, "__is_database__", any(base.__name__ == "DatabaseSyncer" for base in kind.__mro__)))


def _make_tables(code: Path, syncer: Any, metadata: Any, secrets: Secrets) -> None:
    kind = type(syncer).__name__
    bind = getattr(syncer, "cnxn", None) or getattr(syncer, "engine", None)
    if bind is None:
        raise refused(
            code,
            f"a {kind} says that it is a database, but has no cnxn: set self.cnxn to an engine or a connection of "
            "SQLAlchemy, in __post_init__ if the class is a @dataclass",
        )
    if metadata is not None and not callable(getattr(metadata, "create_all", None)):
        message = f"metadata must be a sqlalchemy.MetaData with the tables (it is a {type(metadata).__name__})"
        raise DeclarationError(message)
    url = getattr(getattr(bind, "engine", None), "url", None)
    if url is None and metadata is None:
        return  # it is no engine of SQLAlchemy, and nothing is asked of it
    if url is None:
        raise refused(code, f"the cnxn of a {kind} is a {type(bind).__name__}: it must be an engine or a connection")
    password = getattr(url, "password", None)
    secrets = Secrets((*secrets, *secrets_in({"password": password, **getattr(url, "query", {})})))
    from datastoresync.syncers.sql.dump import COMPLETED

    try:
        if metadata is None:
            metadata = _no_tables()
        if not metadata.tables or getattr(metadata, "info", {}).get(COMPLETED):
            # So that what listens to the making of tables is told of those that are there, with all their columns.
            metadata.reflect(bind, extend_existing=True)
        _narrow_listeners(syncer, metadata)
        metadata.create_all(bind)
        if hasattr(bind, "commit"):
            bind.commit()  # a connection would keep them to itself
    except Exception as error:  # noqa: BLE001 - listeners of the plug-in's own run in it, and may raise anything
        from datastoresync.syncers.sql.translate_errors import reason_of

        if hasattr(bind, "rollback"):
            bind.rollback()
        message = f"the tables of {syncer.name} could not be made: {masked(reason_of(error), secrets)}"
        raise SyncerError(message) from None


def _narrow_listeners(syncer: Any, metadata: Any) -> None:
    """Have methods that listen to the making of all tables listen to that of their own, not of other stores'."""
    from sqlalchemy import MetaData, event

    for name in dir(type(syncer)):
        if inspect.isfunction(inspect.getattr_static(type(syncer), name)):
            method = getattr(syncer, name)
            for identifier in ("before_create", "after_create"):
                if event.contains(MetaData, identifier, method):
                    event.remove(MetaData, identifier, method)
                    event.listen(metadata, identifier, method)
