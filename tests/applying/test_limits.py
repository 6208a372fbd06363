"""What limits see besides deletions: storms, parts, attributes, members, what is switched off; and who declares."""

import attrs
import pytest

from datastoresync import (
    Branch,
    ComparisonError,
    CSVImporter,
    DeclarationError,
    Diff,
    Importer,
    Limits,
    Object,
    ParquetImporter,
    Preview,
    SafeguardError,
    Template,
    Tree,
)
from datastoresync.applying.safeguards import violations
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.diffing.side import Candidates, InMemoryEngine


class Quiet(Template):
    def new(self, action):
        pass

    update = old = new


class User(Object):
    name: str = ""
    phone: str | None = None
    site: str = ""
    active: bool = True
    ends: str | None = None


class Switched(User):
    _active = "active"


class Group(Object):
    _references = {"members": "users"}
    members: set[str]


def key(number):
    return f"{number:05}"


def rows(count, **attributes):
    """Return rows; a function is called with the number of its row."""
    return [
        {"idnumber": key(n), **{name: value(n) if callable(value) else value for name, value in attributes.items()}}
        for n in range(count)
    ]


def groups(**members):
    return [{"idnumber": name, "members": {key(n) for n in some}} for name, some in members.items()]


def tree(name, users=(), cls=User, members=None, **declared):
    branches = {"users": Branch(cls, importer=list(users), **declared)}
    if members is not None:
        branches["groups"] = Branch(Group, importer=members)
    return +Tree(name, branches=branches)


class Again(Candidates):
    streamed = True


@attrs.frozen
class Streaming:
    """The in-memory engine, as one whose differences are too many for the memory."""

    name = "streaming"

    def candidates(self, left, right):
        found = InMemoryEngine().candidates(left, right)
        return Again(found.new, found.old, found.pairs, found.matched, found.reason)


def said(source, dest, limits=None):
    """Return the limits that refuse a run, the same of a streamed diff, and assert that what is advised allows it."""
    diff = source - dest
    found = violations(diff, limits)
    sides = [(source[name].side(), dest[name].side()) for name in source.branches]
    assert violations(Diff.between(sides, engine=Streaming()), limits) == found
    if found:
        asked = {}
        for one in found:
            asked[one.name] = [*asked.get(one.name, ()), *one.value] if isinstance(one.value, list) else one.value
            assert f"{one.name}={one.value!r}" in one
        later = violations(diff, Limits(**asked).over(limits))
        assert not {one.name for one in later} & set(asked), "what is advised is not enough"
    return [one.name for one in found]


# Storms -------------------------------------------------------------------------------------------------------------


def test_a_storm_of_creations_is_refused():
    assert said(tree("source", rows(1_100)), tree("dest", rows(100))) == ["creations"]
    assert said(tree("source", rows(150)), tree("dest", rows(100))) == []
    assert said(tree("source", rows(1_100)), tree("dest")) == []


def test_parts_of_one_diff_create_together():
    source, dest = tree("source", rows(160)), tree("dest", rows(100))
    diff = source - dest
    assert Quiet().apply(diff[:40]).ok
    with pytest.raises(SafeguardError, match="60 creations, over the limit of 50%"):
        Quiet().apply(diff[40:])


def test_everybody_into_one_group_is_refused():
    def both(members, before, **others):
        source = tree("source", rows(400), members=groups(admins=members, **others))
        return said(source, tree("dest", rows(400), members=groups(admins=before, **others)))

    many = {f"g{n}": range(n, n + 100) for n in range(9)}
    assert both(range(400), range(4), **many) == ["additions"]
    assert both(range(45), range(4), **many) == [], "a class that is new"
    assert both(range(60), range(4), **many) == ["additions"]
    assert both(range(200), range(120), **many) == []
    assert both(range(400), [], a=[], b=[]) == [], "the first load of memberships"


def test_half_of_all_that_there_are_is_everybody_too():
    source = tree("source", rows(60), members=groups(admins=range(45), g=range(60)))
    assert said(source, tree("dest", rows(60), members=groups(admins=range(3), g=range(60)))) == ["additions"]


def test_many_members_here_and_there_are_a_storm():
    source = tree("source", rows(900), members=groups(**{f"g{n}": range(n, n + 40) for n in range(30)}))
    dest = tree("dest", rows(900), members=groups(**{f"g{n}": range(n, n + 3) for n in range(30)}))
    assert said(source, dest) == ["additions"]
    assert said(source, dest, Limits(first_load=["groups"])) == []


# Members ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "left", "refused"), [(10, 4, True), (10, 5, False), (9, 0, False), (40, 0, True)])
def test_one_group_among_many_cannot_be_emptied(before, left, refused):
    many = {f"g{n}": range(50) for n in range(9)}
    source = tree("source", rows(50), members=groups(some=range(left), **many))
    dest = tree("dest", rows(50), members=groups(some=range(before), **many))
    assert said(source, dest) == (["removals"] if refused else [])


def test_one_member_of_each_group_is_no_mass_update():
    source = tree("source", rows(50), members=groups(**{f"g{n}": range(1, 20) for n in range(20)}))
    assert said(source, tree("dest", rows(50), members=groups(**{f"g{n}": range(20) for n in range(20)}))) == []


class Room(Object):
    idnumber: str
    _children = {"desks": "desks"}
    desks: list[str]


def test_children_that_move_are_not_lost():
    def world(name, here, there):
        rooms = [{"idnumber": "a", "desks": list(here)}, {"idnumber": "b", "desks": list(there)}]
        desks = [{"idnumber": one} for one in [*here, *there]]
        return +Tree(name, branches={"rooms": Branch(Room, importer=rooms), "desks": Branch(User, importer=desks)})

    one, other = map(key, range(60)), map(key, range(60, 160))
    one, other = list(one), list(other)
    assert violations(world("source", [], one + other) - world("dest", one, other)) == ()


# Attributes ---------------------------------------------------------------------------------------------------------


def test_a_column_that_is_blank_for_all_is_refused_by_name():
    dest = tree("dest", rows(1000, phone=lambda n: f"+{n}" if n < 450 else None))
    (sentence,) = violations(tree("source", rows(1000)) - dest)
    assert "source.users has no column 'phone', and 450 objects of dest.users would lose it" in sentence
    blank = tree("source", rows(1000, phone=None))
    assert said(blank, dest) == ["missing"]
    for name in ("phone", "users.phone"):
        assert violations(blank - dest, Limits(missing=name)) == ()
    few = tree("dest", rows(1000, phone=lambda n: f"+{n}" if n < 5 else None))
    assert said(blank, few) == []


def test_a_column_that_is_gone_is_seen_whatever_its_default(tmp_path):
    (tmp_path / "users.csv").write_text("idnumber,name\n" + "".join(f"{key(n)},\n" for n in range(100)))
    source = +Tree("source", branches={"users": Branch(User, importer=CSVImporter(tmp_path / "users.csv"))})
    assert said(source, tree("dest", rows(100, active=lambda n: n > 5))) == ["missing"]
    assert said(source, tree("dest", rows(100, active=lambda n: n > 4))) == []
    assert said(tree("source", rows(100, active=True)), tree("dest", rows(100, active=lambda n: n > 5))) == []


class Computed(User):
    def __attrs_post_init__(self):
        self.phone = f"+{self.idnumber}"


def test_what_a_class_computes_is_no_missing_column():
    dest = tree("dest", rows(100, phone=lambda n: f"{n}" if n < 20 else f"+{key(n)}"))
    assert said(tree("source", rows(100, active=True), cls=Computed), dest) == []


@pytest.mark.parametrize(("lost", "refused"), [(300, False), (301, True), (600, True)])
def test_values_of_an_attribute_that_are_lost_have_a_limit(lost, refused):
    source = tree("source", rows(2000, phone=lambda n: None if n < lost else f"+{n}" if n < 1000 else None))
    dest = tree("dest", rows(2000, phone=lambda n: f"+{n}" if n < 1000 else None))
    assert said(source, dest) == (["blanks"] if refused and lost == 301 else ["blanks", "updates"] if refused else [])


def test_an_attribute_that_few_have_has_a_limit_of_its_own():
    source = tree("source", rows(1000, phone=lambda n: "new" if n < 60 else None))
    assert said(source, tree("dest", rows(1000, phone=lambda n: "old" if n < 60 else None))) == ["updates"]
    assert said(source, tree("dest", rows(1000, phone=lambda n: "old" if n < 30 else None))) == ["updates"]
    assert said(source, tree("dest", rows(1000))) == [], "what is filled in is not lost"


def test_everybody_switched_off_is_seen_though_nobody_declared_it():
    dest = tree("dest", rows(1000))
    assert said(tree("source", rows(1000, active=lambda n: n >= 450)), dest) == ["switches"]
    assert said(tree("source", rows(1000, active=lambda n: n >= 300)), dest) == []
    on = tree("dest", rows(1000, active=lambda n: n < 550))
    assert said(tree("source", rows(1000, active=True)), on) == [], "switched on"


OFF = [("active", 1, 0), ("status", "active", "Suspended"), ("active", "true", "false"), ("is_blocked", False, True)]


def test_what_is_advised_last_allows_the_run_together_with_what_was_given():
    dest = tree("dest", rows(100, name="old"))
    emptied, changed = tree("source", []), tree("source", rows(60, name="new", active=False))
    for source, limits, *advised in [
        (emptied, Limits(updates=0.7), Limits(updates=0.7, empty=["users"])),
        (emptied, Limits(empty=["b", "users"]), Limits(deletions=100, empty=["b", "users"])),
        (changed, Limits(deletions=0.8), Limits(deletions=0.8, updates=60, switches=60)),
        (changed, Limits(updates=60, switches=60), Limits(deletions=40, updates=60, switches=60)),
    ]:
        with pytest.raises(SafeguardError) as caught:
            Quiet().apply(source - dest, limits=limits)
        assert [eval(str(caught.value).rpartition("limits=")[2], {"Limits": Limits})] == advised


@pytest.mark.parametrize(("attribute", "on", "off"), OFF)
def test_off_is_said_in_other_ways_as_well(attribute, on, off):
    def both(name, changed, value):
        users = [{"idnumber": key(n), attribute: value if n < changed else on} for n in range(1000)]
        return +Tree(name, branches={"users": Branch(Object, importer=users)})

    dest = both("dest", 0, on)
    assert said(both("source", 450, off), dest) == ["switches"]
    assert said(both("source", 300, off), dest) == []
    assert said(both("source", 600, off), dest) == ["updates", "switches"], "all that it takes, at once"
    assert said(dest, both("dest", 600, off)) == ["updates"], "switched on"
    if isinstance(on, str):
        assert said(both("source", 450, "other"), dest) == []


# What is switched off is deleted ------------------------------------------------------------------------------------


def test_what_switches_an_object_off_counts_as_a_deletion():
    dest = tree("dest", rows(1000), cls=Switched)
    assert said(tree("source", rows(1000, active=lambda n: n >= 201), cls=Switched), dest) == ["deletions"]
    assert said(tree("source", rows(1000, active=lambda n: n >= 200), cls=Switched), dest) == []
    both = tree("source", rows(900, active=lambda n: n >= 101), cls=Switched)
    assert said(both, dest) == ["deletions"]
    (sentence,) = violations(both - dest)
    assert "201 objects deleted or switched off by active" in sentence
    off = tree("dest", rows(1000, active=False), cls=Switched)
    assert said(tree("source", rows(1000, active=lambda n: n < 400), cls=Switched), off) == []


def test_those_that_are_off_already_do_not_count_among_those_that_could_be():
    dest = tree("dest", rows(1000, active=lambda n: n < 100), cls=Switched)
    assert said(tree("source", rows(1000, active=False), cls=Switched), dest) == ["deletions"]


@pytest.mark.parametrize(("yes", "no"), [(True, False), (1, 0)])
def test_what_is_called_disabled_switches_off_when_it_is_true(yes, no):
    class Disabled(User):
        _active = "is_disabled"
        is_disabled: bool | int

    dest = tree("dest", rows(1000, is_disabled=no), cls=Disabled)
    for going, expected in [(200, []), (201, ["deletions"])]:
        source = tree("source", rows(1000, is_disabled=lambda n, going=going: yes if n < going else no), cls=Disabled)
        assert said(source, dest) == expected
    off = tree("dest", rows(1000, is_disabled=yes), cls=Disabled)
    assert said(tree("source", rows(1000, is_disabled=lambda n: no if n < 400 else yes), cls=Disabled), off) == []
    few = tree("dest", rows(1000, is_disabled=lambda n: no if n < 100 else yes), cls=Disabled)
    assert said(tree("source", rows(1000, is_disabled=yes), cls=Disabled), few) == ["deletions"]


def test_a_date_that_is_set_switches_off():
    class Ends(User):
        _active = "ends"

    dest = tree("dest", rows(100), cls=Ends)
    assert said(tree("source", rows(100, ends=lambda n: "2026-07-31" if n < 21 else None), cls=Ends), dest) == [
        "deletions"
    ]


def test_what_switches_off_must_be_there():
    with pytest.raises(DeclarationError, match=r"Wrong\._active names 'activ'"):

        class Wrong(Object):
            _active = "activ"
            active: bool

    class Open(Object):
        _active = "activ"

    with pytest.raises(DeclarationError, match=r"Open\._active names 'activ'"):
        tree("dest", rows(1, active=True), cls=Open).users.side()


def test_a_field_of_that_name_is_a_field():
    class Hidden(Object):
        _active: bool

    class WithDefault(Object):
        _active: bool = True

    assert (+Branch(Hidden, importer=[{"idnumber": "1", "_active": True}]))["1"]._active is True
    assert (+Branch(WithDefault, importer=[{"idnumber": "1", "_active": False}]))["1"]._active is False


# Parts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["site", lambda user: user.site])
@pytest.mark.parametrize("declared", ["source", "dest"])
def test_a_part_that_the_source_has_nothing_of_is_empty(part, declared):
    def both(gone):
        parts = {name: {"part": part} if name == declared else {} for name in ("source", "dest")}
        users = rows(1000, site=lambda n: "B" if n >= 810 else "C" if n >= 808 else "A")
        left = [user for user in users if not gone(int(user["idnumber"]))]
        return tree("source", left, **parts["source"]), tree("dest", users, **parts["dest"])

    assert said(*both(lambda n: n >= 810)) == ["empty"]
    assert said(*both(lambda n: n >= 810), Limits(empty="users:B")) == []
    assert said(*both(lambda n: n >= 900)) == ["deletions"], "more than half of it"
    assert said(*both(lambda n: n >= 905)) == []
    assert said(*both(lambda n: n in (808, 809))) == [], "two"
    assert said(*both(lambda n: n < 190)) == []


def test_a_part_that_is_switched_off_counts_as_well():
    users = rows(1000, site=lambda n: "B" if n >= 900 else "A")
    source = [{**user, "active": user["site"] == "A"} for user in users]
    assert said(tree("source", source, cls=Switched), tree("dest", users, cls=Switched, part="site")) == ["deletions"]


def test_a_part_that_one_side_knows_alone_is_told_and_each_may_have_its_own():
    class Plain(Object):
        name: str = ""

    class Placed(Plain):
        _site: str

    source = tree("source", rows(100, _site="A"), cls=Placed, part="_site")
    users = rows(103, name=lambda n: "B" if n >= 100 else "")
    with pytest.raises(
        ComparisonError, match=r"dest\.users: Plain has no attribute '_site', the part of source\.users"
    ):
        violations(source - tree("dest", users, cls=Plain))
    assert said(source, tree("dest", users, cls=Plain, part=lambda user: user.name or "A")) == ["empty"]


@pytest.mark.parametrize("part", ["sight", 7])
def test_what_is_no_part_is_refused(part):
    with pytest.raises(DeclarationError, match="part is the name of an attribute of User, or a function of an object"):
        Branch(User, part=part)


def write(path, numbers):
    path.write_text("idnumber,name\n" + "".join(f"{key(n)},\n" for n in numbers), encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*the file has:datastoresync.DataWarning")
@pytest.mark.parametrize("engine", ["memory", "duckdb"])
def test_one_of_several_files_that_is_empty_is_an_empty_source(tmp_path, engine):
    write(tmp_path / "staff.csv", range(100))
    write(tmp_path / "temps.csv", [])
    importer = CSVImporter(tmp_path / "*.csv")
    source = +Tree("source", branches={"users": Branch(User, importer=importer, engine=engine)})
    (sentence,) = violations(source - tree("dest", rows(103)))
    assert "temps.csv, which source.users is made of, is empty, and 3 objects of dest.users would go" in sentence
    assert violations(source - tree("dest", rows(103)), Limits(empty="users:temps.csv")) == ()
    assert violations(source - tree("dest", rows(90))) == ()


@pytest.mark.filterwarnings("ignore:.*the file has:datastoresync.DataWarning")
def test_one_of_several_parquet_files_as_well(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, numbers in (("a", range(50)), ("b", [])):
        keys = arrow.array([key(n) for n in numbers], arrow.string())
        parquet.write_table(arrow.table({"idnumber": keys}), tmp_path / f"{name}.parquet")
    for engine in ("memory", "duckdb"):
        branch = Branch(User, importer=ParquetImporter(tmp_path / "*.parquet"), engine=engine)
        assert (+Tree("source", branches={"users": branch})).users.contents.empty_parts == ("b.parquet",)


class Both(Importer):
    after = ("_staff", "_temps")

    def read(self):
        for name in self.after:
            yield from ({"idnumber": one} for one in self.tree[name])


def test_a_private_branch_that_is_empty_is_an_empty_source_of_what_is_made_of_it():
    def source(staff, temps):
        branches = {"_staff": Branch(User, importer=staff), "_temps": Branch(User, importer=temps)}
        return +Tree("source", branches={**branches, "users": Branch(User, importer=Both)})

    assert said(source(rows(100), []), tree("dest", rows(103))) == ["empty"]
    assert said(source(rows(100), []), tree("dest", rows(103)), Limits(empty="_temps")) == []
    assert said(source(rows(100), rows(101)[100:]), tree("dest", rows(103))) == []


# Dangling -----------------------------------------------------------------------------------------------------------


def test_what_the_source_still_refers_to_cannot_be_deleted():
    members = groups(a=range(100))
    dest = tree("dest", rows(100), members=members)
    assert said(tree("source", rows(97), members=members), dest) == ["dangling"]
    (sentence,) = violations(tree("source", rows(97), members=members) - dest, Limits(dangling=2))
    assert "groups.members refers to users that would be deleted" in sentence
    assert "'00097' of 'a'" in sentence
    assert said(tree("source", rows(97), members=groups(a=range(97))), dest) == []
    assert violations((tree("source", rows(97), members=members) - dest).exclude("old")) == ()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("written", [100, 95], ids=["those that stay", "those that are written"])
def test_references_to_nothing_and_to_what_is_deleted_add_up(streamed, written):
    source = tree("source", rows(95), members=groups(a=[*range(100), 77_777]))
    diff = source - tree("dest", rows(100), members=groups(a=range(written)))
    shown = as_stream(diff) if streamed else diff
    nothing, deleted = violations(shown, Limits(dangling=5, creations=9, additions=9, removals=9))
    assert "groups.members refers to users that the source does not have: '77777' of 'a': mend" in nothing
    assert (
        "would be deleted, as the source has them no longer, although it refers to them: '00095' of 'a', '0" in deleted
    )
    assert "Limits(dangling=6)" in nothing
    assert "Limits(dangling=6)" in deleted
    assert violations(shown, Limits(dangling=6, creations=9, additions=9, removals=9)) == ()
    kept = diff.exclude("old")
    (sentence,) = violations(as_stream(kept) if streamed else kept, Limits(additions=9))
    assert "refers to users that the source does not have: " in sentence
    assert f"Limits(dangling={101 - written})" in sentence


def as_stream(diff):
    class Long(Diff):
        streamed = True

    return Long(Streamed(lambda: iter(diff)), diff.branch_diffs, diff.hierarchies)


# Who declares -------------------------------------------------------------------------------------------------------


def declaring(name, count, of_tree=None, of_branch=None):
    class Declared(Tree):
        limits = of_tree
        template = Quiet
        users = Branch(User, importer=rows(count), limits=of_branch)

    return +Declared(name)


def runs(source, dest):
    return (
        lambda: source >> dest,
        lambda: source - dest | Quiet,
        lambda: (source > dest) | Quiet,
        lambda: source.users >> dest.users,
        lambda: source.users - dest.users | Quiet,
    )


@pytest.mark.parametrize("where", ["of_tree", "of_branch"])
@pytest.mark.parametrize("side", ["source", "dest"])
def test_declared_limits_hold_for_every_operator(where, side, capsys):
    strict = {where: Limits(deletions=3)}
    for number in range(5):
        source = declaring("source", 96, **(strict if side == "source" else {}))
        dest = declaring("dest", 100, **(strict if side == "dest" else {}))
        with pytest.raises(SafeguardError, match=r"4 deletions, over the limit of 3: .* limits=Limits\(deletions=4\)"):
            runs(source, dest)[number]()
        lenient = {where: Limits(deletions=30)}
        assert runs(declaring("source", 70), declaring("dest", 100, **lenient))[number]().ok
    source > dest
    assert "would be refused: dest.users: 4 deletions, over the limit of 3" in capsys.readouterr().out


def test_a_branch_stands_before_its_tree_and_a_destination_before_its_source():
    dest = declaring("dest", 100, Limits(deletions=1, creations=5), Limits(deletions=10))
    assert violations(declaring("source", 90, Limits(deletions=1)) - dest) == ()
    assert [one.value for one in violations(declaring("source", 89) - dest)] == [11]
    assert [one.value for one in violations(declaring("source", 106) - dest)] == [6]


def test_a_call_raises_what_it_names_and_nothing_else():
    source, dest = declaring("source", 90), declaring("dest", 100, Limits(deletions=3, updates=0))
    assert source.sync_to(dest, limits=Limits(deletions=10)).ok
    for limits in (None, Limits(), Limits(updates=500), Limits(empty="users")):
        dest = declaring("dest", 100, Limits(deletions=3, updates=0))
        with pytest.raises(SafeguardError, match="10 deletions, over the limit of 3"):
            source.sync_to(dest, limits=limits)
        assert Preview.of(source - dest, limits=limits).refused


def test_what_is_no_limits_is_refused_where_it_is_declared():
    with pytest.raises(DeclarationError, match=r"limits are Limits, such as Limits\(deletions=50\) \(got 50\)"):
        Branch(User, limits=50)
    with pytest.raises(DeclarationError, match="Wrong: limits are Limits"):
        type("Wrong", (Tree,), {"limits": {"deletions": 50}})


def test_all_that_a_run_needs_is_said_at_once():
    source, dest = tree("source", rows(70, name="new")), tree("dest", rows(100, name="old"))
    with pytest.raises(SafeguardError, match=r"if all of this is meant: limits=Limits\(deletions=30, updates=70\)"):
        Quiet().apply(source - dest)
    assert Quiet().apply(source - dest, limits=Limits(deletions=30, updates=70)).ok


def test_many_parts_of_which_too_much_would_go_are_told_in_one_sentence():
    class Pupil(Object):
        form: str

    def tree(name, counts):
        rows = [{"idnumber": f"{form}{n}", "form": form} for form, count in counts.items() for n in range(count)]
        return +Tree(name, branches={"pupils": Branch(Pupil, importer=rows, part="form")})

    full = tree("full", dict.fromkeys("abcdefg", 12) | {"rest": 400})
    lost = (tree("lost", dict.fromkeys("g", 12) | {"rest": 400}) > full).refused
    assert len(lost) == 1
    assert "the source has nothing of 'a', 'b', 'c', 'd', 'e' and 1 more, and 72 objects of them would go" in lost[0]
    assert lost[0].endswith("empty=['pupils:a', 'pupils:b', 'pupils:c', 'pupils:d', 'pupils:e', 'pupils:f'])")
    (halved,) = (tree("halved", dict.fromkeys("abc", 1) | dict.fromkeys("defg", 12) | {"rest": 400}) > full).refused
    assert "33 of 36 objects of 'a', 'b', 'c' would go, more than half of each" in halved


def test_zeros_that_keys_have_lost_are_told_where_nearly_all_would_go():
    def store(name, keys, **more):
        return +Tree(name, branches={"users": Branch(User, importer=[{"idnumber": key, **more} for key in keys])})

    full, short = ([f"{number:0{width}}" for number in range(100, 140)] for width in (5, 3))
    said = "users: 40 new objects have the keys of deleted ones but for zeros in front, such as '100' and '00100'"
    refused = (store("short", short) > store("full", full)).refused
    assert [one.startswith(said) for one in refused] == [False, False, True]
    raised = store("short", short).preview(store("full", full), limits=Limits(deletions=40, creations=40))
    assert (raised.refused, said in str(raised.text(lines=None, columns=None))) == ((), True)
    assert not [one for one in (store("other", ["x", *short[:2]]) > store("full", full)).refused if "zeros" in one]
