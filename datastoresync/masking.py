"""Secrets in texts and options: what may be shown of them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, quote_plus, unquote

MASK: Final = "***"
"""Stands where a secret stood."""

_NAME = r"pass|pwd|secret|token|credential|signature|(?:api|access|private|auth|account|shared|signing)[ _-]?key"
_QUERY_NAME = r"key|code|auth|authorization|jwt|sig|session|sid|pin"
"""Names that are secrets among the options of a URL, and elsewhere are words like any other."""
_QUOTED = r"""(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")"""
_VALUE_IN_TEXT = rf"{_QUOTED}|(?<![\w'])-?\d[\w.:+-]*"
_SHORTEST = 3
"""Characters of a value that is looked for without its quotes: shorter ones are parts of words."""
_VALUE = r"""[^&;\s'"]+"""
_PREFIXES = r"gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk[-_]|dapi|AKIA|eyJ"
_TOKEN = rf"(?:{_PREFIXES})\S{{8,}}|(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)\S{{8,}}|(?=\S*[a-zA-Z])(?=\S*\d)\S{{20,}}"
"""A text that no person would choose as the name of a user."""
E = TypeVar("E", bound=BaseException)
_USER = r"(?P<scheme>[\w+.-]+)://(?P<user>[^/\s:@?#]+)(?=:[^\s@]*@|@)"
_WEB = r"(?:\w+\+)?https?|wss?|git"
"""Schemes under which a user without a password is a token."""


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Return what finds secrets in a text; they take a while to compile, and most runs need none."""
    return (
        # ann:secret@ of a URL; a password that is not escaped may hold anything but blanks.
        re.compile(r"(?P<before>://[^/\s:@]*:)(?P<secret>\S+)(?=@)"),
        # password=…, 'api_key': '…', pwd = '…' of URLs, libpq, ODBC, JSON and what Python prints.
        re.compile(
            rf"""(?P<before>(?:{_NAME})[\w.-]{{0,40}}["']?\s*=>?\s*)(?P<secret>{_VALUE}|{_QUOTED})""", re.IGNORECASE
        ),
        re.compile(rf"""(?P<before>(?:{_NAME})[\w.-]{{0,40}}["']:\s*)(?P<secret>{_QUOTED})""", re.IGNORECASE),
        re.compile(rf"(?P<before>[?&;](?:{_QUERY_NAME})=)(?P<secret>[^&;#\s]+)", re.IGNORECASE),
        # "password: hunter2" of a sentence, if what follows is no plain word.
        re.compile(
            rf"""(?P<before>(?:{_NAME})[\w.-]{{0,40}}:\s*)(?P<secret>'[^']+'|"[^"]+"|(?=[^\s,;)]*\d)[^\s,;)]{{4,}})""",
            re.IGNORECASE,
        ),
        re.compile(r"""(?P<before>authorization["']?\s*[:=]\s*["']?(?:\w+ +)?)(?P<secret>[^\s"',;]+)""", re.IGNORECASE),
        re.compile(r"(?P<before>\bbearer +)(?P<secret>(?=\S*\d)[^\s\"',;]{8,})", re.IGNORECASE),
        re.compile(rf"(?P<before>)(?P<secret>(?<!\w)(?:{_PREFIXES})(?=[\w.-]*\d)[\w.-]{{12,}})"),
    )


def names_secret(name: object) -> bool:
    """Say whether the name of an option, a column or a key is that of a secret.

    >>> names_secret("api_key"), names_secret("idnumber")
    (True, False)
    """
    return bool(re.search(_NAME, str(name), re.IGNORECASE))


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without these secrets, and without whatever looks like one.

    >>> masked("cannot open postgresql://ann:secret@example.org/school?sslpassword=secret")
    'cannot open postgresql://ann:***@example.org/school?sslpassword=***'
    >>> masked("host=db user=ann password='it''s' dbname=school")
    "host=db user=ann password='***' dbname=school"
    >>> masked("https://ghp_16C7e42F292c6912E7@example.org/export?token=1")
    'https://***@example.org/export?token=***'
    """
    text = without_secrets(text, secrets)
    if "://" in text:
        text = re.sub(_USER, _masked_user, text)
    for pattern in _patterns():
        text = pattern.sub(_masked_secret, text)
    return text


def _masked_secret(found: re.Match[str]) -> str:
    quotation = found["secret"][0] if found["secret"][0] in "'\"" else ""
    return f"{found['before']}{quotation}{MASK}{quotation}"


def _masked_user(found: re.Match[str]) -> str:
    alone = found.string[found.end()] == "@" and re.fullmatch(_WEB, found["scheme"], re.IGNORECASE)
    return f"{found['scheme']}://{MASK}" if alone or is_token(found["user"]) else found[0]


def is_token(user: str) -> bool:
    """Say whether the user of a URL looks like a token, rather than like the name of a person or an account."""
    return bool(re.fullmatch(_TOKEN, user))


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text with each of these secrets masked, the longest first."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def secrets_in(options: Mapping[str, Any]) -> Secrets:
    """Return the values that no message may hold, as they are and as they stand in a URL.

    These are the values of options with the name of a secret, those that are a `SecretText`, and what looks like a
    secret within other texts.
    """
    found: list[str] = []
    for name, value in options.items():
        values = value if isinstance(value, (list, tuple)) else (value,)
        for one in values:
            if isinstance(one, Mapping):
                found += secrets_in(one)
            elif isinstance(one, str):
                found += [one] if names_secret(name) or isinstance(one, SecretText) else secrets_within(one)
    return Secrets(form for text in found for form in (text, unquote(text), quote(text, safe=""), quote_plus(text)))


def secrets_within(text: str) -> Iterator[str]:
    """Yield what looks like a secret in a text."""
    for pattern in _patterns():
        for found in pattern.finditer(text):
            yield found["secret"]
            yield found["secret"].strip("'\"")
    yield from (found["user"] for found in re.finditer(_USER, text) if MASK in _masked_user(found))


def without_values(text: str, values: Iterable[Any], names: Collection[str] = ()) -> str:
    """Return a text without these values, and without what looks like a value where it speaks of one of the attributes.

    >>> without_values("name is 'Ann'; 1234 is taken; 'pin' is stored as 99, not '98'", [1234], ["pin"])
    "name is 'Ann'; *** is taken; 'pin' is stored as ***, not ***"
    """
    waiting, forms = list(values), set[str]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, (set, frozenset, list, tuple)):
            waiting.extend(value)
        elif value is not None and not isinstance(value, bool) and value != "":
            forms |= {repr(value), str(value)} if len(str(value)) >= _SHORTEST else {repr(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    own = {f"{quotation}{name}{quotation}" for name in names for quotation in "'\""}
    named = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)") if own else None
    clauses = text.split(";")
    for index, clause in enumerate(clauses):
        if named is not None and named.search(clause):
            clauses[index] = re.sub(_VALUE_IN_TEXT, lambda found: found[0] if found[0] in own else MASK, clause)
    return ";".join(clauses)


class Secrets(tuple[str, ...]):
    """Secrets that a traceback with local variables does not show.

    >>> Secrets(["hunter2", "hunter2", "", "***"])
    <1 secret>
    """

    __slots__ = ()

    def __new__(cls, secrets: Iterable[str] = ()) -> Self:
        """Keep each once; neither nothing nor the mask is a secret."""
        return super().__new__(cls, (text for text in dict.fromkeys(secrets) if text and text != MASK))

    def __repr__(self) -> str:
        return f"<{len(self)} secret{'s' * (len(self) != 1)}>"


def without_frames(error: E) -> E:
    """Return an error that has no frames, and whose causes have none: their local variables may hold secrets."""
    one: BaseException | None = error
    while one is not None and one.__traceback__ is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


class ForgettingLocals:
    """Takes the local variables from the frames of an error that leaves it, and from those of its causes.

    Where each line is stays in the traceback. Frames that still run, such as the caller's, keep their variables.

    Args:
        classes: Classes of objects; without a sensitive attribute in one of them, nothing is taken.

    >>> class User:
    ...     _sensitive = ("password",)
    >>> with ForgettingLocals([User]):
    ...     pass
    """

    __slots__ = ("_active",)

    def __init__(self, classes: Iterable[Any]) -> None:
        self._active = any(getattr(cls, "_sensitive", ()) for cls in classes)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and clear the frames of an error."""
        waiting, seen = [error] if self._active else [], set[int]()
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


class SecretText(str):
    """A text that is a secret as a whole, such as a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class _Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(str(self)))


class _Bytes(bytes):
    __slots__ = ()

    def __repr__(self) -> str:
        return masked(super().__repr__())


class _Options(dict[str, Any]):
    def __repr__(self) -> str:
        shown = (f"{name!r}: {MASK if names_secret(name) else hidden(value)!r}" for name, value in self.items())
        return f"{{{', '.join(shown)}}}"


class _List(list[Any]):
    def __repr__(self) -> str:
        return masked(super().__repr__())


class _Tuple(tuple[Any, ...]):
    __slots__ = ()

    def __repr__(self) -> str:
        return masked(super().__repr__())


_HIDDEN: Final[Mapping[type, type]] = MappingProxyType(
    {str: _Text, bytes: _Bytes, list: _List, tuple: _Tuple, dict: _Options}
)
_PLAIN: Final[Mapping[type, type]] = MappingProxyType(
    {SecretText: str, **{kind: plain_kind for plain_kind, kind in _HIDDEN.items()}}
)


def hidden(value: Any) -> Any:
    """Return a text, a mapping or a sequence that is the same, and whose repr shows no secret.

    Tracebacks may show local variables.

    >>> hidden("sqlite:///x?password=hunter2"), hidden({"password": "hunter2", "path": "x"})
    ('sqlite:///x?password=***', {'password': '***', 'path': 'x'})
    """
    kind = _HIDDEN.get(type(value))
    if kind is None:
        return value
    if kind is _Options:
        return _Options({name: _hidden_option(name, one) for name, one in value.items()})
    return kind(value) if kind in (_Text, _Bytes) else kind(map(hidden, value))


def _hidden_option(name: str, value: Any) -> Any:
    return SecretText(value) if isinstance(value, str) and names_secret(name) else hidden(value)


def plain(value: Any) -> Any:
    """Return what `hidden` was called with, for code that is not ours."""
    kind = _PLAIN.get(type(value))
    if kind is None:
        return value
    if kind is dict:
        return {name: plain(one) for name, one in value.items()}
    return kind(value) if kind in (str, bytes) else kind(map(plain, value))
