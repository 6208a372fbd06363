"""Options in URLs: converted by the annotation of the parameter they go to, or refused by its name and type."""

from __future__ import annotations

import enum
import os
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NewType, Optional, Union

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers import open_syncer
from datastoresync.syncers.options import converted_options

Count = NewType("Count", int)


class Colour(enum.Enum):
    RED = "r"
    BLUE = 2


def taking(annotation, default=...):
    """Return a function with one parameter of this annotation."""
    if default is ...:

        def target(option): ...

    else:

        def target(option=default): ...

    if annotation is not None:
        target.__annotations__["option"] = annotation
    return target


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "50", 50),
        (bool, "false", False),
        (bool, "no", False),
        (bool, "1", True),
        (float, "2.5", 2.5),
        (Decimal, "2.50", Decimal("2.50")),
        (str, "false", "false"),
        (Any, "false", "false"),
        (object, "50", "50"),
        (Path, "a/b", Path("a/b")),
        (os.PathLike, "a/b", Path("a/b")),
        (str | os.PathLike[str], "a/b", Path("a/b")),
        (int | None, "7", 7),
        (int | None, "", None),
        (str | None, "", ""),
        (Optional[bool], "off", False),  # noqa: UP045 - as older code has it
        (bool | str, "false", False),
        (str | bool, "false", False),
        (str | bool, "maybe", "maybe"),
        (int | str, "7", 7),
        (Union[int, list[str]], "a,b", ["a", "b"]),  # noqa: UP007 - as above
        (list[int], "1, 2,3", [1, 2, 3]),
        (list, "a,b", ["a", "b"]),
        (list[str], "", []),
        (set[int], "1,2", {1, 2}),
        (frozenset[str], "a", frozenset("a")),
        (tuple[int, str], "1,x", (1, "x")),
        (tuple[int, ...], "1,2,3", (1, 2, 3)),
        (Literal["keep", "escape"], "keep", "keep"),
        (Literal[1, 2], "2", 2),
        (Colour, "r", Colour.RED),
        (Colour, "BLUE", Colour.BLUE),
        (Annotated[int, "a count"], "7", 7),
        (Final[bool], "false", False),
        (Count, "7", 7),
        (InitVar[int], "7", 7),
        ("int | None", "7", 7),
        ("Literal['a', 1]", "1", 1),
    ],
)
def test_a_text_becomes_what_is_declared(annotation, text, value):
    found = converted_options(taking(annotation), {"option": text})["option"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "says"),
    [
        (int, "fifty", r"an option 'option' of type int \(got 'fifty'"),
        (bool, "maybe", "of type bool"),
        (bool, "", "of type bool"),
        (list[int], "1,x", r"of type list\[int\] .*'x' is not an int"),
        (tuple[int, str], "1", "it has 1 values instead of 2"),
        (Literal["a"], "b", r"of type Literal\['a'\]"),
        (Colour, "green", "of type Colour"),
        (int | None, "x", r"of type int \| None"),
        (dict[str, int], "a", r"of type dict\[str, int\], which a URL cannot give"),
        (attrs.Attribute, "a", "of type Attribute, which a URL cannot give"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name_and_type(annotation, text, says):
    with pytest.raises(ValueError, match=says):
        converted_options(taking(annotation), {"option": text})


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [(False, "false", False), (1, "7", 7), (0.5, "7", 7.0), ("x", "false", "false"), (None, "7", "7"), (..., "7", "7")],
)
def test_without_an_annotation_the_default_tells(default, text, value):
    assert converted_options(taking(None, default), {"option": text}) == {"option": value}


@given(st.text())
def test_no_text_is_taken_for_another_truth(text):
    try:
        value = converted_options(taking(bool), {"option": text})["option"]
    except ValueError:
        return
    assert value is (text.lower() in ("true", "t", "yes", "y", "on", "1"))


def test_a_secret_that_is_refused_is_not_shown():
    def target(token: int): ...

    with pytest.raises(ValueError, match=r"an option 'token' of type int \(got \*\*\*\)$"):
        converted_options(target, {"token": "hunter2"})


def test_an_annotation_that_is_not_there_is_said():
    with pytest.raises(DeclarationError, match="annotation 'Nowhere' of 'option' cannot be found where it stands"):
        converted_options(taking("Nowhere"), {"option": "1"})


@dataclass
class Base:
    batch: int = 1
    tags: list[str] = field(default_factory=list)


@attrs.define
class Frozen:
    _batch: int = 1
    ratio: float = attrs.field(default=1.0, kw_only=True)


def test_classes_of_dataclasses_and_attrs_and_their_children_are_read():
    assert converted_options(type("Child", (Base,), {}), {"batch": "7", "tags": "a"}) == {"batch": 7, "tags": ["a"]}
    assert converted_options(Frozen, {"batch": "7", "ratio": "0.5"}) == {"batch": 7, "ratio": 0.5}


# --- through open_syncer -------------------------------------------------------------------------------------------


def test_options_of_built_in_stores_are_converted(tmp_path):
    assert open_syncer(f"csv:{tmp_path}?formulas=keep&delimiter=;").formulas == "keep"
    with pytest.raises(SyncerError, match="csv: has an option 'formulas' of type Literal"):
        open_syncer(f"csv:{tmp_path}?formulas=false")


def test_options_of_plugins_are_converted_and_those_beside_the_url_are_not(plugin):
    code = """
    from __future__ import annotations
    from dataclasses import dataclass
    from pathlib import Path

    @dataclass
    class Store:
        batch: int = 1
        truncate: bool = True
        place: Path | None = None
        name: str = "store"
    """
    folder = plugin(code)
    store = open_syncer(f"plugin:{folder}?batch=50&truncate=false&place=x", name="other")
    assert (store.batch, store.truncate, store.place, store.name) == (50, False, Path("x"), "other")
    assert open_syncer(f"plugin:{folder}", truncate="false").truncate == "false"
    with pytest.raises(SyncerError, match=r"syncer.py: the class Store has an option 'batch' of type int \(got 'x'"):
        open_syncer(f"plugin:{folder}?batch=x")
    with pytest.raises(SyncerError, match="no option 'truncat': did you mean 'truncate'"):
        open_syncer(f"plugin:{folder}?truncat=false")


@pytest.mark.parametrize("module", ["pydantic", "pydantic.v1"])
def test_types_of_pydantic_are_left_to_it(plugin, module):
    pytest.importorskip(module)
    code = f"""
    from {module} import BaseModel, SecretStr

    class Store(BaseModel):
        key: SecretStr
        batch: int = 1
        truncate: bool = True
        name: str = "store"
    """
    store = open_syncer(f"plugin:{plugin(code)}?key=hunter2&batch=7&truncate=false")
    assert (store.key.get_secret_value(), store.batch, store.truncate) == ("hunter2", 7, False)


def test_a_function_of_a_package_is_read_too(tmp_path):
    with pytest.raises(SyncerError, match="xlsx: has no option 'truncate'"):
        open_syncer(f"xlsx:{tmp_path}/x.xlsx?truncate=false")
