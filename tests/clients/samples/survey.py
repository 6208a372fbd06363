"""Looks at the clients of diffsync under one implementation, and prints what it found as JSON.

    python survey.py theirs|ours|ours-old [PACKAGE ...]

The JSON has `modules` (each module that imports diffsync, with null or the error of its import), `models` (each class
of models in them, with what an object of made-up values answers, or the error) and `syncs` (what the pairs of
`pairs.py` log, say and hold).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import re
import sys
import traceback
import types
import typing
import warnings
from pathlib import Path

import shim
import stubs

PACKAGES = ("infrahub_sync", "nautobot_ssot", "network_importer")
# Not installed, as most of them are large or need a server: Nautobot, Django, and the APIs of devices.
STUBBED = (  # noqa: SIM905 - one name a line would be fifty lines
    "arista celery cisco_sdwan cloudvision constance cvprac django django_filters django_tables2 dnacentersdk dns "
    "drf_spectacular filelock fsspec genie google graphene_django grpc ijson infrahub_sdk ipfabric magic "
    "markdown meraki napalm nautobot netmiko nornir nornir_napalm nornir_netmiko nornir_utils ntc_templates oauthlib "
    "parameterized prometheus_client pyarrow pyats pybatfish pynautobot pynetbox pytz requests_oauthlib "
    "rest_framework rich six slurpit taggit termcolor timezone_field"
).split()


def prepare(implementation):
    """Make the clients' modules importable."""
    warnings.simplefilter("ignore")
    stubs.install(STUBBED)
    if implementation != "theirs":
        shim.install(old=implementation == "ours-old")
    import pydantic
    import pydantic.v1

    pydantic.BaseSettings = pydantic.v1.BaseSettings  # network-importer has its settings under pydantic 1
    settings = importlib.import_module("django.conf")
    settings.settings = types.SimpleNamespace(
        PLUGINS_CONFIG={"nautobot_ssot": {}}, INSTALLED_APPS=[], PLUGINS=[], DATABASES={}
    )


def modules(packages):
    """Yield the names of the modules that import diffsync."""
    for package in packages:
        folder = Path(importlib.util.find_spec(package).origin).parent
        for path in sorted(folder.rglob("*.py")):
            if re.search(r"^\s*(from|import) diffsync", path.read_text(), re.MULTILINE):
                name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
                yield name.removesuffix(".__init__")


def error_of(error):
    """Return an error as a line that says where it comes from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def imported(packages):
    """Return for each module its error, or None."""
    found = {}
    for name in modules(packages):
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - a client may also exit
            found[name] = error_of(error)
        else:
            found[name] = None
    return found


def made_up(annotation):
    """Return a value that fits the annotation."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return made_up(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return None if type(None) in arguments else made_up(arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if typing.is_typeddict(annotation):
        return {name: made_up(of) for name, of in typing.get_type_hints(annotation).items()}
    import datetime
    import uuid

    known = {
        str: "x", int: 1, float: 1.5, bool: True, uuid.UUID: uuid.UUID(int=1), datetime.date: datetime.date(2026, 1, 2),
        datetime.datetime: datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
    }  # fmt: skip
    if annotation in known:
        return known[annotation]
    if origin in (list, dict, set, tuple) or annotation in (list, dict, set, tuple):
        return (origin or annotation)()
    return "x"


def models(packages):
    """Return for each class of models what an object of it answers."""
    import diffsync

    found = {}
    waiting = [diffsync.DiffSyncModel]
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            if model.__module__.partition(".")[0] in packages:
                found[f"{model.__module__}.{model.__qualname__}"] = answers(model)
    return found


def needed(model):
    """Yield the names and annotations of the fields that an object is given: those without a default, and the key's."""
    if hasattr(model, "model_fields"):
        for name, field in model.model_fields.items():
            if field.is_required() or name in model._identifiers:
                yield name, field.annotation
    else:  # pydantic 1
        for name, field in model.__fields__.items():
            if field.required or name in model._identifiers:
                yield name, field.annotation


def answers(model):
    """Return what an object of made-up values answers."""
    try:
        values = {name: made_up(annotation) for name, annotation in needed(model)}
        one = model(**values)
        told = {
            "identifiers": one.get_identifiers(),
            "attributes": one.get_attrs(),
            "unique_id": one.get_unique_id(),
            "shortname": one.get_shortname(),
            "type": one.get_type(),
            "str": str(one),
            "dict": one.dict(),
            "text": one.str(),
            **({"dump": one.model_dump(mode="json", exclude={"adapter"})} if hasattr(one, "model_dump") else {}),
            "fields": sorted(getattr(model, "model_fields", None) or model.__fields__),
        }
        return json.loads(json.dumps(told, default=str))
    except Exception as error:  # noqa: BLE001 - it is told
        return error_of(error)


def syncs(packages):
    """Return what each pair of adapters says, or its error."""
    import pairs

    found = {}
    for package in packages:
        for pair in pairs.PAIRS[package]:
            try:
                found[pair.__name__] = json.loads(json.dumps(pair(), default=str))
            except Exception as error:  # noqa: BLE001 - it is told
                found[pair.__name__] = error_of(error)
    return found


def main(implementation, packages):
    """Print what is found."""
    prepare(implementation)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        found = {"modules": imported(packages), "models": models(packages), "syncs": syncs(packages)}
    json.dump(found, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or PACKAGES)
