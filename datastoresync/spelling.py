"""Misspelt names: the existing one that was meant, and the names of a class that nothing would ever look at."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

_LISTED = 16
"""Names in a message, at most; of more, a few."""
_FEW = 5
_MOST = 2
"""Letters that are missing, wrong, too many or in each other's place in a name that is nearly another, at most."""


def closest(name: object, names: Iterable[str]) -> str:
    """Return the name that one which does not exist resembles most; empty if it resembles none."""
    from difflib import get_close_matches  # only a mistake needs it

    found = get_close_matches(str(name), list(names), 1)
    return found[0] if found else ""


def nearest(name: object, names: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the existing one that it resembles, or all in their order.

    Of many, a few are named, those first that resemble it most.

    >>> nearest("usres", ["users", "groups"])
    "did you mean 'users'?"
    """
    existing = list(names)
    if twin := composed_otherwise(name, existing):
        return twin
    if close := closest(name, existing):
        return f"did you mean {close!r}?"
    if len(existing) > _LISTED:
        from difflib import SequenceMatcher  # as in `closest`

        shown = sorted(existing, key=lambda one: -SequenceMatcher(None, one, str(name)).ratio())[:_FEW]
        return f"there are {', '.join(map(repr, shown))} and {len(existing) - len(shown):,} more"
    return f"there are {', '.join(map(repr, existing))}" if existing else "there are none at all"


def composed_otherwise(name: object, names: Iterable[str]) -> str:
    """Return the end of a message about a name that looks like one that there is, but has its accents otherwise."""
    from unicodedata import normalize  # only a mistake needs it

    form = normalize("NFC", str(name))
    twin = next((one for one in names if one != name and normalize("NFC", one) == form), "")
    return f"there is one that looks the same, in another Unicode form: {twin!a}; write it so" if twin else ""


def misspelt(name: str, names: Iterable[str]) -> str:
    """Return the name of which another, which may well have a meaning of its own, is nearly a copy; or nothing.

    Much stricter than `closest`: word by word, a letter or two are missing, wrong, too many or in each other's place,
    the fewer the shorter the word is.

    >>> misspelt("udpate_nmae", ["update_name"]), misspelt("newUser", ["new_users"])
    ('update_name', 'new_users')
    >>> misspelt("update_rate", ["update_name"]), misspelt("new_session", ["new_users"]), misspelt("send", ["end"])
    ('', '', '')
    """
    found = [(slips, other) for other in names if (slips := _slips(name, other)) <= _MOST]
    return min(found)[1] if found else ""


def _slips(name: str, other: str) -> int:
    if abs(len(name) - len(other)) > _MOST + 1:
        return _MOST + 1
    words, other_words = _words(name), _words(other)
    if len(words) != len(other_words):  # an underscore is missing, or too many
        slips = distance("".join(words), "".join(other_words))
        return slips if slips <= 1 else _MOST + 1
    total = 0
    for word, other_word in zip(words, other_words, strict=True):
        slips = distance(word, other_word)
        if slips > _tolerated(word, other_word, alone=len(words) == 1):
            return _MOST + 1
        total += slips
    return total


@lru_cache(maxsize=10_000)
def _words(name: str) -> list[str]:
    return [word for word in name.casefold().split("_") if word]


def _tolerated(word: str, other: str, *, alone: bool) -> int:
    shorter, longer = sorted((len(word), len(other)))
    if alone and shorter <= 3:
        return int(sorted(word) == sorted(other))
    return 1 if longer <= 6 or word[0] != other[0] else _MOST


@lru_cache(maxsize=10_000)
def distance(word: str, other: str) -> int:
    """Return how many letters are missing, wrong, too many or in each other's place (optimal string alignment).

    >>> distance("usres", "users"), distance("groups", "group"), distance("users", "groups")
    (1, 1, 5)
    """
    earlier: list[int]
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(word, 1):
        earlier, before, row = before, row, [index]
        for place, other_letter in enumerate(other, 1):
            least = min(row[-1] + 1, before[place] + 1, before[place - 1] + (letter != other_letter))
            if index > 1 and place > 1 and (letter, word[index - 2]) == (other[place - 2], other_letter):
                least = min(least, earlier[place - 2] + 1)
            row.append(least)
    return row[-1]


def takes(call: Callable[..., Any], count: int) -> bool:
    """Say whether so many arguments can be given to something that is called; yes, if it does not tell."""
    try:
        inspect.signature(call, follow_wrapped=False).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # written in C
        return True
    return True


def fault_of_call(call: Any, count: int, *, may_yield: bool = False, awaited: bool = True) -> str:
    """Return why calling something would do nothing or fail; empty if it would not.

    Args:
        call: What is called.
        count: The number of arguments.
        may_yield: Whether what it yields is taken.
        awaited: Whether it may be ``async def``.
    """
    if isinstance(call, type):
        return "is a class: calling it only makes an object, so write a method"
    if inspect.isasyncgenfunction(call) or (inspect.isgeneratorfunction(call) and not may_yield):
        return "has a yield, so that calling it does nothing: write it without one"
    if inspect.iscoroutinefunction(call) and not awaited:
        return "is async, and nothing awaits it: write it with def"
    if getattr(call, "__isabstractmethod__", False):
        return "is abstract: write it in a subclass"
    if not takes(call, count):
        given = f"{count} argument{'s' * (count != 1)}"
        return f"cannot be called with {given}: it is {inspect.signature(call, follow_wrapped=False)}"
    return ""


def member_problems(
    cls: type,
    base: type,
    hooks: Mapping[str, int],
    settings: Mapping[str, Any],
    *,
    ignored: tuple[type, ...] = (),
    awaited: bool = False,
) -> Iterator[str]:
    """Yield a sentence for each member of a class that is nearly a hook or a setting of its base, or a hook in vain.

    A method may be meant for a hook if it takes as many arguments, a value for a setting. One that a class has is not
    looked for: what resembles it helps it. The package's own classes are not looked at.

    Args:
        cls: The class.
        base: Its base.
        hooks: The number of arguments of each hook.
        settings: The values that the settings have in the base; of a text, only a text is a misspelt one.
        ignored: The types of values that mean something else.
        awaited: Whether hooks may be ``async def``.
    """
    own = [body for body in cls.__mro__[: cls.__mro__.index(base)] if not body.__module__.startswith("datastoresync.")]
    members = {name: value for body in reversed(own) for name, value in vars(body).items()}
    for name in sorted(hooks.keys() & members.keys()):
        call, count = getattr(cls, name), hooks[name] + inspect.isfunction(members[name])
        fault = (
            fault_of_call(call, count, may_yield=name in ("read", "reader"), awaited=awaited) if callable(call) else ""
        )
        if fault and not getattr(call, "__isabstractmethod__", False):  # which a subclass may write
            yield f"{cls.__name__}.{name} {fault}"
    for name, value in members.items():
        if name.startswith("_") or name in hooks or name in settings or isinstance(value, (property, *ignored)):
            continue
        if not isinstance(value, (staticmethod, classmethod)) and not inspect.isfunction(value):
            meant = misspelt(name, settings.keys() - members.keys())
            if meant and (not isinstance(settings[meant], str) or isinstance(value, str)):
                yield f"{cls.__name__}.{name} is no setting of a {base.__name__}: did you mean {meant!r}?"
            continue
        bare = name.removeprefix("on_")
        free = hooks.keys() - members.keys()
        meant = bare if bare in free else misspelt(bare, free)
        if meant and takes(getattr(cls, name), hooks[meant] + inspect.isfunction(value)):
            yield f"nothing calls {cls.__name__}.{name}: did you mean {meant!r}?"


def settings_of(base: type) -> dict[str, Any]:
    """Return the public settings that a class declares, with their values."""
    return {
        name: value
        for name, value in vars(base).items()
        if not name.startswith("_") and not callable(value) and not isinstance(value, (property, classmethod))
    }
