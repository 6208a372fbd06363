"""JSON and JSON lines: values come back as what they were, and files that are not what they say are refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import MalformedFileError, SyncerError
from datastoresync.syncers.files.json import JSONLinesSyncer, JSONSyncer, decode, encode

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
hashable = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
)
keys = texts | st.sampled_from(["$date", "$set", "$object", "$other", "$"])
values = st.recursive(
    hashable | st.sets(hashable, max_size=3) | st.frozensets(st.tuples(hashable), max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=5,
)
records = st.lists(st.dictionaries(keys, values, max_size=3), max_size=4)


@pytest.fixture(params=[JSONSyncer, JSONLinesSyncer], ids=lambda kind: kind.format)
def syncer(request, tmp_path):
    return request.param(tmp_path)


def put(syncer, text):
    path = syncer.path / f"t{syncer.suffixes[0]}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@law
@given(data=records)
def test_records_come_back_with_the_keys_and_types_that_they_had(syncer, data):
    syncer.dump("t", data=data)
    found = syncer.load("t")
    assert found == data
    assert repr(sorted(map(kinds, found))) == repr(sorted(map(kinds, data)))


def kinds(value):
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {kinds(item)}' for key, item in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({sorted(map(kinds, value))})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({[kinds(item) for item in value]})"
    return type(value).__name__


@law
@given(value=values)
def test_what_is_written_is_strict_json(value):
    text = json.dumps(encode(value), allow_nan=False)
    assert decode(json.loads(text)) == value


@law
@given(members=st.lists(hashable.filter(lambda one: one is not None), unique_by=repr, max_size=6), data=st.data())
def test_sets_are_written_in_one_order(members, data):
    shuffled = data.draw(st.permutations(members))
    assert json.dumps(encode(frozenset(members))) == json.dumps(encode(frozenset(shuffled))) or len(set(members)) < len(
        members
    )


def test_nan_and_infinity_come_back(syncer):
    syncer.dump("t", data=[{"a": float("nan"), "b": float("inf"), "c": [float("-inf")]}])
    (found,) = syncer.load("t")
    assert found["a"] != found["a"]
    assert (found["b"], found["c"]) == (float("inf"), [float("-inf")])


class Colour(Enum):
    RED = (1, 2)


class Name(str):
    __slots__ = ()


class Count(int):
    pass


@pytest.mark.parametrize(
    ("value", "loaded"), [(Colour.RED, (1, 2)), (Name("x"), "x"), (Count(5), 5), ({1: 2}.keys() and 1.5, 1.5)]
)
def test_what_comes_back_as_something_else_is_declared(syncer, value, loaded):
    assert syncer.normalized(value) == loaded
    assert type(syncer.normalized(value)) is type(loaded)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "cannot hold a object"),
        (range(3), "cannot hold a range"),
        ({1: "x"}, "a key that is int"),
        ("\ud800", "half of a surrogate"),
        ({"\ud800": 1}, "half of a surrogate"),
        pytest.param(10**5000, "too many digits", id="huge"),
        ([[object()]], "cannot hold"),
    ],
)
def test_what_is_not_kept_is_refused(syncer, value, says):
    with pytest.raises(SyncerError, match=says):
        syncer.normalized(value)
    with pytest.raises(SyncerError, match=rf"record 1 for table 't', column 'a': .*{says}"):
        syncer.dump("t", data=[{"a": value}])


def test_what_is_nested_without_end_is_refused(syncer):
    value = []
    value.append(value)
    with pytest.raises(SyncerError, match="nested too deeply"):
        syncer.dump("t", data=[{"a": value}])


def test_what_stands_in_a_file(tmp_path):
    data = [{"id": "1", "born": date(2024, 1, 2), "tags": {"b", "a"}}, {"name": "名"}, {}]
    JSONSyncer(tmp_path).dump("t", data=data)
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == (
        '[\n  {\n    "id": "1",\n    "born": {"$date": "2024-01-02"},\n    "tags": {"$set": ["a", "b"]}\n  },\n'
        '  {\n    "name": "名"\n  },\n  {}\n]\n'
    )
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))[1] == {"name": "名"}
    JSONLinesSyncer(tmp_path).dump("t", data=data)
    assert (tmp_path / "t.jsonl").read_text(encoding="utf-8") == (
        '{"id": "1", "born": {"$date": "2024-01-02"}, "tags": {"$set": ["a", "b"]}}\n{"name": "名"}\n{}\n'
    )


def test_every_tag_is_as_documented():
    found = encode(
        [Decimal("1.10"), datetime(2024, 1, 2, tzinfo=UTC), time(3), timedelta(1, 2, 3), b"x", UUID(int=5), (1,)]
    )
    assert found == [
        {"$decimal": "1.10"},
        {"$datetime": "2024-01-02T00:00:00+00:00"},
        {"$time": "03:00:00"},
        {"$timedelta": [1, 2, 3]},
        {"$bytes": "eA=="},
        {"$uuid": "00000000-0000-0000-0000-000000000005"},
        {"$tuple": [1]},
    ]
    assert encode({"$date": 1}) == {"$object": {"$date": 1}}
    assert encode({"$a": 1}) == {"$a": 1}


def test_a_stream_has_the_columns_of_all_records_and_knows_its_lines(syncer):
    syncer.dump("t", data=[{"a": "1"}, {"b": "2"}])
    records = syncer.read("t")
    assert records.columns == ("a", "b")
    assert list(records) == [{"a": "1", "b": None}, {"a": None, "b": "2"}]
    assert records.where(1).endswith("t.json:5" if isinstance(syncer, JSONSyncer) else "t.jsonl:2")
    assert list(syncer.read("t", ["b"])) == [{"b": None}, {"b": "2"}]


def test_a_mark_and_empty_lines_are_read_through(tmp_path):
    (tmp_path / "t.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
    assert JSONLinesSyncer(tmp_path).load("t") == [{"a": 1}, {"a": 2}]
    (tmp_path / "t.json").write_bytes(b'\xef\xbb\xbf [ {"a":1},\n{"a" : 2} ] ')
    assert JSONSyncer(tmp_path).load("t") == [{"a": 1}, {"a": 2}]


def test_unknown_tags_of_others_stay_what_they_are_and_come_back(syncer):
    data = [{"_id": {"$oid": "5f"}, "n": {"$numberLong": {"$date": "2024-01-02"}}}]
    put(syncer, json.dumps(data if isinstance(syncer, JSONSyncer) else data[0]) + "\n")
    found = syncer.load("t")
    assert found == [{"_id": {"$oid": "5f"}, "n": {"$numberLong": date(2024, 1, 2)}}]
    syncer.dump("t", data=found)
    assert syncer.load("t") == found


SAME = [
    ("", None, "the file is empty"),
    ('{"a": 1, "a": 2}', 1, "'a' is there twice"),
    ('{"a": NaN}', 1, "NaN is not JSON"),
    ('{"a": 1e999}', 1, "too large for a float"),
    ('{"a": ' + "9" * 5000 + "}", 1, "in the object that begins here"),
    ('{"a": {"$date": "soon"}}', 1, "'\\$date' is not what the tag says"),
    ('{"a": {"$decimal": 1.5}}', 1, "is not what the tag says"),
    ('{"a": {"$float": 1.5}}', 1, "is not what the tag says"),
    ('{"a": {"$set": "ab"}}', 1, "is not what the tag says"),
    ('{"a": {"$set": [[]]}}', 1, "is not what the tag says"),
    ('{"a": {"$object": 1}}', 1, "is not what the tag says"),
    ("[1]", 1, "an object must begin here, not a list"),
    ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", 1, "nested too deeply"),
    ('{"a" 1}', 1, "not JSON: expecting ':'"),
    ('{"a": "x', 1, "not JSON"),
    ('{"a": 1}}', 1, "unexpected data after the end|no , or ] here"),
]


@pytest.mark.parametrize(("text", "line", "says"), SAME)
def test_what_is_malformed_is_refused_with_its_line(syncer, text, line, says):
    whole = f"[{text}]" if text and isinstance(syncer, JSONSyncer) else text
    path = put(syncer, whole)
    with pytest.raises(MalformedFileError, match=says) as caught:
        syncer.load("t")
    assert caught.value.line == line or not text
    assert caught.value.where.startswith(str(path))


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ('{"a": 1}', "1:1", "not a list"),
        ('[\n{"a": 1}', "2:9", "may be cut off"),
        ('[\n{"a": 1},\n', "3:1", "may be cut off"),
        ('[\n{"a": 1},\n]', "3:1", "not JSON"),
        ('[\n{"a": 1}\n{"a": 2}]', "3:1", "no , or ]"),
        ("[] x", "1:4", "unexpected data after the end"),
        ('[\n{"a": 1},\n{"a": "\n"}]', "3:8", "invalid control character"),
        (b'[\n{"a": "\xff"}]', "2:8", "byte 0xff is not utf-8"),
        ("  \n", "2:1", "the file is empty"),
    ],
)
def test_a_list_that_is_malformed_is_refused_with_its_place(tmp_path, text, place, says):
    path = put(JSONSyncer(tmp_path), text)
    with pytest.raises(MalformedFileError, match=says) as caught:
        JSONSyncer(tmp_path).load("t")
    assert caught.value.where == f"{path}:{place}"


def test_a_line_that_is_malformed_is_refused_with_its_place(tmp_path):
    path = put(JSONLinesSyncer(tmp_path), b'{"a": 1}\n\n{"a": "\xc3\xa9\xff"}\n')
    with pytest.raises(MalformedFileError, match="byte 0xff") as caught:
        JSONLinesSyncer(tmp_path).load("t")
    assert caught.value.where == f"{path}:3:9"


def test_a_file_that_cannot_be_read_is_said(syncer, monkeypatch):
    put(syncer, "[]\n")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(MalformedFileError, match="Permission denied"):
        syncer.load("t")


@pytest.mark.parametrize("key", [None, 0, False, (), 7])
def test_a_dictionary_whose_keys_are_no_text_is_refused(syncer, key):
    with pytest.raises(SyncerError, match=f"a key that is {type(key).__name__}, and those of JSON are text"):
        syncer.dump("t", data=[{"id": {"a": 1, key: 2}}])


def test_a_key_and_a_column_may_be_an_empty_text(syncer):
    data = [{"": {"": 1}}]
    syncer.dump("t", data=data)
    assert syncer.load("t") == data


FOREIGN = {"_id": {"$oid": "5f"}, "deep": [{"$ref": {"$id": {"$oid": "6f"}}}], "": {"$": 1}}


def test_objects_of_others_that_look_like_ours_stay_as_they_are(syncer):
    put(syncer, f"[{json.dumps(FOREIGN)}]" if syncer.format == "json" else json.dumps(FOREIGN))
    syncer.append("t", data=[{"n": "c"}])
    assert "$object" not in next(syncer.path.iterdir()).read_text()
    assert syncer.load("t") == [FOREIGN, {"n": "c"}]
