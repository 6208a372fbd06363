"""Folders that are written for pydantic 1: they get ``pydantic.v1``, which pydantic 2 brings, as their ``pydantic``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate, chain
from pathlib import Path
from typing import Final

_ONLY_1: Final = frozenset(
    {
        "BaseConfig",
        "BaseSettings",
        "ErrorWrapper",
        "GenericModel",
        "ModelField",
        "__post_init__post_parse__",
        "__post_init_post_parse__",
        "parse_obj_as",
        "root_validator",
        "validate_arguments",
        "validator",
    }
)
_ONLY_2: Final = frozenset(
    {
        "AfterValidator",
        "BeforeValidator",
        "ConfigDict",
        "RootModel",
        "TypeAdapter",
        "ValidationInfo",
        "computed_field",
        "cs_tools.sync.base",
        "field_serializer",
        "field_validator",
        "model_config",
        "model_construct",
        "model_copy",
        "model_dump",
        "model_dump_json",
        "model_fields",
        "model_post_init",
        "model_rebuild",
        "model_serializer",
        "model_validate",
        "model_validate_json",
        "model_validator",
        "pydantic.v1",
        "pydantic_core",
        "pydantic_settings",
    }
)
"""The names that are in one of the two only, or are passed over by the other."""
_ARGUMENTS_1: Final = frozenset({"allow_mutation", "max_items", "min_items", "regex", "unique_items"})
_ARGUMENTS_2: Final = frozenset({"json_schema_extra", "pattern", "serialization_alias", "validation_alias"})
"""The names of arguments of one of the two only. Pydantic 1 takes any others, and does nothing with them."""


def shipped_version() -> str:
    """Return the version of the pydantic 1 that the installed pydantic 2 brings; empty if there is none."""
    with suppress(PackageNotFoundError):
        # What pydantic.v1 is made of has changed in Python 3.14.
        if version("pydantic").startswith("2.") and sys.version_info < (3, 14):
            from pydantic.v1 import VERSION

            return VERSION
    return ""


def requires_shipped(requirement: str) -> bool:
    """Say whether a requirement, which the installed pydantic 2 does not meet, is met by the pydantic 1 in it."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False
    parsed = Requirement(requirement)
    plain = parsed.name.lower() == "pydantic" and not parsed.extras
    return plain and bool(shipped := shipped_version()) and parsed.specifier.contains(shipped)


def is_written_for_1(files: Iterable[Path]) -> bool:
    """Say whether code uses what only pydantic 1 has, and nothing that only pydantic 2 has.

    A file that cannot be parsed says nothing; whoever runs it is told.
    """
    found: set[str] = set()
    for file in files:
        with suppress(SyntaxError, ValueError):
            code = file.read_bytes()
            found.update(_names(ast.parse(code)) if b"pydantic" in code else ())
    return bool(found & _ONLY_1 and not found & _ONLY_2 and shipped_version())


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that code imports, defines or uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from accumulate((node.module or "").split("."), "{}.{}".format)
            yield from (name for alias in node.names for name in (alias.name, f"{node.module}.{alias.name}"))
        elif isinstance(node, ast.Import):
            yield from chain.from_iterable(accumulate(alias.name.split("."), "{}.{}".format) for alias in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in _ARGUMENTS_1 | _ARGUMENTS_2:
            yield "validator" if node.arg in _ARGUMENTS_1 else "field_validator"
