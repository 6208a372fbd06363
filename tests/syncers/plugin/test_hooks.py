"""Hooks of dataclasses, attrs and pydantic: each is called once, by whoever made the class or by the loader."""

from __future__ import annotations

import pytest

from datastoresync.errors import ManifestError
from datastoresync.syncers import load_syncer, open_syncer

MADE_BY = {
    "dataclass": "from dataclasses import dataclass",
    "pydantic": "from pydantic.dataclasses import dataclass",
    "pydantic 2": "from pydantic import ConfigDict; from pydantic.dataclasses import dataclass",
    "pydantic 1": "from pydantic.v1.dataclasses import dataclass",
    "attrs": "from attrs import define as dataclass",
}
pytest.importorskip("pydantic")

CLASS = """
{importing}

@dataclass
class Store:
    batch: int = 1
    name: str = "store"

    def {hook}(self):
        calls.append(self.batch)

calls = []
class Store(Store):
"""
HOOKS = [
    "__post_init__",
    "__attrs_post_init__",
    "__post_init_post_parse__",
    "__post_init__post_parse__",
    "__finalize__",
]


def calls_of(syncer):
    return type(syncer).load.__globals__["calls"]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("made_by", MADE_BY)
@pytest.mark.filterwarnings("ignore:Support for `__post_init_post_parse__`:DeprecationWarning")
def test_every_hook_is_called_once(plugin, made_by, hook):
    folder = plugin(CLASS.format(importing=MADE_BY[made_by], hook=hook))
    assert calls_of(load_syncer(folder, {"batch": 7})) == [7]


@pytest.mark.parametrize("hook", ["model_post_init", *HOOKS])
@pytest.mark.parametrize("module", ["pydantic", "pydantic.v1"])
def test_every_hook_of_a_model_is_called_once(plugin, module, hook):
    code = f"""
    from {module} import BaseModel
    calls = []

    class Store(BaseModel):
        batch: int = 1
        name: str = "store"

        def {hook}(self, *context):
            calls.append(self.batch)
    """
    assert calls_of(load_syncer(plugin(code), {"batch": "7"})) == [7]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_of_a_class_without_a_constructor_is_refused_by_name(plugin, hook):
    folder = plugin(f"class Store:\n    name = 'store'\n    def {hook}(self): self.cnxn = 1\n")
    with pytest.raises(ManifestError, match=f"nothing calls the {hook} of the class Store.*write @"):
        load_syncer(folder)


@pytest.mark.parametrize("hook", ["__post_init__", "__post_init_post_parse__", "__post_init__post_parse__"])
@pytest.mark.parametrize("made_by", [name for name in MADE_BY if name != "attrs"])
@pytest.mark.filterwarnings("ignore:Support for `__post_init_post_parse__`:DeprecationWarning")
def test_a_hook_is_given_the_init_vars_of_its_class(plugin, made_by, hook):
    code = f"""
    from dataclasses import InitVar
    from typing import ClassVar
    {MADE_BY[made_by]}

    calls = []

    @dataclass
    class Store:
        batch: int
        place: InitVar[str]
        rows: InitVar[int] = 5
        name: str = "store"
        kind: ClassVar[str] = "a"

        def {hook}(self, place, rows):
            calls.append((self.batch, place, rows))
    """
    folder = plugin(code)
    assert calls_of(load_syncer(folder, {"batch": 7, "place": "here"})) == [(7, "here", 5)]
    url = f"plugin:{folder}?batch=8&place=there&rows=6"
    assert calls_of(open_syncer(url))[-1] == (8, "there", 6)


def test_a_hook_that_takes_other_arguments_is_refused_by_name(plugin):
    code = """
    from dataclasses import dataclass

    @dataclass
    class Store:
        name: str = "store"
        def __post_init_post_parse__(self, place): ...
    """
    with pytest.raises(ManifestError, match="nothing calls the __post_init_post_parse__ of the class Store with"):
        load_syncer(plugin(code))


@pytest.mark.parametrize("call", ["self.__post_init__()", "self._set_up()", 'getattr(self, "__post_init__")()'])
def test_a_hook_that_the_constructor_calls_is_not_called_again(plugin, call):
    code = f"""
    calls = []

    class Store:
        name = "store"
        def __init__(self):
            {call}
        def _set_up(self):
            self.__post_init__()
        def __post_init__(self):
            calls.append(1)
    """
    assert calls_of(load_syncer(plugin(code))) == [1]


def test_a_hook_that_another_method_calls_later_is_called(plugin):
    code = """
    calls = []

    class Store:
        name = "store"
        def __init__(self): self.ready = True
        def reset(self): self.__post_init__()
        def __post_init__(self): calls.append(self.ready)
    """
    assert calls_of(load_syncer(plugin(code))) == [True]


def test_an_error_of_a_hook_names_its_line(plugin):
    code = """
    from pydantic.dataclasses import dataclass

    @dataclass
    class Store:
        password: str
        name: str = "store"
        def __post_init__post_parse__(self):
            raise ValueError("no, " + self.password)
    """
    with pytest.raises(ManifestError, match=r"syncer.py:9: ValueError: no, \*\*\*$"):
        load_syncer(plugin(code), {"password": "hunter2"})


@pytest.mark.parametrize("decorated", ["@dataclass", "@dataclass(config={'strict': True})"])
def test_validators_of_pydantic_are_called(plugin, decorated):
    code = f"""
    from pydantic import field_validator
    from pydantic.dataclasses import dataclass

    {decorated}
    class Store:
        batch: int
        name: str = "store"

        @field_validator("batch")
        @classmethod
        def positive(cls, batch):
            if batch < 1:
                raise ValueError("batch is less than 1")
            return batch
    """
    folder = plugin(code)
    assert load_syncer(folder, {"batch": 7}).batch == 7
    with pytest.raises(ManifestError, match="batch is less than 1"):
        load_syncer(folder, {"batch": 0})
