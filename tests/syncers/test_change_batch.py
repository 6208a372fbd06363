"""Changes column by column: they are the changes that they were made of."""

from itertools import chain, groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from datastoresync.syncers.changes import Change, ChangeBatch, Link, Table, segments_of

KEY = ("key",)
P, Q = Table("p"), Table("q")
LINKED = Table("linked", links={"members": Link("members", "owner", "member")})


def shown(change):
    return change.verb, change.table, change.identifiers, change.key, dict(change.values), dict(change.expected)


values = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3), max_size=3)


def changes_of(verbs):
    def change(verb, table, key, wanted, expected):
        member = {"members": "m"}
        if table is LINKED and verb in ("link", "unlink"):
            return Change(verb, table, KEY, (key,), member)
        verb = "update" if verb in ("link", "unlink") else verb
        return Change(verb, table, KEY, (key,), wanted, expected)

    tables = st.sampled_from([P, Q, LINKED])
    return st.builds(change, st.sampled_from(verbs), tables, st.sampled_from("xyz"), values, values)


@given(
    st.lists(
        st.builds(Change, st.just("update"), st.just(P), st.just(KEY), st.tuples(st.text()), values, values),
        min_size=1,
    ),
    st.data(),
)
def test_columns_give_back_the_changes_they_were_made_of(changes, data):
    alike = ChangeBatch.of(changes)
    assert [shown(change) for change in alike] == list(map(shown, changes))
    assert [shown(change) for change in alike[1:]] == list(map(shown, changes[1:]))
    places = sorted(data.draw(st.sets(st.integers(0, len(changes) - 1), min_size=1)))
    some = alike.at(places)
    assert [shown(change) for change in some] == [shown(changes[place]) for place in places]
    assert set(some.values) == {name for place in places for name in changes[place].values} or len(some) == len(alike)
    for name, column in alike.values.items():
        assert list(column.concerned) == [change.values[name] for change in changes if name in change.values]
        for other, theirs in alike.expected.items():
            both = [name in change.values and other in change.expected for change in changes]
            found = column.where(theirs).concerns
            assert (both if found is not None else [True] * len(both)) == both
            assert found is None or list(found) == both


@given(
    st.lists(changes_of(["insert", "update", "update", "delete", "link", "unlink"]), max_size=12),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_parts_are_all_changes_in_order_and_keep_together_what_belongs_together(changes, size, fewest):
    segments = list(segments_of(iter(changes), size, fewest))
    parts = list(chain(*segments))
    assert [shown(change) for part in parts for change in part] == list(map(shown, changes))
    for before, after in pairwise(segments):
        last, first = before[-1][-1], after[0][0]
        assert (last.table, last.key) != (first.table, first.key)
        whole = sum(map(len, before)) >= size
        assert whole or (sum(map(len, before)) >= size // 2 and _kind(last) != _kind(first))
    for part in parts:
        if isinstance(part, ChangeBatch):
            assert len(part) >= fewest
            assert not part.table.links
            assert {(change.verb, change.table.name) for change in part} == {(part.verb, part.table.name)}
            if part.verb != "update":
                assert len({(tuple(change.values), tuple(change.expected)) for change in part}) == 1
    for segment in segments:
        updated = [part.table.name for part in segment if isinstance(part, ChangeBatch) and part.verb == "update"]
        assert len(updated) == len(set(updated)), "updates of one object may be far apart, and are then one unit"


def _kind(change):
    return change.verb, change.table, change.verb != "update" and (*change.values, None, *change.expected)


def test_a_segment_ends_with_a_kind_unless_that_is_too_early():
    inserts = [Change("insert", P, KEY, (n,), {"a": n}) for n in range(9)]
    deletes = [Change("delete", P, KEY, (n,), {}, {"a": n}) for n in range(9, 18)]
    for count, lengths in ((4, [4, 6, 3]), (5, [5, 6]), (2, [6, 4]), (6, [6, 3])):
        changes = [*inserts[:count], *deletes[: sum(lengths) - count]]
        segments = [list(chain(*segment)) for segment in segments_of(changes, 6, 1)]
        assert [shown(change) for change in chain(*segments)] == list(map(shown, changes))
        assert list(map(len, segments)) == lengths, count


def test_many_of_a_kind_are_a_part_of_their_own():
    inserts = [Change("insert", P, KEY, (n,), {"a": n}) for n in range(3)]
    updates = [Change("update", P, KEY, (n,), {"a": n}, {"a": 0}) for n in range(3)]
    (parts,) = segments_of([*inserts, updates[0], *inserts[:1]], 100, 3)
    assert [(type(part), len(part)) for part in parts] == [(ChangeBatch, 3), (list, 2)]
    (parts,) = segments_of([*updates, *inserts, *updates], 100, 3)
    assert [len(part) for part in parts] == [9], "updates are on both sides of something else"
    (parts,) = segments_of([*inserts, *updates], 100, 3)
    assert [(verb, len(list(some))) for verb, some in groupby(parts, key=lambda part: part.verb)] == [
        ("insert", 1),
        ("update", 1),
    ]
