"""``MANIFEST.json``, judged before any of the folder's code runs, and the packages that it requires.

Requirements are written as pip takes them (https://packaging.python.org/specifications/dependency-specifiers). The
package ``packaging`` knows all of it; without it, a name with plain versions is understood, and the rest refused.
"""

from __future__ import annotations

import json
import keyword
import re
import shlex
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, Final

import attrs

from datastoresync.errors import ManifestError
from datastoresync.spelling import misspelt
from datastoresync.syncers.plugin.pydantic1 import requires_shipped

_PLAIN = re.compile(
    r"([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\s*((?:(?:==|!=|<=|>=|<|>)\s*\d+(?:\.\d+)*\s*(?:,\s*|$))*)", re.IGNORECASE
)
_BOUND = re.compile(r"(==|!=|<=|>=|<|>)\s*([\d.]+)")
_RELEASE = re.compile(r"\d+(\.\d+)*")
_COMPARISONS = {"==": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}


def unmet(requirement: str) -> str:
    """Return the reason that a requirement is not met; empty if it is, or if its marker excludes this machine.

    The requirements of its extras must be met, too.

    Raises:
        ValueError: It cannot be parsed, or has an address instead of a version.

    >>> unmet("attrs>=23.1")
    ''
    >>> unmet("attrs>=1000")[:19]
    'attrs>=1000: it is '
    """
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        return _plainly_unmet(requirement)
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        message = f"it is not written as pip takes it ({str(error).splitlines()[0]})"
        raise ValueError(message) from None
    if parsed.url:
        message = "what is at an address has no version to check: write name>=1.2, and install it from there yourself"
        raise ValueError(message)
    return _unmet(parsed, set())


def _unmet(requirement: Any, seen: set[str]) -> str:
    from packaging.requirements import Requirement
    from packaging.version import InvalidVersion, Version

    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        installed = distribution(requirement.name)
    except PackageNotFoundError:
        return f"{requirement}: it is not installed"
    try:
        if not requirement.specifier.contains(Version(installed.version), prereleases=True):
            return f"{requirement}: it is {installed.version} that is installed"
    except InvalidVersion:
        return f"{requirement}: what is installed calls itself {installed.version!r}, which is no version"
    offered = {_canonical(extra) for extra in installed.metadata.get_all("Provides-Extra") or ()}
    for extra in sorted(requirement.extras):
        if _canonical(extra) not in offered:
            return f"{requirement}: {requirement.name} {installed.version} has no extra {extra!r}"
        for text in installed.requires or ():
            part = Requirement(text)
            marker = part.marker
            if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
                continue  # it has nothing to do with the extra
            if f"{installed.name}: {text}" in seen:  # an extra may name itself
                continue
            seen.add(f"{installed.name}: {text}")
            part.marker = None
            if reason := _unmet(part, seen):
                return f"{requirement} needs {reason}"
    return ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _plainly_unmet(requirement: str) -> str:
    read = _PLAIN.fullmatch(requirement.strip())
    if read is None:
        message = "only name>=1.2,<3 is understood here: pip install packaging, which understands the rest"
        raise ValueError(message)
    try:
        version = distribution(read[1]).version
    except PackageNotFoundError:
        return f"{requirement}: it is not installed"
    bounds = _BOUND.findall(read[2])
    if bounds and not _RELEASE.fullmatch(version):
        message = f"it is {version} that is installed, which only packaging can compare: pip install packaging"
        raise ValueError(message)
    if all(_COMPARISONS[sign](_release(version), _release(bound)) for sign, bound in bounds):
        return ""
    return f"{requirement}: it is {version} that is installed"


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version without the zeros at its end: 1.0 is 1."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


MANIFEST: Final = "MANIFEST.json"
CODE: Final = "syncer.py"
_KEYS: Final = ("name", "syncer_class", "requirements")
_NAME = re.compile(r"[\w-]+([ .][\w-]+)*")
_PIP_OPTIONS: Final = ("--no-deps", "--upgrade", "--no-cache-dir", "--prefer-binary", "--quiet")
"""Options of pip that may stand among the requirements: they say how to install, and nothing of what, or from where."""
_EXAMPLE: Final = '{"name": "mine", "syncer_class": "Mine", "requirements": []}'


@attrs.frozen
class Manifest:
    """The content of a manifest.

    Args:
        folder: Its folder, which also holds ``syncer.py``.
        name: The name of the syncer.
        syncer_class: The class in ``syncer.py``.
        requirements: The packages that it needs, as pip takes them.
        pydantic1: Whether one of them is met by the pydantic 1 that pydantic 2 brings, and by that alone.
    """

    folder: Path
    name: str
    syncer_class: str
    requirements: tuple[str, ...] = ()
    pydantic1: bool = False


def refused(path: Path, reason: str) -> ManifestError:
    """Return the error that a file is refused for a reason."""
    return ManifestError(f"{path}: {reason}", path=str(path))


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a folder, without running any code.

    Keys other than the three are comments, unless one looks like a misspelling of them.

    Raises:
        ManifestError: There is no such folder, manifest or ``syncer.py``, or the manifest is wrong.
    """
    if not folder.is_dir():
        raise refused(folder, f"there is no such folder: it must hold {MANIFEST} and {CODE}")
    path = inside(folder, MANIFEST)
    content = read_json(path)
    if not isinstance(content, dict):
        raise refused(path, f"it holds a {type(content).__name__}, and must be an object: {_EXAMPLE}")
    for key in content:
        if key not in _KEYS and (near := misspelt(key, _KEYS)):
            raise refused(path, f"there is no key {key!r}: did you mean {near!r}?")
    name = _text(path, content, "name")
    if not _NAME.fullmatch(name):
        raise refused(path, f"the name {name!r} is not a plain name: write letters, digits, - and _, and no path")
    syncer_class = _text(path, content, "syncer_class")
    if not syncer_class.isidentifier() or keyword.iskeyword(syncer_class):
        raise refused(
            path,
            f"the syncer_class {syncer_class!r} is not the name of a class: write that of one in {CODE}, no path",
        )
    manifest = Manifest(folder, name, syncer_class, *_requirements(path, content.get("requirements")))
    inside(folder, CODE)
    return manifest


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file, which must be in the folder, even if it is a link."""
    path = folder / name
    if not path.is_file():
        others = [each.name for each in folder.iterdir() if each.name.lower() == name.lower()]
        hint = f"{others[0]} must be spelled so" if others else f"the folder must hold {MANIFEST} and {CODE}"
        raise refused(path, f"there is no such file: {hint}")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise refused(path, "it is a link that leads out of its folder: put the file itself there")
    return path


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ManifestError: It cannot be read, is not JSON in UTF-8, or has a key twice in one object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise refused(path, f"the key {key!r} stands there twice: leave one out")
            found[key] = value
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except OSError as error:
        raise refused(path, f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise refused(path, f"it is not in UTF-8 (byte {error.start + 1}): save it so") from error
    except json.JSONDecodeError as error:
        raise refused(
            path, f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        ) from error
    except RecursionError as error:
        raise refused(path, "its brackets are too deep to be what it should") from error


def read_toml(path: Path) -> Any:
    """Return the table ``configuration`` of a TOML file; all of it if there is none.

    Raises:
        ManifestError: It cannot be read, or is not TOML in UTF-8.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise refused(path, f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise refused(path, f"it is not TOML in UTF-8: {error}") from error
    return content.get("configuration", content)


def _text(path: Path, content: Mapping[str, Any], key: str) -> str:
    if key not in content:
        raise refused(path, f"it lacks {key!r}: write it like {_EXAMPLE}")
    value = content[key]
    if not isinstance(value, str) or not value:
        raise refused(path, f"{key!r} must be a text (it is {value!r}): write it like {_EXAMPLE}")
    return value


def _requirements(path: Path, requirements: Any) -> tuple[tuple[str, ...], bool]:
    """Return the requirements, and whether the pydantic 1 that pydantic 2 brings is one of them."""
    if requirements is None:
        return (), False
    if not isinstance(requirements, list) or not all(isinstance(each, str) for each in requirements):
        raise refused(
            path, f"'requirements' must be a list of texts, such as [\"package>=1.2\"] (it is {requirements!r})"
        )
    parts = [part for each in requirements for part in re.split(r"\s+(?=--)", each.strip())]
    options = [part for part in parts if part in _PIP_OPTIONS]
    needed = [part for part in parts if part not in _PIP_OPTIONS]
    missing, pydantic1 = [], False
    for each in needed:
        try:
            reason = unmet(each)
        except ValueError as error:
            raise refused(path, f"the requirement {each!r} is not understood: {error}") from error
        if reason and requires_shipped(each):
            pydantic1 = True
        elif reason:
            missing.append((each, reason))
    if missing:
        reasons = "; ".join(reason for _, reason in missing)
        command = f"pip install {shlex.join([*options, *(each for each, _ in missing)])}"
        raise refused(path, f"it requires what is not here: {reasons}. Nothing is installed for you: {command}")
    return tuple(needed), pydantic1
