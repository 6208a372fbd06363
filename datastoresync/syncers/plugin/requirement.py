"""Is an installed package the one that is asked for? Nothing is ever installed here.

Requirements are written as pip takes them (https://packaging.python.org/specifications/dependency-specifiers). The
package ``packaging`` knows all of it; without it, a name with plain versions is understood, and the rest refused.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from operator import eq, ge, gt, le, lt, ne
from typing import Any

__all__ = ["unmet"]

_PLAIN = re.compile(
    r"([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\s*((?:(?:==|!=|<=|>=|<|>)\s*\d+(?:\.\d+)*\s*(?:,\s*|$))*)", re.IGNORECASE
)
_BOUND = re.compile(r"(==|!=|<=|>=|<|>)\s*([\d.]+)")
_RELEASE = re.compile(r"\d+(\.\d+)*")
_COMPARISONS = {"==": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}


def unmet(requirement: str) -> str:
    """Say why a requirement is not met, or nothing: it is, or its marker says that it is not meant for this machine.

    The requirements of the extras that it names must be met too.

    Raises:
        ValueError: It cannot be read, or gives an address instead of a version.

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
        found = distribution(requirement.name)
    except PackageNotFoundError:
        return f"{requirement}: it is not installed"
    try:
        if not requirement.specifier.contains(Version(found.version), prereleases=True):
            return f"{requirement}: it is {found.version} that is installed"
    except InvalidVersion:
        return f"{requirement}: what is installed calls itself {found.version!r}, which is no version"
    offered = {_canonical(extra) for extra in found.metadata.get_all("Provides-Extra") or ()}
    for extra in sorted(requirement.extras):
        if _canonical(extra) not in offered:
            return f"{requirement}: {requirement.name} {found.version} has no extra {extra!r}"
        for text in found.requires or ():
            part = Requirement(text)
            marker = part.marker
            if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
                continue  # it has nothing to do with the extra
            if f"{found.name}: {text}" in seen:  # an extra may name itself
                continue
            seen.add(f"{found.name}: {text}")
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
