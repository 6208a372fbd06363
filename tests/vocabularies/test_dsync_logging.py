"""What the dsync vocabulary logs, through structlog and without it; and the modules' names."""

from __future__ import annotations

import importlib
import logging
import sys

import pytest
import structlog

from datastoresync.errors import MissingDependencyError
from datastoresync.masking import MASK
from datastoresync.vocabularies.dsync import Adapter, Diff, DiffSyncFlags, DiffSyncModel
from datastoresync.vocabularies.dsync.logging import StandardLogger, enable_console_logging, get_logger


class Account(DiffSyncModel):
    _modelname = "account"
    _identifiers = ("name",)
    _attributes = ("password", "size")
    _sensitive = ("password",)
    name: str
    password: str
    size: int = 0


class Accounts(Adapter):
    account = Account
    top_level = ["account"]

    def sync_complete(self, source, diff, flags=DiffSyncFlags.NONE, logger=None):
        logger.bind(kind="end").info("written", count=len(diff))


def synced(**options):
    there, here = Accounts("there"), Accounts("here")
    for adapter, password in ((there, "new-secret"), (here, "old-secret")):
        adapter.add(Account(name="ann", password=password))
        adapter.add(Account(name="bob", password="same"))
    here.sync_from(there, **options)
    return there, here


def test_each_step_is_logged_with_what_it_is_about(events):
    there, here = synced(flags=DiffSyncFlags.LOG_UNCHANGED_RECORDS)
    about = {"src": there, "dst": here, "flags": DiffSyncFlags.LOG_UNCHANGED_RECORDS}
    ann = {
        "action": "update",
        "model": "account",
        "unique_id": "ann",
        "diffs": {"-": {"password": MASK}, "+": {"password": MASK}},
    }
    bob = {"action": None, "model": "account", "unique_id": "bob", "diffs": {"-": {}, "+": {}}}
    said = [
        ("Diff calculation between these two datasets will involve 4 models", "debug", {}),
        ("Beginning diff calculation", "info", {}),
        ("Diff calculation complete", "info", {}),
        ("Beginning sync", "info", {}),
        ("Attempting model update", "debug", ann),
        ("Updated successfully", "info", {**ann, "status": "success"}),
        ("No changes to apply; no action needed", "debug", {**bob, "status": "success"}),
        ("Sync complete", "info", {}),
        ("written", "info", {"kind": "end", "count": 2}),
    ]
    assert events == [{**about, **more, "event": event, "log_level": level} for event, level, more in said]


def test_without_structlog_the_standard_library_hears_the_same(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "structlog", None)
    with caplog.at_level("DEBUG", "datastoresync"):
        synced()
    assert [record.structured["event"] for record in caplog.records][-4:] == [
        "Attempting model update",
        "Updated successfully",
        "Sync complete",
        "written",
    ]
    assert "secret" not in caplog.text
    assert "status='success'" in caplog.text
    assert caplog.records[-1].getMessage().endswith("kind='end' count=2")


def test_a_standard_logger_has_the_calls_of_structlog(caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "structlog", None)
    logger = get_logger().new(a=1).bind(b=2).unbind("a")
    assert isinstance(logger, StandardLogger)
    with pytest.raises(KeyError):
        logger.unbind("a")
    with caplog.at_level("DEBUG", "datastoresync"):
        for level in ("debug", "info", "warning", "warn", "error", "critical"):
            getattr(logger, level)("%s done", level, c="x")
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            logger.exception("failed")
        logger.log(logging.INFO, "100 %")
    assert [record.getMessage() for record in caplog.records[:2]] == ["debug done b=2 c='x'", "info done b=2 c='x'"]
    levels = [record.levelname for record in caplog.records]
    assert levels == ["DEBUG", "INFO", "WARNING", "WARNING", "ERROR", "CRITICAL", "ERROR", "INFO"]
    assert (caplog.records[6].exc_info[0], caplog.records[7].getMessage()) == (ZeroDivisionError, "100 % b=2")


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize(("verbosity", "level"), [(0, "WARNING"), (1, "INFO"), (2, "DEBUG"), (9, "DEBUG")])
def test_the_console_shows_more_on_request(monkeypatch, verbosity, level, installed):
    before, given = structlog.get_config(), {}
    monkeypatch.setattr(logging, "basicConfig", lambda **options: given.update(options))
    if not installed:
        monkeypatch.setitem(sys.modules, "structlog", None)
    try:
        enable_console_logging(verbosity)
        assert given["level"] == getattr(logging, level)
        assert (structlog.get_config()["logger_factory"] is not before["logger_factory"]) == installed
    finally:
        structlog.configure(**before)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("diff", "Diff DiffElement"),
        ("enum", "DiffSyncActions DiffSyncFlags DiffSyncModelFlags DiffSyncStatus"),
        ("exceptions", "DiffClassMismatch DiffException ObjectCrudException ObjectNotFound ObjectStoreException"),
        ("helpers", "DiffSyncDiffer DiffSyncSyncer"),
        ("logging", "enable_console_logging"),
        ("store", "BaseStore"),
        ("store.local", "LocalStore"),
        ("utils", "OrderedDefaultDict get_path intersection set_key symmetric_difference tree_string"),
    ],
)
def test_modules_have_the_names_of_diffsync(module, names):
    ours, theirs = (
        importlib.import_module(f"{root}.{module}") for root in ("datastoresync.vocabularies.dsync", "diffsync")
    )
    assert all(hasattr(one, name) for one in (ours, theirs) for name in names.split())


def test_a_redis_store_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "datastoresync.vocabularies.dsync.store.redis", raising=False)
    with pytest.raises(MissingDependencyError, match=r'pip install "datastoresync\[redis\]"'):
        importlib.import_module("datastoresync.vocabularies.dsync.store.redis")


def test_a_diff_hears_of_each_element_and_may_leave_some_out():
    heard = []

    class Own(Diff):
        def add(self, element):
            heard.append(element.name)
            super().add(element)

        def order_children_account(self, children):
            yield from (element for name, element in children.items() if name != "bob")

    there, here = Accounts("there"), Accounts("here")
    for name in ("cid", "bob", "ann"):
        there.add(Account(name=name, password="x"))
    diff = here.sync_from(there, diff_class=Own)
    assert heard == ["cid", "bob", "ann"]
    assert (len(diff), list(diff.dict()["account"]), diff.summary()["create"]) == (2, ["cid", "ann"], 2)
    assert [account.name for account in here.get_all("account")] == ["cid", "ann"]
    element = diff.children["account"]["cid"]
    assert element.get_attrs_keys() == {"password": 0, "size": 0}.keys()


def test_helpers_for_nested_dictionaries():
    from datastoresync.vocabularies.dsync import utils

    data = {}
    utils.set_key(data, ["a", "b", "c"])
    utils.set_key(data, ["a", "d"])
    assert data == {"a": {"b": {"c": {}}, "d": {}}}
    assert (utils.get_path(data, "c"), utils.get_path(data, "x")) == (["a", "b", "c"], None)
    made = utils.OrderedDefaultDict(list)
    made["x"].append(1)
    assert dict(made) == {"x": [1]}
