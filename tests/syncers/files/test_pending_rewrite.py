"""What another program saves while a table is rewritten, and what would not be read as it was written."""

from __future__ import annotations

import csv
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Limits, Object, Tree
from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Table, WriteOptions
from datastoresync.syncers.files.csv import CSVSyncer
from datastoresync.syncers.files.excel import ExcelSyncer
from datastoresync.syncers.files.json import JSONLinesSyncer, JSONSyncer
from datastoresync.syncers.files.parquet import ParquetSyncer

ALL = [CSVSyncer, JSONSyncer, JSONLinesSyncer, ParquetSyncer, ExcelSyncer]
T = Table("t")
OLD = [{"id": key, "name": "old"} for key in "123"]


def same(change, attribute, raw, expected):
    return raw == (set(expected) if isinstance(raw, set) else expected)


@pytest.fixture(params=ALL, ids=lambda kind: kind.format)
def kind(request):
    return request.param


def update(key, new="new", old="old"):
    return Change("update", T, ("id",), (key,), {"name": new}, {"name": old})


def saved_while_writing(syncer, monkeypatch, save, times=1):
    """Let another program save something right before the new files are moved into place."""
    from datastoresync.syncers.files import pending_rewrite

    real, count = pending_rewrite.PendingRewrite.check_unchanged, []

    def check(self):
        if len(count) < times:
            count.append(1)
            save()
        real(self)

    monkeypatch.setattr(pending_rewrite.PendingRewrite, "check_unchanged", check)


def other(kind, tmp_path, rows, name="t"):
    """Return what another program has ready to move, or to write, over the file."""
    kind(tmp_path / "other").dump(name, data=rows)
    return tmp_path / "other" / f"{name}{kind.suffixes[0]}"


SAVED = [OLD[0], {"id": "2", "name": "by hand"}, OLD[2], {"id": "9", "name": "added"}]


@pytest.mark.parametrize("how", ["move", "overwrite"])
def test_what_another_program_saves_while_a_table_is_rewritten_is_kept(kind, tmp_path, monkeypatch, how):
    syncer = kind(tmp_path / "folder")
    syncer.dump("t", data=OLD)
    new, target = other(kind, tmp_path, SAVED), tmp_path / "folder" / f"t{kind.suffixes[0]}"
    save = (lambda: new.replace(target)) if how == "move" else (lambda: target.write_bytes(new.read_bytes()))
    saved_while_writing(syncer, monkeypatch, save)
    outcomes = syncer.apply_changes([update("1"), update("2"), Change("delete", T, ("id",), ("3",))], same=same)
    assert [outcome.status for outcome in outcomes] == ["done", "conflict", "done"]
    assert outcomes[1].reason == "changed since the import: name"
    assert syncer.load("t") == [{"id": "1", "name": "new"}, SAVED[1], SAVED[3]]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [target.name]


def test_a_save_of_the_same_size_at_the_same_time_is_seen(tmp_path, monkeypatch):
    syncer, target = CSVSyncer(tmp_path), tmp_path / "t.csv"
    syncer.dump("t", data=OLD)
    status = target.stat()

    def save():
        target.write_text(target.read_text().replace("2,old", "2,OLD"))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    saved_while_writing(syncer, monkeypatch, save)
    outcomes = syncer.apply_changes([update("1"), update("2")], same=same)
    assert [outcome.status for outcome in outcomes] == ["done", "conflict"]
    assert target.read_text() == "id,name\n1,new\n2,OLD\n3,old\n"


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda syncer: syncer.append("t", data=[{"id": "4", "name": "x"}]), [*SAVED, {"id": "4", "name": "x"}]),
        (
            lambda syncer: syncer.upsert("t", data=[{"id": "1", "name": "x"}], key="id"),
            [{"id": "1", "name": "x"}, *SAVED[1:]],
        ),
        (lambda syncer: syncer.delete("t", data=[{"id": "1"}], key="id"), SAVED[1:]),
    ],
    ids=["append", "upsert", "delete"],
)
def test_operations_by_key_keep_it_too(kind, tmp_path, monkeypatch, write, expected):
    syncer = kind(tmp_path / "folder")
    syncer.dump("t", data=OLD)
    new, target = other(kind, tmp_path, SAVED), tmp_path / "folder" / f"t{kind.suffixes[0]}"
    saved_while_writing(syncer, monkeypatch, lambda: new.replace(target))
    write(syncer)
    assert syncer.load("t") == expected


def test_a_file_that_is_made_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    syncer = CSVSyncer(tmp_path)
    saved_while_writing(syncer, monkeypatch, lambda: (tmp_path / "t.csv").write_text("id,name\n7,seven\n"))
    syncer.append("t", data=OLD[:1])
    assert (tmp_path / "t.csv").read_text() == "id,name\n7,seven\n1,old\n"


def test_another_sheet_that_is_saved_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "book.xlsx"
    syncer = ExcelSyncer(path)
    syncer.dump("t", data=OLD)
    syncer.dump("u", data=OLD)
    saved_while_writing(syncer, monkeypatch, lambda: ExcelSyncer(path, timeout=0)._save_now())
    monkeypatch.setattr(ExcelSyncer, "_save_now", lambda self: save_sheet(path), raising=False)
    syncer.dump("t", data=OLD[:1])
    assert syncer.load("t") == OLD[:1]
    assert syncer.load("u")[0] == {"id": "1", "name": "by hand"}


def save_sheet(path):
    import openpyxl

    book = openpyxl.load_workbook(path)
    book["u"]["B2"] = "by hand"
    book.save(path)
    book.close()


def test_a_link_table_that_is_saved_meanwhile_is_compared_too(tmp_path, monkeypatch):
    groups = Table("groups", links={"members": Link("memberships", "group", "user")})
    syncer = CSVSyncer(tmp_path)
    syncer.dump("groups", data=[{"idnumber": "g", "title": "G"}])
    syncer.dump("memberships", data=[{"group": "g", "user": "1"}])
    path = tmp_path / "memberships.csv"
    saved_while_writing(syncer, monkeypatch, lambda: path.write_text(path.read_text() + "g,2\n"))
    change = Change("delete", groups, ("idnumber",), ("g",), {}, {"title": "G", "members": {"1"}})
    (outcome,) = syncer.apply_changes([change], same=same)
    assert (outcome.status, outcome.reason) == ("conflict", "changed since the import: members")
    assert path.read_text() == "group,user\ng,1\ng,2\n"


def test_a_program_that_saves_again_and_again_ends_the_run(tmp_path, monkeypatch):
    syncer, target, count = CSVSyncer(tmp_path), tmp_path / "t.csv", []
    syncer.dump("t", data=OLD)

    def save():
        count.append(1)
        target.write_text("id,name\n1,old\n" + "5,x\n" * len(count))

    saved_while_writing(syncer, monkeypatch, save, times=99)
    with pytest.raises(LockedError, match=r"another program saves csv:.* again and again, so nothing was written"):
        syncer.apply_changes([update("1")], same=same)
    assert target.read_text().startswith("id,name\n1,old\n5,x\n")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_file_that_is_half_saved_is_read_again(tmp_path, monkeypatch):
    syncer, target = CSVSyncer(tmp_path), tmp_path / "t.csv"
    syncer.dump("t", data=OLD)
    real, count = CSVSyncer._stored, []

    def stored(self, identifier):
        count.append(1)
        if len(count) == 1:
            target.write_text('id,name\n1,"ol\n')  # another program is about to save it
            try:
                return real(self, identifier)
            finally:
                target.write_text("id,name\n1,old\n2,by hand\n")
        return real(self, identifier)

    monkeypatch.setattr(CSVSyncer, "_stored", stored)
    outcomes = syncer.apply_changes([update("1"), update("2")], same=same)
    assert [outcome.status for outcome in outcomes] == ["done", "conflict"]
    assert target.read_text() == "id,name\n1,new\n2,by hand\n"


# --- what would not be read as it was written -------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["a row less", "a row more", "another value", "cut off"])
def test_what_is_not_read_as_it_was_written_replaces_nothing(kind, tmp_path, monkeypatch, fault):
    syncer = kind(tmp_path)
    syncer.dump("t", data=OLD)
    before = (tmp_path / f"t{kind.suffixes[0]}").read_bytes()
    real = kind._save

    def save(self, file, tables):
        contents = tables["t"]
        if fault == "a row less":
            del contents.records[-1]
        elif fault == "a row more":
            contents.records.append(dict(contents.records[0]))
        elif fault == "another value":
            contents.records[1] = contents.records[1] | {"name": "something else"}
        real(self, file, tables)
        if fault == "cut off":
            file.seek(-7, os.SEEK_END)
            file.truncate()
            file.write(b"\n")

    def differently(self, path, identifier, contents):
        return kept(self, path, identifier, given)

    from datastoresync.syncers.row_index import TableContents

    given = TableContents(("id", "name"), [{"id": key, "name": "new" if key == "1" else "old"} for key in "123"])
    kept = kind._difference
    monkeypatch.setattr(kind, "_save", save)
    monkeypatch.setattr(kind, "_difference", differently)
    with pytest.raises(SyncerError, match="table 't' would not be read as it was written, so it is not"):
        syncer.apply_changes([update("1")], same=same)
    assert (tmp_path / f"t{kind.suffixes[0]}").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


# --- rehearsals, and going on -----------------------------------------------------------------------------------------


def test_a_rehearsal_does_all_but_move_the_files(kind, tmp_path, monkeypatch):
    syncer = kind(tmp_path)
    syncer.dump("t", data=OLD)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    written = []
    real = kind._difference
    monkeypatch.setattr(kind, "_difference", lambda self, path, *rest: written.append(path) or real(self, path, *rest))
    changes = [update("1"), update("2", old="other"), Change("delete", T, ("id",), ("3",))]
    rehearsed = syncer.apply_changes(changes, same=same, options=WriteOptions(rehearse=True))
    assert [outcome.status for outcome in rehearsed] == ["done", "conflict", "done"]
    assert len(written) == 1
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    assert syncer.apply_changes(changes, same=same) == rehearsed
    assert syncer.load("t") == [{"id": "1", "name": "new"}, OLD[1]]


def test_a_value_that_a_format_refuses_fails_alone(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=OLD)
    changes = [update("1"), update("2", new=["a list"]), update("3", new="a\0b")]
    stopped = syncer.apply_changes(changes, same=same)
    assert [outcome.status for outcome in stopped] == ["undone", "failed", "failed"]
    assert syncer.load("t") == OLD
    gone_on = syncer.apply_changes(changes, same=same, options=WriteOptions(on_error="continue"))
    assert [outcome.status for outcome in gone_on] == ["done", "failed", "failed"]
    assert syncer.load("t") == [{"id": "1", "name": "new"}, *OLD[1:]]


# --- the second night -------------------------------------------------------------------------------------------------

values = {
    "name": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
    | st.sampled_from(["", "007", "1.0", "=x", "'=x", " x ", "None", "a\r\nb", "true", "NaN"]),
    "note": st.none() | st.sampled_from(["", "x", "None"]),
    "count": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "share": st.floats(allow_nan=False, allow_infinity=False),
    "big": st.none() | st.integers(-(10**20), 10**20),
    "flag": st.booleans(),
}


class Item(Object):
    name: str
    note: str | None
    count: int
    share: float
    big: int | None
    flag: bool


rows = st.dictionaries(st.sampled_from("abcd"), st.fixed_dictionaries(values), max_size=4)


@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
@settings(deadline=None, max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(old=rows, new=rows, on_error=st.sampled_from(["stop", "continue"]))
def test_after_a_run_that_is_ok_the_second_night_finds_nothing(kind, tmp_path, single, old, new, on_error):
    folder = tmp_path / kind.format
    path = folder / f"goods{kind.suffixes[0]}"
    path.unlink(missing_ok=True)
    syncer = kind(path if single else folder)
    empty = {"name": "", "note": "", "count": 0, "share": 0.5, "big": None, "flag": False}
    syncer.dump("goods", data=[{"idnumber": "kept", **empty}])
    limits = Limits(deletions=99, updates=99, removals=99)

    def night(target):
        importer = [{"idnumber": "kept", **empty}, *({"idnumber": key, **row} for key, row in target.items())]
        source = +Tree("source", branches={"goods": Branch(Item, importer=importer)})
        dest = +Tree("dest", syncer=syncer, branches={"goods": Branch(Item)})
        return source - dest, source, dest

    for target in (old, new):
        _, source, dest = night(target)
        before = path.read_bytes()
        report = source.sync_to(dest, limits=limits)
        if report.ok:
            assert list(night(target)[0]) == []
        elif on_error == "stop":
            assert path.read_bytes() == before or report.stat


def test_empty_text_and_none_are_one_in_a_csv_file_and_that_is_said_once(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("goods", data=[{"idnumber": "1", "note": "x"}])

    class Noted(Object):
        note: str | None

    dest = +Tree("dest", syncer=syncer, branches={"goods": Branch(Noted)})
    source = +Tree("source", branches={"goods": Branch(Noted, importer=[{"idnumber": "1", "note": ""}])})
    report = source >> dest
    with (tmp_path / "goods.csv").open(newline="") as file:
        stored = list(csv.DictReader(file))
    again = +Tree("dest", syncer=syncer, branches={"goods": Branch(Noted)})
    assert not report.ok or not list(source - again), json.dumps(stored)
