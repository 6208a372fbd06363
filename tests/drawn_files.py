"""Pairs of delimited files, drawn with what may be odd or broken about them, and what a person sees of two branches."""

import copy
import csv
import datetime
import enum
import io
import re
import uuid
import warnings
from decimal import Decimal
from typing import Any, Literal

import attrs
from hypothesis import strategies as st

from datastoresync import Branch, CSVImporter, DatastoreSyncError, Limits, Object, Template, Tree, failed

# Classes ------------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Plain(Object):
    name: str
    note: str | None = None


class Whole(Object):
    name: int
    note: int | None = 7


class Numbers(Object):
    name: float
    note: Decimal | None = None


class Truths(Object):
    name: bool
    note: bool | None = None


class Days(Object):
    name: datetime.date
    note: datetime.datetime | None = None


class Clock(Object):
    name: datetime.time | None
    note: uuid.UUID | None = None


class Choices(Object):
    name: Colour
    note: Literal["a", 1, "x"] | None = None


class Mixed(Object):
    name: int | str
    note: Any = ""


class Numbered(Object):
    idnumber: int
    name: str
    note: str = "none"


class Dated(Object):
    idnumber: datetime.date
    name: str
    note: bool = False


class Universal(Object):
    idnumber: uuid.UUID
    name: str
    note: str = ""


class Pair(Object):
    _identifiers = ("name", "idnumber")
    name: str
    idnumber: int = 0
    note: str = ""


class OpenPair(Object):
    _identifiers = ("idnumber", "name")


class Carried(Object):
    _note: str = ""
    name: str

    @property
    def upper(self):
        return self.name.upper()


class Narrowed(Object):
    _attributes = ("note",)
    name: int | None = None
    note: str = ""


class Groups(Object):
    name: set[str]
    note: str = ""


class Checked(Object):
    name: str = attrs.field(validator=attrs.validators.max_len(3))
    note: str = ""


TYPED = (Whole, Numbers, Truths, Days, Clock, Choices, Mixed)
KEYED = (Numbered, Dated, Universal, Pair, OpenPair)
OTHER = (Carried, Narrowed, Groups, Checked)
CLASSES = (Object, Plain, *TYPED, *KEYED, *OTHER)

# Values -------------------------------------------------------------------------------------------------------------

TEXTS = [
    "",
    " ",
    "a",
    "A",
    "x",
    "ä",
    "a\u0308",
    "山",
    "🙂",
    'q"q',
    "'",
    ";",
    ",",
    "\\",
    "null",
    "NULL",
    "None",
    "=1",
    "#c",
    "g",
]
HARD = ["l\nl", "r\rr", "c\r\nc", "\t", "\x01", "\x02\x03", "\x1f", "\u2028", "\u0085", "\ufeff", "\u00a0 x"]
VALUES = {
    Whole: ["7", "007", "+7", "-0", "0", "", " 7", "7.0", "1e5", "9" * 18, "9" * 19, "9" * 40, "1_0", "\u0667"],
    Numbers: [
        "1",
        "1.0",
        "-0.0",
        "0",
        "nan",
        "NaN",
        "inf",
        "1e5",
        "100000",
        "1e400",
        "0.1",
        ".5",
        "5.",
        "1e-7",
        "",
        "1.10",
        "9" * 30,
    ],
    Truths: ["1", "0", "true", "TRUE", "t", "yes", "No", "off", "", "2", " 1"],
    Days: [
        *("2024-01-02", "2024-02-30", "0000-01-01", "9999-12-31", "2024-1-2", "", "infinity", "2024-01-02 ", "epoch"),
        *(
            "2024-01-02T10:00",
            "2024-01-02 10:00:00",
            "2024-01-02 10:00:00.000",
            "2024-01-02T10:00Z",
            "2024-01-02T24:00",
        ),
        *("2024-01-02T11:00+01:00", "2024-01-02T10:00:00,5", "2024-01-02 10:00:00.5"),
    ],
    Clock: [
        *("10:00", "10:00:00", "10:00Z", "11:00+01:00", "", "25:00"),
        *("0" * 32, "00000000-0000-0000-0000-000000000000", "A" * 32, "a" * 32, "0" * 31),
    ],
    Choices: ["1", "RED", "g", "GREEN", "a", "x", "", "b", "01"],
    Mixed: ["1", "01", "a", "", "1.0"],
}
FINE = {
    Whole: ["7", "007", "+7", "-0", "0", "9" * 18, "9" * 19, "9" * 40],
    Numbers: ["1", "1.0", "-0.0", "0", "1e5", "100000", "0.1", ".5", "1e-7", "1.10"],
    Truths: ["1", "0", "true", "TRUE", "t", "yes", "No", "off"],
    Days: ["2024-01-02", "2024-01-03"],
    Clock: ["10:00", "10:00:00", "10:00Z", "11:00+01:00", ""],
    Choices: ["1", "RED", "g", "GREEN"],
    Mixed: VALUES[Mixed],
}
NOTES = {Days: VALUES[Days][9:], Clock: VALUES[Clock][6:10], Choices: ["a", "1", "x", ""]}
KEYS = {
    Numbered: ["1", "2", "10", "-3", "007", "7", str(2**53), str(2**63), "9" * 30],
    Dated: ["2024-01-02", "2023-12-31", "0999-01-01", "2024-01-03"],
    Universal: ["0" * 32, "A" * 32, "a" * 32, "00000000-0000-0000-0000-000000000001", "f" * 32],
}
TEXT_KEYS = ["1", "2", "10", "a", "b", "Z", "ä", "山", "🙂", "ﬁ", "é", "x y", "'", "u__v", "w"]
BAD_KEYS = ["", " a", "A", "a ", "e\u0301", "fi", "Å", "Å", "\x1fa"]


@attrs.frozen
class File:
    """One file, as bytes, and how it is read."""

    content: bytes
    options: dict[str, Any]


@attrs.frozen
class Half:
    """One side: its class and its files."""

    cls: Any
    files: tuple[File, ...]


@st.composite
def cells(draw, cls, column, *, odd):
    if column == "idnumber" and cls is not Pair:
        return draw(st.sampled_from(KEYS.get(cls, TEXT_KEYS) + (BAD_KEYS if odd else [])))
    if column == "idnumber":
        return draw(st.sampled_from(["1", "2", "10", ""]))
    if cls in TYPED:
        fine = NOTES.get(cls, FINE[cls]) if column == "note" else FINE[cls]
        return draw(st.sampled_from(VALUES[cls] if odd else fine))
    return draw(st.sampled_from(TEXTS + (HARD if odd else [])))


@st.composite
def tables(draw, cls, *, like=None):
    """Draw the rows of a side, by column, of which some are those of another one."""
    odd = draw(st.integers(0, 9)) == 0
    columns = ["idnumber", "name", "note"]
    optional = {Plain: "note", Whole: "note", Numbered: "note", Dated: "note", Narrowed: "name"}.get(cls)
    if optional and draw(st.integers(0, 3)) == 0:
        columns.remove(optional)
    columns = draw(st.permutations(columns))
    row = st.fixed_dictionaries({name: cells(cls, name, odd=odd) for name in columns})
    # Keys that are there twice make no table; the class decides what a key is.
    keys = getattr(cls, "_identifiers", ("idnumber",))
    unique = None if draw(st.integers(0, 9)) == 0 else lambda row: tuple(row[name] for name in keys if name in row)
    rows = draw(st.lists(row, min_size=1, max_size=6, unique_by=unique))
    if like is not None and set(like[0]) == set(columns):
        seen = {unique(row) for row in rows} if unique else set()
        rows += [row for row in like if draw(st.booleans()) and (unique is None or unique(row) not in seen)]
    return [{name: row[name] for name in columns} for row in rows]


@st.composite
def files(draw, rows, cls):
    """Draw how rows are written, and perhaps damaged."""
    names = {name: {"_note": "note"}.get(name, name) for name in rows[0]}
    delimiter = draw(st.sampled_from([",", ",", ",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "cp1252"]))
    options: dict[str, Any] = {"delimiter": delimiter, "encoding": encoding}
    renamed = draw(st.integers(0, 3)) == 0
    if cls is Carried:
        renamed = True
        names["note"] = "extra"
    elif renamed:
        names["name"] = "full name"
    extra = draw(st.integers(0, 3)) == 0
    out = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    out.write(draw(st.sampled_from(["", "", "", "\ufeff", end])))
    writer.writerow([names[name] for name in rows[0]] + ["more"] * extra)
    for row in rows:
        writer.writerow([*row.values()] + [draw(st.sampled_from(["", "m", "n"]))] * extra)
        if draw(st.integers(0, 9)) == 0:
            out.write(end)
    text = out.getvalue()
    if renamed or (extra and (cls not in (Object, OpenPair) or draw(st.booleans()))):
        back = {"extra": "_note"} if cls is Carried else {}
        options["columns"] = {names[name]: back.get(names[name], name) for name in rows[0]}
    if draw(st.integers(0, 3)) == 0:
        options["null"] = draw(st.sampled_from(["null", "a", "", "x"]))
    damage = draw(st.integers(0, 14))
    place = draw(st.integers(0, len(text)))
    if damage == 0:
        text = text[:place]
    elif damage == 1:
        text = (
            text[:place] + draw(st.sampled_from(['"', delimiter, "\n", "\r", "\0", "\x01", '""', " "])) + text[place:]
        )
    elif damage == 2:
        text = text.removesuffix(end)
    content = text.encode(encoding, errors="replace")
    if damage == 3:
        place = draw(st.integers(0, len(content)))
        content = content[:place] + b"\xff" + content[place:]
    return File(content, options)


@st.composite
def sides(draw, cls, *, like=None):
    rows = draw(tables(cls, like=like))
    parts = [rows]
    if len(rows) > 1 and draw(st.integers(0, 4)) == 0:
        parts = [rows[:1], rows[1:]]
    written = [draw(files(part, cls)) for part in parts]
    # Files of one importer are read in one way.
    same = tuple(file for file in written if file.options == written[0].options)
    return Half(cls, same), rows


@st.composite
def pairs(draw):
    """Draw two sides, mostly of one class and with rows in common."""
    cls = draw(st.sampled_from(CLASSES))
    source, rows = draw(sides(cls))
    other = cls if draw(st.integers(0, 2)) else draw(st.sampled_from(CLASSES))
    dest, _ = draw(sides(other, like=rows))
    return source, dest


# What is seen -------------------------------------------------------------------------------------------------------


def shown(value):
    """Return something that tells values apart as a person would who sees them and their types."""
    return type(value).__name__, repr(value)


def failure(error):
    facts = {name: shown(value) for name, value in vars(error).items() if not name.startswith("__")}
    return type(error).__name__, str(error), facts


def attempt(function):
    try:
        return function()
    except (DatastoreSyncError, TypeError, KeyError, AttributeError, ValueError) as error:
        return failure(error)


def objects(items):
    return [shown(item) for item in items]


ASKED = ["1", "a", "Z", "", 1, 1.5, True, None, 7, 2**70, ("a", 1), ("1", "a"), ("1",), (), "\0", "\ud800", 1.0]


def sortable(key, keys):
    """Say whether it does not depend on what keys there are whether a key of another type is noticed."""
    if not isinstance(key, tuple) or not keys or not isinstance(keys[0], tuple):
        return bool(keys)
    return all(type(part) is type(other) for part, other in zip(key, keys[0], strict=False))


def look(branch, choice):
    """Return what a person can ask a branch; ``choice`` says which of many questions."""
    keys = list(branch)
    asked = [*ASKED[choice::4], *keys[:3]]
    seen = {
        "len": len(branch),
        "keys": list(map(shown, keys)),
        "reversed": list(map(shown, reversed(branch))),
        "values": objects(branch.values()),
        "types": {type(key).__name__ for key in keys},
        "repr": repr(branch),
        "html": branch._repr_html_(),
        "in": [key in branch for key in asked],
        "get": [shown(branch.get(key)) for key in asked],
        "item": [attempt(lambda key=key: shown(branch[key])) for key in asked],
        "find": attempt(lambda: objects(branch.find(name="a"))),
        "report": (branch.imported.rows, branch.imported.objects) if branch.imported else None,
    }
    for start in [None, *(key for key in ASKED[choice::4] if sortable(key, keys))]:
        for stop in (None, keys[-1] if keys else None)[choice % 2 :]:
            seen["range", shown(start), stop] = attempt(
                lambda start=start, stop=stop: objects(branch.range(start, stop))
            )
        seen["prefix", shown(start)] = attempt(
            lambda start=start: objects(branch.prefix(start)) if start is not None else None
        )
    return seen


def acted(diff):
    return [
        (one.verb, one.branch, shown(one.idnumber), one.attr, shown(one.value), shown(one.old_value), str(one))
        for one in diff
    ]


def run(folder, engine, source, dest, *, choice=None):
    """Import two sides and compare them; return all that a person sees."""
    seen: dict[str, Any] = {}
    trees = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, half in (("source", source), ("dest", dest)):
            paths = sorted(folder.glob(f"{name}-*"))
            importer = CSVImporter(paths, **half.files[0].options)
            tree = Tree(name, branches={"things": Branch(half.cls, importer=importer, engine=engine)})
            seen[name] = attempt(lambda tree=tree: (tree.load(), None)[1])
            trees.append(tree)
        if choice is not None:
            seen["looks"] = [look(tree.things, choice) for tree in trees]
        seen["diff"] = attempt(lambda: acted(trees[0] - trees[1]))
        seen["back"] = attempt(lambda: acted(trees[1] - trees[0]))
        seen["itself"] = attempt(lambda: acted(trees[0] - trees[0]))
    # A warning of the garbage is not one of the import.
    seen["warnings"] = [
        (one.category.__name__, str(one.message)) for one in caught if one.category is not ResourceWarning
    ]
    return seen, trees


def written(folder, **halves):
    for name, half in halves.items():
        for place, file in enumerate(half.files):
            (folder / f"{name}-{place}.csv").write_bytes(file.content)


# What is done to a branch -------------------------------------------------------------------------------------------


class Accepting(Template):
    """Takes every action but those of one key, which it refuses."""

    def accept(self, action):
        return failed("no") if action.idnumber in ("10", 10) else None

    new = update = old = accept


ANY = Limits(deletions=10**9, updates=10**9, removals=10**9, dangling=10**9, empty=["things"])
STEPS = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 5), st.sampled_from(["name", "note"]), st.sampled_from(["x", "", "zz"])),
    st.tuples(st.just("new"), st.sampled_from(["1", "10", "n", "0", "zz"])),
    st.tuples(st.just("remove"), st.integers(0, 5)),
    st.tuples(st.just("held"), st.integers(0, 5), st.sampled_from(["range", "find", "values", "items", "get"])),
    st.tuples(st.sampled_from(["sync", "diff", "iterate", "copy", "look", "load", "identity"])),
)


def changed(branch, key, name, *rest):
    """Change one object, or the branch; return what there is to see of it."""
    if name == "set" and key in branch and rest[1] not in branch.identifiers:
        return attempt(lambda: setattr(branch[key], rest[1], rest[2])), attempt(lambda: shown(branch[key]))
    if name == "new":
        return attempt(lambda: shown(branch.new(rest[0], name="new", note="n")))
    if name == "remove":
        return attempt(lambda: shown(branch.remove(key)))
    return None


def changed_while_held(trees, place, how):
    """Change an object that somebody held while others asked for it; return what the branch makes of it."""
    source, dest = trees
    branch = dest.things
    ways = {
        "range": lambda: list(branch.range()),
        "find": branch.find,
        "values": lambda: list(branch.values()),
        "items": lambda: [item for _, item in branch.items()],
        "get": lambda: [branch[key] for key in branch],
    }
    items = ways[how]()
    if not items:
        return None
    item = items[place % len(items)]
    key = next(key for key, one in branch.items() if one is item)
    seen = [branch[key] is item, attempt(lambda: acted(source - dest)), branch[key] is item]
    if "note" not in branch.identifiers:
        item.note = None
    return seen, shown(branch[key]), attempt(lambda: acted(source - dest))


def done(trees, step):
    """Do one thing to the destination, and return what there is to see of it."""
    source, dest = trees
    branch = dest.things
    name, *rest = step
    keys = list(branch)
    if name == "held":
        return changed_while_held(trees, *rest)
    if rest:
        key = keys[rest[0] % len(keys)] if keys and isinstance(rest[0], int) else "none"
        return changed(branch, key, *step)
    if name == "copy":
        copies = [copied(item) for item in branch.values() for copied in (copy.copy, copy.deepcopy)]
        for item in copies:
            item.name = "of a copy"
        return objects(branch.values())
    if name == "identity":
        held = [branch[key] for key in keys[:2]]
        return [branch[key] is item for key, item in zip(keys, held, strict=False)]
    plain = {
        "sync": lambda: re.sub(r" in [0-9.]+ s", "", str(source.sync_to(dest, limits=ANY))),
        "diff": lambda: acted(source - dest),
        "look": lambda: look(branch, 1),
        "load": lambda: dest.load() and None,
        "iterate": lambda: [key for key, item in branch.items() if item.idnumber == key],
    }
    return attempt(plain[name])


@st.composite
def work(draw):
    """Draw two sides of one class, and what is done to one of them."""
    cls = draw(st.sampled_from([Object, Plain, Numbered, Carried, OpenPair, Truths]))
    source, rows = draw(sides(cls))
    dest, _ = draw(sides(cls, like=rows))
    return source, dest, draw(st.lists(STEPS, max_size=8))
