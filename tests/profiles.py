"""How many examples are tried: fewer of each law in `make test` than in `make slow`."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("quick", settings.get_profile("ci"), max_examples=15)


def examples(number, quick=None):
    """Return this number, of which the profile `quick` takes a seventh, or another number."""
    if quick is not None and is_quick():
        return quick
    return max(min(number, 5), number * settings().max_examples // 100)


def is_quick():
    """Say whether the profile is the one with few examples."""
    return settings().max_examples == settings.get_profile("quick").max_examples
