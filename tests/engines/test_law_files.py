"""Whatever is in the files, the embedded engine finds what the in-memory one finds: actions, errors, warnings."""

import warnings

import pytest
from drawn_files import (
    Accepting,
    Choices,
    Clock,
    Dated,
    Days,
    File,
    Half,
    Mixed,
    Numbers,
    Pair,
    Plain,
    Truths,
    Universal,
    Whole,
    acted,
    attempt,
    done,
    look,
    pairs,
    run,
    work,
    written,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Object
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.table import TableObjects

DUCKDB = DuckDB(threads=1)


@pytest.fixture(autouse=True, scope="module")
def running():
    """Keep one database open for all examples: opening one takes longer than most of them."""
    held = DUCKDB.opened()
    yield
    del held


def same(folder, source, dest, **options):
    written(folder, source=source, dest=dest)
    expected, _ = run(folder, "memory", source, dest, **options)
    found, trees = run(folder, DUCKDB, source, dest, **options)
    for name in expected:
        assert found[name] == expected[name], name
    return trees


HEADER = b"idnumber,name,note\n"
STAYS = {
    "plain": (Object, HEADER + b"1,a,x\n2,b,y\n"),
    "with quotes": (Plain, HEADER + b'1,"a ""b"", c",x\n2,"",y\n'),
    "with blank lines": (Object, b"\n\n" + HEADER + b"\n1,a,x\n\n2,b,y\n\n"),
    "with a mark": (Object, b"\xef\xbb\xbf" + HEADER + b"1,a,x\n"),
    "of Windows": (Object, HEADER.replace(b"\n", b"\r\n") + b"1,a,x\r\n2,b,y\r\n"),
    "with mixed ends of lines": (Object, HEADER + b"1,a,x\r\n2,b,y\n"),
    "with newlines in values": (Object, HEADER + b'1,"a\nb",x\n2,b,y\n'),
    "with newlines in the header": (Object, b'idnumber,name,"no\nte"\n1,a,x\n'),
    "with odd characters": (Object, HEADER + b"1,\x01\x02\x03,\x1f\n"),
    "in another encoding": (Object, "idnumber,name,note\n1,ä,山\n".encode("utf-16")),
    "with other alphabets": (Object, HEADER + "ä,山,🙂\né,e\u0301,x\n".encode()),
    "with a long line": (Object, HEADER + b"1,a," + b"x" * 100_000 + b"\n2," + b"y" * 100_000 + b",z\n"),
    "with numbers": (Whole, HEADER + b"1,007,\n2,+7,999999999999999999\n3,0,99999999999999999999\n"),
    "with fractions": (Numbers, HEADER + b"1,1e5,1.10\n2,nan,\n3,-0.0,1e5\n"),
    "with truths": (Truths, HEADER + b"1,YES,\n2,off,1\n"),
    "with days": (Days, HEADER + b"1,2024-01-02,2024-01-02T10:00:00+01:00\n2,0001-01-01,2024-01-02 10:00Z\n"),
    "with times": (Clock, HEADER + b"1,10:00Z,\n2,,00000000-0000-0000-0000-000000000000\n"),
    "with choices": (Choices, HEADER + b"1,RED,a\n2,g,1\n"),
    "with unions": (Mixed, HEADER + b"1,1,a\n2,x,1\n"),
    "without a column that has a default": (Plain, b"idnumber,name\n1,a\n"),
    "with composite keys": (Pair, HEADER + b"1,a,x\n2,a,y\n"),
    "with days as keys": (Dated, HEADER + b"2024-01-02,a,1\n2023-01-02,a,0\n"),
    "with UUIDs as keys": (Universal, HEADER + b"A" * 32 + b",a,x\n" + b"b" * 32 + b",a,x\n"),
}
"""Files that stay tables, whoever has to read them for that."""


@pytest.mark.parametrize("name", STAYS)
def test_a_file_stays_a_table(name, tmp_path):
    cls, content = STAYS[name]
    half = Half(cls, (File(content, {"encoding": "utf-16"} if "encoding" in name else {}),))
    trees = same(tmp_path, half, half, choice=0)
    assert [tree.things.contents.reason for tree in trees] == ["", ""]
    assert all(isinstance(tree.things.contents.objects, TableObjects) for tree in trees)


@given(pair=pairs(), choice=st.none() | st.integers(0, 3))
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_embedded_engine_sees_in_files_what_the_one_in_memory_sees(pair, choice, tmp_path_factory):
    same(tmp_path_factory.mktemp("law"), *pair, choice=choice)


@given(work=work())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_done_to_a_table_leaves_it_as_it_leaves_objects(work, tmp_path_factory):
    source, dest, steps = work
    folder = tmp_path_factory.mktemp("machine")
    written(folder, source=source, dest=dest)
    (_, expected), (_, found) = (run(folder, engine, source, dest) for engine in ("memory", DUCKDB))
    for tree in (*expected, *found):
        tree.template = Accepting
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of imports are compared above
        for step in steps:
            assert done(found, step) == done(expected, step), step
            found[1].things.contents.objects._check()
        assert attempt(lambda: acted(found[0] - found[1])) == attempt(lambda: acted(expected[0] - expected[1]))
        seen = look(expected[1].things, 0)
        for name, one in look(found[1].things, 0).items():
            assert one == seen[name], name
