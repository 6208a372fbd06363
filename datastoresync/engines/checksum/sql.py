"""How a server writes a row as text that every other server writes alike, and what it makes of that text.

A row is its fields in their order, each followed by a comma. What cannot hold a comma is written as it is; before text
stand the number of its characters and a colon. NULL is nothing at all, so that it is not the empty text, ``0:``.
Numbers, truth values among them, have neither a plus nor zeros behind the point that say nothing: ``1.50`` is ``1.5``,
true is ``1``. Doubles have the fewest digits that give the same double back. Dates and moments are those of ISO 8601
with a blank, in UTC if they have a time zone. Bytes are hexadecimal. The digest of a row is the first half of the
SHA-256 of this text in UTF-8, in lowercase hexadecimal digits.

Needs SQLAlchemy, and is only imported once tables of two databases are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from datastoresync.engines.relation import CannotPushDown

Expression = sa.ColumnElement[Any]
SideName = Literal["left", "right"]

BITS: Final = 64
"""The width of a lane. Two of them make up a digest, and are summed up apart from one another."""
_HEX: Final = BITS // 4
_ARGUMENTS: Final = 99
"""How many arguments PostgreSQL lets a function have, and what concatenates the parts of a longer row."""
_PARTS: Final = 4
"""The hexadecimal digits of a key's digest that choose its part."""


@attrs.frozen(eq=False)
class ColumnText:
    """The text of a column.

    Args:
        family: The name of what can be equal to it: texts of one family are equal only where the values are, and almost
            always where they are.
        text: The text, NULL for NULL.
        length_prefixed: Whether there may be a comma in it, so that its length stands before it.
        key: What the column is sorted by, on all servers alike, and the type of its values; None where it is no good
            as a key.
    """

    family: str
    text: Expression
    length_prefixed: bool = False
    key: tuple[Expression, TypeEngine[Any]] | None = None

    def fields(self) -> Iterator[Expression]:
        """Yield what is concatenated for this column."""
        if self.length_prefixed:
            yield sa.func.char_length(self.text)
            yield sa.literal_column("':'")
        yield self.text
        yield sa.literal_column("','")


def column_text(column: Expression, kind: TypeEngine[Any], dialect: str, side: SideName) -> ColumnText:
    """Return how the values of a column are written.

    What a driver refuses to read, such as the date ``infinity``, and zero dates are written as ``side``: they differ
    from everything on the other side, so that they are read, and refused, as they would be otherwise.

    Args:
        column: The column.
        kind: Its type, as the catalogue of the database has it.
        dialect: A key of `CHECKSUM_DIALECTS`.
        side: Which of the two tables it is of.

    Raises:
        CannotPushDown: for types that are not written alike, or not exactly.
    """
    kind = getattr(kind, "data_type", None) or kind  # a domain is written like the type below it
    found = CHECKSUM_DIALECTS[dialect](column, kind, sa.literal_column(f"'{side}'"))
    if found is None:
        message = f"the checksums have no text for {kind!r}"
        raise CannotPushDown(message)
    return found


def _in_postgresql(column: Expression, kind: TypeEngine[Any], unreadable: Expression) -> ColumnText | None:  # noqa: PLR0911 - one for each type
    text: Expression = sa.cast(column, sa.Text)
    if isinstance(kind, sa.Boolean):
        return ColumnText("number", sa.cast(sa.cast(column, sa.Integer), sa.Text), key=(column, sa.Boolean()))
    if isinstance(kind, sa.Integer):
        return ColumnText("number", text, key=(column, sa.BigInteger()))
    if isinstance(kind, sa.Float):
        return _double_in_postgresql(column) if isinstance(kind, sa.Double) else None
    if isinstance(kind, sa.Numeric):
        return ColumnText("number", sa.cast(sa.func.trim_scale(column), sa.Text))
    if isinstance(kind, sa.Date):
        inside = column.between(_constant("date '0001-01-01'"), _constant("date '9999-12-31'"))
        return ColumnText("date", sa.case((sa.not_(inside), unreadable), else_=text), key=(column, sa.Date()))
    if isinstance(kind, sa.DateTime):
        return _moment_in_postgresql(column, unreadable, aware=kind.timezone)
    if isinstance(kind, sa.Uuid):
        return ColumnText("uuid", text, key=(column, sa.Uuid()))
    if isinstance(kind, sa.LargeBinary):
        return ColumnText("bytes", sa.func.encode(column, "hex"), length_prefixed=True)
    if isinstance(kind, postgresql.JSONB):
        return ColumnText("json of postgresql", text, length_prefixed=True)
    if isinstance(kind, sa.CHAR):  # a cast would take off the blanks that fill it up, and that the driver delivers
        text = sa.case((column.is_not(None), sa.func.concat(column, type_=sa.Text)))
    if isinstance(kind, sa.String):
        return ColumnText("text", text, length_prefixed=True, key=(text.collate("C"), sa.Text()))
    return None


def _double_in_postgresql(column: Expression) -> ColumnText:
    """Write small numbers without an exponent, as MariaDB does; the zero that is added takes the sign off -0.0."""
    text = sa.cast(column + _constant("0"), sa.Text)
    size = sa.func.abs(column)
    small = sa.and_(size >= _constant("1e-15::float8"), size < _constant("1e-4::float8"))
    plain = sa.cast(sa.cast(text, sa.Numeric), sa.Text)
    return ColumnText("double", sa.case((small, plain), else_=sa.func.replace(text, "e+", "e")))


def _moment_in_postgresql(column: Expression, unreadable: Expression, *, aware: bool) -> ColumnText:
    if aware:
        # A day less at either end: there are time zones in which the years 0 and 10000 have already begun.
        inside = column.between(
            _constant("timestamptz '0001-01-02 00:00Z'"), _constant("timestamptz '9999-12-30 00:00Z'")
        )
        text = sa.cast(sa.func.timezone("UTC", column), sa.Text)
        family = "moment with a time zone"
    else:
        last = _constant("timestamp '9999-12-31 23:59:59.999999'")
        inside = column.between(_constant("timestamp '0001-01-01'"), last)
        text = sa.cast(column, sa.Text)
        family = "moment"
    key = (column, sa.DateTime(timezone=aware))
    return ColumnText(family, sa.case((sa.not_(inside), unreadable), else_=text), key=key)


def _in_mariadb(column: Expression, kind: TypeEngine[Any], unreadable: Expression) -> ColumnText | None:  # noqa: PLR0911 - one for each type
    if getattr(kind, "zerofill", False):
        return None  # zeros in front, which the driver takes off
    if isinstance(kind, (sa.Boolean, sa.Integer)):
        return ColumnText("number", column, key=(column, sa.BigInteger()))
    if isinstance(kind, sa.Float):
        # With a scale, or in single precision, it is not written with all of its digits.
        whole = isinstance(kind, sa.Double) and kind.scale is None
        return ColumnText("double", sa.func.concat(column + _constant("0e0"))) if whole else None
    if isinstance(kind, sa.Numeric):
        text: Expression = sa.func.concat(column)
        return ColumnText("number", sa.case((sa.func.locate(".", text) > 0, _without_zeros(text)), else_=text))
    zero = sa.or_(
        *(function(column) == _constant("0") for function in (sa.func.dayofmonth, sa.func.month, sa.func.year))
    )
    if isinstance(kind, sa.Date):
        return ColumnText("date", sa.case((zero, unreadable), else_=sa.func.concat(column)), key=(column, sa.Date()))
    if isinstance(kind, sa.DateTime):
        text = _without_zeros(sa.func.date_format(column, "%Y-%m-%d %H:%i:%s.%f"))
        return ColumnText("moment", sa.case((zero, unreadable), else_=text), key=(column, sa.DateTime()))
    if isinstance(kind, _BINARY_IN_MARIADB):
        return ColumnText("bytes", sa.func.lower(sa.func.hex(column)), length_prefixed=True)
    text = sa.cast(column, mysql.CHAR(charset="utf8mb4"))
    if isinstance(kind, sa.JSON):
        return ColumnText("json of mariadb", text, length_prefixed=True)
    if isinstance(kind, sa.String) and not isinstance(kind, mysql.SET):
        return ColumnText("text", text, length_prefixed=True, key=(text.collate("utf8mb4_nopad_bin"), sa.Text()))
    return None


def _without_zeros(text: Expression) -> Expression:
    """Take off the zeros behind a point, and a point behind which nothing is left."""
    for end in ("'0'", "'.'"):
        text = sa.func.trim(_constant(f"TRAILING {end} FROM").op("")(text), type_=sa.Text)  # no comma in this one
    return text


def digest_of(fields: Sequence[ColumnText], dialect: str, side: SideName) -> Expression:
    """Return the digest of a row, 32 hexadecimal digits.

    MariaDB has no text that is longer than its ``max_allowed_packet``. The digest of such a row is another one for each
    ``side``, so that it is taken for different.
    """
    parts = [part for field in fields for part in field.fields()]
    if dialect == "postgresql":
        while len(parts) > _ARGUMENTS:
            parts = [sa.func.concat(*block) for block in _slices(parts, _ARGUMENTS)]
        text: Expression = sa.func.concat(*parts, type_=sa.Text)
        digest = sa.func.encode(sa.func.sha256(sa.func.convert_to(text, "UTF8")), "hex", type_=sa.Text)
        return sa.func.left(digest, 2 * _HEX, type_=sa.Text)
    text = sa.func.concat_ws("", *parts, type_=sa.Text)
    missing = ("0" if side == "left" else "f") * 2 * _HEX
    return sa.func.coalesce(sa.func.left(sa.func.sha2(text, 256), 2 * _HEX), missing, type_=sa.Text)


def lanes_of(digest: Expression, dialect: str) -> list[Expression]:
    """Return the sums of the halves of digests, as numbers of `BITS` bits; they count modulo ``2**BITS``."""
    return [sa.func.sum(_number(sa.func.substr(digest, start, _HEX), BITS, dialect)) for start in (1, 1 + _HEX)]


def part_of(digest: Expression, parts: int, dialect: str) -> Expression:
    """Return into which of so many parts a row falls, by the digest of its key."""
    number = _number(sa.func.substr(digest, 1, _PARTS), 4 * _PARTS, dialect)
    return sa.func.mod(number, _constant(str(parts)), type_=sa.Integer)


def _number(digits: Expression, bits: int, dialect: str) -> Expression:
    """Read hexadecimal digits; the upper half of the numbers of `BITS` bits is negative in PostgreSQL."""
    if dialect == "postgresql":
        read = sa.cast(sa.literal_column("'x'").op("||")(digits), postgresql.BIT(bits))
        return sa.cast(read, sa.BigInteger if bits == BITS else sa.Integer)
    return sa.cast(sa.func.conv(digits, 16, 10), mysql.BIGINT(unsigned=True))


def _constant(sql: str) -> Expression:
    return sa.literal_column(sql)


def _slices(parts: Sequence[Expression], size: int) -> Iterator[Sequence[Expression]]:
    for start in range(0, len(parts), size):
        yield parts[start : start + size]


_BINARY_IN_MARIADB: Final = (
    sa.LargeBinary,
    sa.BINARY,
    sa.VARBINARY,
    mysql.TINYBLOB,
    mysql.MEDIUMBLOB,
    mysql.LONGBLOB,
)

CHECKSUM_DIALECTS: Final[Mapping[str, Callable[[Expression, TypeEngine[Any], Expression], ColumnText | None]]] = (
    MappingProxyType({"postgresql": _in_postgresql, "mariadb": _in_mariadb})
)
"""How each kind of database writes its types, None for those that it does not write like the others."""
