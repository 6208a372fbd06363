"""The changes of a diff as columns for the interactive table of a notebook, and which of them are ticked there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.listing import Sides, object_spans
from datastoresync.masking import MASK
from datastoresync.printing.changes import OLD, cut, key_text, literal
from datastoresync.printing.progress_line import in_notebook
from datastoresync.printing.text import visible

if TYPE_CHECKING:
    from datastoresync.printing.widget import TableWidget

MOST = 200_000
"""Actions of the largest diff that has an interactive table."""
_CHARACTERS = 40_000_000
"""Characters of all values together, about; of fewer changes more is shown of each value."""
_SHORTEST = 80


class Ticks:
    """Which actions of a diff are ticked, by their positions, and the table in which that is seen.

    Args:
        bits: A bit an action, the least significant one of each byte first.
    """

    __slots__ = ("bits", "widget")

    def __init__(self, bits: bytes = b"") -> None:
        self.bits = bits
        self.widget: TableWidget | None = None

    def __reduce__(self) -> Any:
        return Ticks, (self.bits,)

    def positions(self) -> Iterator[int]:
        """Yield the positions of the ticked actions, in order."""
        for index, byte in enumerate(self.bits):
            for bit in range(8 if byte else 0):
                if byte >> bit & 1:
                    yield index * 8 + bit

    def tick(self, positions: Iterable[int], total: int) -> None:
        """Tick more actions of so many, in the table too."""
        bits = bytearray(self.bits.ljust((total + 7) // 8, b"\0"))
        for position in positions:
            bits[position // 8] |= 1 << position % 8
        self._keep(bytes(bits))
        if self.widget is not None:
            self.widget.ticked = self.bits

    def _keep(self, bits: bytes) -> None:
        self.bits = bits

    def table(self, title: str, columns: Callable[[], Mapping[str, Any]]) -> TableWidget | None:
        """Return the table, the same one each time; None outside of a notebook, or without anywidget.

        Args:
            title: What the table is called.
            columns: Returns the columns; see `columns_of`.
        """
        if self.widget is None and in_notebook():
            try:
                from datastoresync.printing.widget import TableWidget
            except ModuleNotFoundError as error:
                if error.name != "anywidget":
                    raise
                return None  # the static HTML is shown
            self.widget = TableWidget.of({"title": visible(title), **columns()}, self.bits, self._keep)
        return self.widget


def columns_of(actions: Sequence[Action], sides: Sides) -> dict[str, Any]:
    """Return the columns of a table with a row an action: texts that may be shown, of sensitive attributes a mask.

    ``verb``, ``branch`` and ``attr`` are numbers of the names in ``verbs``, ``branches`` and ``attrs``; ``old`` and
    ``new`` are values, of new and deleted objects all that they have, or numbers of those in ``olds`` and ``news``, if
    most stand there more than once.

    Args:
        actions: The actions.
        sides: The sides of their branches.
    """
    most = max(_SHORTEST, min(OLD, _CHARACTERS // max(2 * len(actions), 1)))

    masks: dict[Any, bool] = {}

    def masked(action: Action) -> bool:
        attr, branch = action.attr, action.branch
        of = branch, attr, type(action.source), type(action.dest)
        if of not in masks:
            declared = any(attr in side[branch].sensitive for side in sides if branch in side)
            masks[of] = declared or attr in action.sensitive
        return masks[of]

    def shown(text: str) -> str:
        plain = len(text) <= most and text.isascii() and text.isprintable()  # as most are
        return text if plain else visible(cut(text, most))

    known: dict[str, str] = {}

    def shown_value(value: Any) -> str:
        if type(value) is not str:
            return shown(literal(value))
        if value not in known:
            known[value] = shown(literal(value))
        return known[value]

    def values(action: Action) -> tuple[str, str]:
        if action.verb in ("new", "old"):
            spans = object_spans([action], sides)
            text = visible("".join(words for words, _ in spans))
            return ("", text) if action.verb == "new" else (text, "")
        if masked(action):
            return ("" if action.verb == "add" else MASK, "" if action.verb == "remove" else MASK)
        new = shown_value(action.value)
        if action.verb == "update":
            return shown_value(action.old_value), new
        return ("", new) if action.verb == "add" else (new, "")

    pairs = list(map(values, actions))
    return {
        "verbs": VERBS,
        "verb": [VERBS.index(action.verb) for action in actions],
        **_numbered("branch", "branches", [action.branch for action in actions]),
        "key": [shown(key_text(action.idnumber)) for action in actions],
        **_numbered("attr", "attrs", [action.attr for action in actions]),
        **_shared("old", "olds", [old for old, _ in pairs]),
        **_shared("new", "news", [new for _, new in pairs]),
    }


def _shared(name: str, names: str, texts: list[str]) -> dict[str, Any]:
    """Return texts, or numbers and what these are the numbers of, where that is much less to send."""
    return {name: texts} if 2 * len(set(texts)) > len(texts) else _numbered(name, names, texts)


def _numbered(name: str, names: str, values: Sequence[str]) -> dict[str, Any]:
    """Return the values as numbers, and the names that these are the numbers of."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return {names: list(map(visible, numbers)), name: [numbers[value] for value in values]}
