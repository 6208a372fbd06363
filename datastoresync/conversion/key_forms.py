"""The one form of a key: what all spellings of it have in common, as a class declares it or a column has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs

Form = Callable[[Any], Any]
"""Returns the one form of a value, which is its own form."""

_MEMBERSHIPS = (set, frozenset, list)
_ONE_SPELLING = frozenset({int, bool, date, UUID, type(None)})
"""Types of which equal values are always written alike, so that a column has no other form for them."""
_SHARABLE = frozenset({str, type(None)})


@attrs.frozen(repr=False)
class TextForm:
    """The form of the texts among the parts of a key; all else stays as it is.

    Args:
        form: The form of a text.
    """

    form: Form

    def __call__(self, part: Any) -> Any:
        """Return the form of a part."""
        return self.form(part) if isinstance(part, str) else part


@attrs.frozen(repr=False)
class Forms:
    """The forms of keys, and of the attributes that name objects by their keys.

    Args:
        parts: The form of each part of a key, None for one without; empty if no part has one.
        attributes: The forms of other attributes; of a membership, that of each member.
    """

    parts: tuple[Form | None, ...] = ()
    attributes: Mapping[str, Form] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return self.key is not None or bool(self.attributes)

    @property
    def key(self) -> Form | None:
        """The form of a whole key, a tuple if it has several parts; None if there is none."""
        if all(part is None for part in self.parts):
            return None
        return self.parts[0] if len(self.parts) == 1 else CompositeForm(self.parts)


@attrs.frozen(repr=False)
class CompositeForm:
    """The form of keys of several parts.

    Args:
        parts: The form of each part, None for one without.
    """

    parts: tuple[Form | None, ...]

    def __call__(self, key: Any) -> Any:
        """Return the form of a key."""
        return tuple(part if form is None else form(part) for form, part in zip(self.parts, key, strict=True))


@attrs.frozen(repr=False)
class StoredForm:
    """The form that a column of a store has for several values.

    Args:
        form: The form of such a value.
    """

    form: Form

    def __call__(self, value: Any) -> Any:
        """Return the form of a value."""
        return value if type(value) in _ONE_SPELLING else self.form(value)


@attrs.frozen(repr=False)
class ChainedForm:
    """Several forms, one after the other.

    Args:
        forms: The forms.
    """

    forms: tuple[Form, ...]

    def __call__(self, value: Any) -> Any:
        """Return the form of a value."""
        for form in self.forms:
            value = form(value)
        return value


def chained(*forms: Form | None) -> Form | None:
    """Return the form that is all of these, each once; None if there is none."""
    found: list[Form] = []
    for form in forms:
        for one in form.forms if isinstance(form, ChainedForm) else (form,):
            if one is not None and one not in found:
                found.append(one)
    if len(found) > 1:
        return ChainedForm(tuple(found))
    return found[0] if found else None


def formed(form: Form, value: Any) -> Any:
    """Return the form of a value, of each member of a membership; None has none."""
    if isinstance(value, _MEMBERSHIPS):
        return type(value)(map(form, value))
    return None if value is None else form(value)


def formed_column(form: Form, values: Sequence[Any]) -> Sequence[Any]:
    """Return the forms of many values; see `formed`."""
    if isinstance(form, ChainedForm):
        for one in form.forms:
            values = formed_column(one, values)
        return values
    kinds = set(map(type, values))
    if isinstance(form, StoredForm) and kinds <= _ONE_SPELLING:
        return values
    if kinds <= _SHARABLE:  # what names objects names few of them many times
        table = {value: formed(form, value) for value in set(values)}
        return list(map(table.__getitem__, values))
    return [formed(form, value) for value in values]


def formed_keys(form: Form, keys: Sequence[Any]) -> Sequence[Any]:
    """Return the forms of many keys."""
    if not isinstance(form, CompositeForm) or not keys:
        return formed_column(form, keys)
    parts = zip(form.parts, zip(*keys, strict=True), strict=True)
    return list(zip(*(part if one is None else formed_column(one, part) for one, part in parts), strict=True))


def is_of_columns(form: Form) -> bool:
    """Say whether a form of keys is one that columns have, and nothing that a class declares."""
    parts = form.parts if isinstance(form, CompositeForm) else form.forms if isinstance(form, ChainedForm) else (form,)
    return all(
        part is None or isinstance(part, StoredForm) or (part is not form and is_of_columns(part)) for part in parts
    )


def changes_nothing(form: Form | None, sample: Any) -> bool:
    """Say whether a form leaves all values as they are that have the type of a sample; of a key, part by part."""
    if isinstance(form, CompositeForm):
        return all(map(changes_nothing, form.parts, sample))
    if isinstance(form, ChainedForm):
        return all(changes_nothing(one, sample) for one in form.forms)
    return form is None or (isinstance(form, StoredForm) and type(sample) in _ONE_SPELLING)


def form_of(declared: Any, identifiers: Sequence[str]) -> tuple[Form | None, ...]:
    """Return the form of each part of a key, given what a class declares.

    Args:
        declared: A function of one value: of the key, or of each text in one of several parts; or a mapping from
            identifier to such a function.
        identifiers: The names of the parts.

    Raises:
        ValueError: if it is none of these; the message says what it must be.

    >>> [form and form("A1") for form in form_of({"login": str.casefold}, ["school", "login"])]
    [None, 'a1']
    """
    if isinstance(declared, Mapping):
        unknown = [name for name in declared if name not in identifiers]
        if unknown:
            message = (
                f"names {', '.join(map(repr, unknown))}, which is none of the identifiers {', '.join(identifiers)}"
            )
            raise ValueError(message)
        parts = tuple(declared.get(name) for name in identifiers)
    elif len(identifiers) == 1:
        parts = (declared,)
    else:
        parts = tuple(TextForm(declared) for _ in identifiers)
    for part in (declared,) if len(identifiers) > 1 and not isinstance(declared, Mapping) else parts:
        if part is not None and not callable(part):
            message = f"must be a function of one value such as str.casefold, or a mapping of them (got {part!r})"
            raise ValueError(message)
    return parts if any(part is not None for part in parts) else ()
