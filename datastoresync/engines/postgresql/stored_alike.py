"""Whether idnumbers in a database may look alike to a person, of which an import warns.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Final

import attrs
import sqlalchemy as sa

from datastoresync.engines.postgresql.keys import Keys
from datastoresync.syncers.sql.read import chunks_of

__all__ = ["Alike"]

_BLANKS: Final = " \t\n\v\f\r\x1c\x1d\x1e\x1f"
"""What Python strips of a text in ASCII."""
_STREAMED: Final = {"stream_results": True}


@attrs.frozen(eq=False)
class Alike:
    """The keys of a relation, as far as they are texts.

    Args:
        selectable: Where they are.
        keys: What they are.
    """

    selectable: sa.FromClause
    keys: Keys

    @property
    def _texts(self) -> list[sa.ColumnElement[Any]]:
        return [form.value for form in self.keys.forms if form.family == "text"]

    @property
    def plain(self) -> sa.ColumnElement[bool]:
        """An aggregate: whether all are made of the letters a to z, digits and underscores alone, if there are any.

        Such texts do not look alike if they are different. A name of these that does not begin with a digit needs no
        quotes in SQL, and there is nothing in PostgreSQL that says so more quickly; that it may quote a reserved word
        as well does no harm.
        """
        names = [sa.literal_column("'a'").op("||")(sa.collate(text, "C")) for text in self._texts]
        lengths = [(sa.func.octet_length(sa.func.quote_ident(name)), sa.func.octet_length(name)) for name in names]
        return sa.func.bool_and(sa.and_(sa.true(), *(one == other for one, other in lengths)))

    @property
    def _suspicion(self) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        """Two aggregates: whether some have blanks at their ends or are not in ASCII, and whether some have capitals.

        Texts of one case, without blanks at their ends and in ASCII do not look alike if they are different.
        """
        texts = [sa.collate(text, "C") for text in self._texts]  # by bytes, which takes half the time
        edges = [sa.or_(text < "!", sa.collate(sa.func.right(text, 1), "C") < "!") for text in texts]
        return sa.func.bool_or(sa.or_(*edges, self._beyond)), self._changed_by(sa.func.lower)

    def suspected(self, connection: sa.Connection) -> bool:
        """Say whether there may be some that look alike, where not all are `plain`."""
        odd, capitals = connection.execute(sa.select(*self._suspicion).select_from(self.selectable)).one()
        if odd or not capitals:
            return bool(odd)
        both = sa.select(self._changed_by(sa.func.upper)).select_from(self.selectable)
        return bool(connection.execute(both).scalar_one())

    def _changed_by(self, function: Any) -> sa.ColumnElement[bool]:
        texts = [sa.collate(text, "C") for text in self._texts]
        return sa.func.bool_or(sa.or_(*(function(text) != text for text in texts)))

    @property
    def _beyond(self) -> sa.ColumnElement[bool]:
        """Which rows have something in their key that is not in ASCII, if the database is in UTF-8."""
        return sa.or_(*(sa.func.octet_length(text) != sa.func.char_length(text) for text in self._texts))

    def found(self, connection: sa.Connection, *, everywhere: bool) -> bool:
        """Say whether there are any.

        The database looks as far as they are in ASCII; beyond, its lower case is not Python's, and they come here.

        Args:
            connection: Where to ask.
            everywhere: Whether the database cannot tell which texts are in ASCII.
        """
        beyond = sa.true() if everywhere else self._beyond
        folded = [
            attrs.evolve(form, value=sa.func.lower(sa.func.btrim(form.value, _BLANKS)))
            if form.family == "text"
            else form
            for form in self.keys.forms
        ]
        plain = Keys(folded, [None] * len(folded))
        rows = sa.select(sa.literal(1)).select_from(self.selectable).where(sa.not_(beyond))
        twice = rows.group_by(*plain.values).having(sa.func.count() > 1)
        if connection.execute(twice.limit(1)).first() is not None:
            return True
        names = [value.label(f"part{place}") for place, value in enumerate(self.keys.values)]
        others = sa.select(*names).select_from(self.selectable).where(beyond)
        seen: set[int] = set()  # a number a key, as there may be very many
        count, plainer = 0, []
        for columns in chunks_of(connection.execute(others, execution_options=_STREAMED)):
            for key in zip(*columns, strict=True):
                form = tuple(_folded(part) if isinstance(part, str) else part for part in key)
                seen.add(hash(form))
                count += 1
                if all(part.isascii() for part in form if isinstance(part, str)):
                    plainer.append(form if len(form) > 1 else form[0])
        if len(seen) < count:
            return True
        return any(
            connection.execute(rows.where(condition).limit(1)).first() is not None for condition in plain.among(plainer)
        )


def _folded(text: str) -> str:
    """Return what texts that look alike have in common."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
