"""How many examples Hypothesis tries: fewer of each law in `make test` than in `make slow`."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("quick", settings.get_profile("ci"), max_examples=25)


def examples(number):
    """Return how many examples of a law are tried: this number, and a quarter of it in the quick profile."""
    return max(min(number, 5), number * settings().max_examples // 100)
