"""Makes the two CSV files that the benchmarks compare, and writes them row by row."""

import array
import datetime
import random

KEY = "idnumber"
ATTRIBUTES = ("name", "email", "department", "level", "active", "since")
COLUMNS = (KEY, *ATTRIBUTES)

CHANGED, NEW, OLD = 0.01, 0.005, 0.005
"""The shares of rows that are changed in one attribute, and that are in one file only."""

_FIRST_DAY = datetime.date(1990, 1, 1)
_DAYS = [(_FIRST_DAY + datetime.timedelta(days=number)).isoformat() for number in range(12_000)]


def row(number):
    """Return one row, whose key, name and email no other row shares."""
    return [
        f"u{number:09d}",
        f"Person Number {number}",
        f"person.{number}@school.example",
        f"department {number % 97}",
        str(number * 7919 % 100_003),
        str(number * 31 % 7 % 2),
        _DAYS[number * 17 % 12_000],
    ]


def changed(values, place):
    """Return a row with another value in one place."""
    value = values[place]
    match COLUMNS[place]:
        case "level":
            other = str(int(value) + 1)
        case "active":
            other = str(1 - int(value))
        case "since":
            other = (datetime.date.fromisoformat(value) + datetime.timedelta(days=1)).isoformat()
        case _:
            other = f"{value} (changed)"
    return [*values[:place], other, *values[place + 1 :]]


def rows(count, *, seed=7, shares=(CHANGED, NEW, OLD)):
    """Return the rows of the source and those of the destination, ``count`` each, as two generators of lists.

    Both are shuffled, each in its own way. What is kept in memory is four bytes a row, and what differs.
    """
    mixed = random.Random(seed)
    differing, added, dropped = (round(count * share) for share in shares)
    shared = range(added, count)
    attribute_changed = {
        number: 1 + place % len(ATTRIBUTES) for place, number in enumerate(mixed.sample(shared, differing))
    }

    def source():
        for number in _shuffled(range(count), mixed.random()):
            values = row(number)
            place = attribute_changed.get(number)
            yield changed(values, place) if place else values

    def destination():
        for number in _shuffled(range(added, count + dropped), mixed.random()):
            yield row(number)

    return source(), destination()


def _shuffled(numbers, seed):
    order = array.array("I", numbers)
    random.Random(seed).shuffle(order)
    return order


def write(paths, count, *, seed=7):
    """Write the two files."""
    for path, side in zip(paths, rows(count, seed=seed), strict=True):
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(COLUMNS) + "\n")
            file.writelines(",".join(values) + "\n" for values in side)
