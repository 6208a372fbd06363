"""Two sides brought into the forms of keys that either of them declares or its store has."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import attrs

from datastoresync.conversion.key_forms import (
    ChainedForm,
    Form,
    Forms,
    chained,
    changes_nothing,
    formed_column,
    formed_keys,
    is_of_columns,
)
from datastoresync.conversion.lookalikes import form_that_unites, lookalike_keys, shown_pairs
from datastoresync.diffing.equality import comparable
from datastoresync.diffing.side import Side, may_differ
from datastoresync.errors import ComparisonError, DataWarning

Pair = tuple[Side, Side]


def in_common_forms(pairs: Iterable[Pair]) -> list[Pair]:
    """Return the sides of all branches in the forms that both sides have in common; see `in_common_form`.

    Raises:
        ComparisonError: if two keys of a side have one form, or a form refuses a key.
    """
    given = list(pairs)
    found = [in_common_form(left, right) for left, right in given]
    if all(one is other for pairs in zip(given, found, strict=True) for one, other in zip(*pairs, strict=True)):
        return found
    compared = [{side.branch: side for side in sides} for sides in zip(*found, strict=True)]
    return [
        (
            _with_references(left, before[0], {**right.references, **left.references}, compared[0]),
            _with_references(right, before[1], {**left.references, **right.references}, compared[1]),
        )
        for (left, right), before in zip(found, given, strict=True)
    ]


def _with_references(side: Side, before: Side, references: Mapping[str, str], compared: Mapping[str, Side]) -> Side:
    """Return a side that knows the keys of the branches that it refers to in the form that its values have.

    Args:
        side: The side in the form.
        before: The side as its branch has it.
        references: The branch that an attribute refers to.
        compared: The sides of the branches that are compared, in the form.
    """
    keys: dict[str, Collection[Any]] = {}
    spelled: dict[str, Form] = {}
    for attribute, target in references.items():
        form, known = side.forms.attributes.get(attribute), side.referenced_keys.get(target)
        if target in compared:
            if compared[target].own is not None:
                keys[target] = compared[target].objects
        elif known is not None and form is not None and form != before.forms.attributes.get(attribute):
            own_keys = list(known)
            own = dict(zip(formed_keys(form, own_keys), own_keys, strict=True))
            keys[target] = own.keys()
            spelled[target] = ChainedForm((_Spelling(own), side.referenced_spellings.get(target, _Spelling({}))))
    return attrs.evolve(
        side,
        referenced_keys={**side.referenced_keys, **keys},
        referenced_spellings={**side.referenced_spellings, **spelled},
    )


@attrs.frozen(eq=False, repr=False)
class _Spelling:
    """Returns keys as they are spelled elsewhere.

    Args:
        own: Those by their forms.
    """

    own: Mapping[Any, Any]

    def __call__(self, key: Any) -> Any:
        return self.own.get(key, key)


def in_common_form(left: Side, right: Side) -> Pair:
    """Return two sides whose keys, and values that name objects, are in every form that one of them has.

    Values that the destination's columns would hold otherwise are replaced by what they would hold. A side that is in
    these forms already keeps its objects where they are.

    Raises:
        ComparisonError: if two keys of a side have one form, or a form refuses a key.
    """
    if not any((side.forms or side.column_forms or side.normalized) for side in (left, right)):
        return left, right
    forms = _common(left, right)
    normalized = {name: form for name, form in right.normalized.items() if name in left.attributes}
    return _formed(left, right, forms, normalized), _formed(right, left, forms, {})


def _common(left: Side, right: Side) -> Forms:
    every = [side.forms for side in (left, right)] + [side.column_forms for side in (left, right)]
    width = len(right.identifiers)
    parts = [one.parts or (None,) * width for one in every if len(one.parts) in (0, width)]
    names = dict.fromkeys(name for one in every for name in one.attributes)
    return Forms(
        tuple(chained(*forms) for forms in zip(*parts, strict=True)),
        {name: form for name in names if (form := chained(*(one.attributes.get(name) for one in every))) is not None},
    )


def _formed(side: Side, other: Side, forms: Forms, normalized: Mapping[str, Form]) -> Side:
    """Return a side in the given forms, unless it has other keys altogether, which is for a later check to say."""
    if len(side.identifiers) != len(other.identifiers):
        return side
    table: Any = side.objects if hasattr(side.objects, "relation") else None
    # The rows of a table have the form of their own columns.
    held = side.column_forms if table is not None else Forms()
    key_form = _unless_known(forms.key, side.forms.key, held.key)
    readable = {*side.attributes, *side.child_fields}
    value_forms: dict[str, Form] = {}
    for name in forms.attributes.keys() | normalized.keys():
        declared = None if name in side.computed else side.forms.attributes.get(name)
        common = _unless_known(forms.attributes.get(name), declared, held.attributes.get(name))
        form = chained(common, normalized.get(name))
        if form is not None and name in readable:
            value_forms[name] = form
    applied = attrs.evolve(side, forms=forms, column_forms=Forms(), normalized={})
    if key_form is None and not value_forms:
        return applied
    work = _Work(side, other, key_form, value_forms)
    if table is not None:
        if not value_forms and changes_nothing(key_form, table.sample_key):
            return applied
        if not any(work.changes(keys, items) for keys, items in table.passing()):
            return applied
        reason = f"its keys or values are written otherwise than those of {other.name}"
        applied = attrs.evolve(applied, reason=reason, objects=table.objects())
    return work.renamed(applied)


def _unless_known(form: Form | None, *known: Form | None) -> Form | None:
    return None if form == chained(*known) else form


@attrs.frozen(eq=False, repr=False)
class _Work:
    """What is to be done to one side.

    Args:
        side: The side.
        other: The other one, for messages.
        key_form: The form of its keys, if they do not have it yet.
        value_forms: The forms of its values, by attribute.
    """

    side: Side
    other: Side
    key_form: Form | None
    value_forms: Mapping[str, Form]

    def changes(self, keys: Sequence[Any], items: Sequence[Any]) -> bool:
        """Say whether a key or a value of some objects has another form."""
        return self._keys(keys) != list(keys) or any(True for _ in self._values(keys, items))

    def _keys(self, keys: Sequence[Any]) -> list[Any]:
        if self.key_form is None:
            return list(keys)
        with suppress(Exception):  # one by one they show which it is
            if not is_of_columns(self.key_form) or hasattr(self.other.objects, "relation"):
                return list(formed_keys(self.key_form, keys))
            # What both sides write alike needs no form, and is nearly everything.
            rest = [key for key in keys if key not in self.other.objects]
            forms = dict(zip(rest, formed_keys(self.key_form, rest), strict=True))
            return [forms.get(key, key) for key in keys] if rest else list(keys)
        for key in keys:
            try:
                self.key_form(key)
            except Exception as error:
                if not all(comparable(key, one) for one in islice(self.other.objects, 1)):
                    break  # keys of another type, which are refused with what to declare
                message = f"{self.side.name}[{key!r}]: the form of the keys of {self.other.name} refuses it: {error}"
                raise ComparisonError(message) from error
        return list(keys)

    def _values(self, keys: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, str, Any, Any]]:
        """Yield the index, attribute, value and form of each value that has another form."""
        for name, form in self.value_forms.items():
            values = [self.side.read(key, item, name) for key, item in zip(keys, items, strict=True)]
            for index, (value, one) in enumerate(zip(values, formed_column(form, values), strict=True)):
                if may_differ(value, one):
                    yield index, name, value, one

    def renamed(self, applied: Side) -> Side:
        """Return the side with its objects under keys in the form, and values in it before theirs."""
        keys, items = list(applied.objects), list(applied.objects.values())
        new = self._keys(keys)
        overrides: dict[Any, dict[str, Any]] = {}
        stored: dict[Any, dict[str, Any]] = {}
        own_keys: dict[Any, Any] = {}
        for key, own in zip(new, keys, strict=True):
            if own in applied.overrides:
                overrides[key] = dict(applied.overrides[own])
            if own in applied.stored:
                stored[key] = dict(applied.stored[own])
            if key != own:
                own_keys[key] = own
                parts = own if len(applied.identifiers) > 1 else (own,)
                stored[key] = {**dict(zip(applied.identifiers, parts, strict=True)), **stored.get(key, {})}
        for index, name, value, one in self._values(keys, items):
            overrides.setdefault(new[index], {})[name] = one
            stored.setdefault(new[index], {}).setdefault(name, value)
        if not own_keys and overrides == applied.overrides:
            return applied
        if len(set(new)) < len(new):
            self._refuse_duplicates(new, keys)
        try:
            objects = dict(sorted(zip(new, items, strict=True), key=lambda pair: pair[0]))
        except TypeError as error:
            message = f"{applied.name}: the keys cannot be sorted in the form of those of {self.other.name}: {error}"
            raise ComparisonError(message) from error
        return attrs.evolve(
            applied, objects=objects, overrides=overrides, stored=stored, own=self.side, own_keys=own_keys
        )

    def _refuse_duplicates(self, new: Sequence[Any], keys: Sequence[Any]) -> None:
        first: dict[Any, Any] = {}
        for key, own in zip(new, keys, strict=True):
            if first.setdefault(key, own) is not own:
                message = (
                    f"{self.side.name}: {first[key]!r} and {own!r} are one key in {self.other.name}, {key!r}: remove "
                    "one of them, or merge the two"
                )
                raise ComparisonError(message)


def spellings(pairs: Mapping[str, Pair]) -> dict[str, dict[str, Form]]:
    """Return what gives the destination's spelling of the objects that values name, by branch and attribute.

    Only where the store of the destination spells any of them otherwise.

    Args:
        pairs: The source's and the destination's side of each branch.
    """
    named: dict[str, dict[str, str]] = {name: {} for name in pairs}
    for name, sides in pairs.items():
        for side in sides:
            named[name].update(side.references)
            for child, field in side.children.items():
                if child in side.held_children:
                    named[name][field] = child
                elif child in named:
                    named[child][field] = name
    found: dict[str, dict[str, Form]] = {}
    for name, (_, right) in pairs.items():
        for attribute, target in named[name].items():
            known = right.referenced_spellings.get(target)
            if target in pairs:
                known = pairs[target][1].spelling if pairs[target][1].stored else None
            if known is not None:
                found.setdefault(name, {})[attribute] = known
    return found


def warn_of_lookalikes(left: Side, right: Side, new: Sequence[Any], old: Sequence[Any]) -> None:
    """Warn of keys of one side only that a person would take for keys of the other side only.

    Args:
        left: The source.
        right: The destination.
        new: The keys that only the source has.
        old: The keys that only the destination has.
    """
    if not new or not old:
        return
    created = set(new)
    pairs = [pair for pair in lookalike_keys([*new, *old]) if pair[0] in created and pair[1] not in created]
    if pairs:
        form = form_that_unites(pairs) or "a function that returns what they have in common"
        owner = right.owner if right.owner != "Object" else f"a class for {right.branch or 'them'}"
        message = (
            f"{right.name}: idnumbers that differ from those of {left.name} only in case, Unicode form or blanks at "
            f"their ends are different: {shown_pairs(pairs)}; if they are one, declare `_key = {form}` in {owner}"
        )
        warnings.warn(message, DataWarning, stacklevel=2)
