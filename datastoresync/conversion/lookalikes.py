"""Keys that a person would take for one: they differ in case, in Unicode form, or in blanks at their ends."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from datastoresync.conversion.key_forms import TextForm


def lookalike_keys(keys: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Return pairs of text keys that a person would take for one."""
    texts = list(keys)
    if not texts or not isinstance(texts[0], (str, tuple)):
        return []
    if isinstance(texts[0], str):
        if _plain("".join(texts)):
            return []
        plain = map(str.casefold, map(str.strip, texts))
        found: list[Any] = list(plain if all(map(str.isascii, texts)) else map(lookalike_form, texts))
    else:
        found = [tuple(lookalike_form(part) if isinstance(part, str) else part for part in key) for key in texts]
    if len(set(found)) == len(texts):
        return []
    seen: dict[Any, Any] = {}
    pairs = []
    for key, form in zip(texts, found, strict=True):
        if form in seen:
            pairs.append((seen[form], key))
        else:
            seen[form] = key
    return pairs


def _plain(joined: str) -> bool:
    """Say whether different texts that add up to this one cannot look alike: ASCII, of one case, and without blanks."""
    return joined.isascii() and joined in (joined.lower(), joined.upper()) and joined.split(None, 1) == [joined]


def lookalike_form(value: str) -> str:
    """Return what texts that look alike have in common."""
    return unicodedata.normalize("NFKC", value).strip().casefold()


_SHOWN = 5


def shown_pairs(pairs: Sequence[tuple[Any, Any]]) -> str:
    """Return the first pairs as a message shows them, and how many more there are."""
    shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:_SHOWN])
    return shown + (f", and {len(pairs) - _SHOWN} more pairs" if len(pairs) > _SHOWN else "")


def form_that_unites(pairs: Iterable[tuple[Any, Any]]) -> str:
    """Return a function that makes each pair one key, as source code; empty if it takes a function of one's own."""
    flat = [(one, other) if isinstance(one, tuple) else ((one,), (other,)) for one, other in pairs]
    for name, form in (("str.casefold", str.casefold), ("str.strip", str.strip)):
        if all(list(map(TextForm(form), one)) == list(map(TextForm(form), other)) for one, other in flat):
            return name
    return ""
