"""What a condition operator means: whether a condition holds for the values that a request has for its key.

Rules of the IAM User Guide, "Condition operators" and "Conditions with multiple context keys or values": several
values of a policy are alternatives (for a negated operator: none may match); a missing key fails a plain operator,
satisfies a negated one, one with IfExists and ForAllValues, and fails ForAnyValue. A key with several values under
an operator without a set qualifier matches where any of them does (a negated operator: where none does).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal

from narrowgate.access.iam.glob import matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.access.iam.policy import Condition, Lookup

Family = Literal["literal", "caseless", "like", "arn", "number", "date", "bool", "binary", "address", "null"]
Values = tuple[str, ...] | None
"""What a request has for a key; None (or nothing) where the key is missing."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A base operator: how it compares and whether it is negated."""

    family: Family
    test: Callable[[str, str], bool]
    negated: bool = False


def holds(condition: Condition, values: Values, lookup: Lookup) -> bool:
    """Say whether the condition holds where the request has `values` for the condition's key."""
    operator = OPERATORS[condition.operator]
    if operator.family == "null":
        return any((value.text == "true") == (not values) for value in condition.values)
    if not values:
        return holds_without_key(condition, negated=operator.negated)
    wanted = [tokens for pattern in condition.values if (tokens := pattern.resolve(lookup)) is not None]
    test, negated = operator.test, operator.negated
    if not condition.quantifier:
        return any(test(tokens, value) for value in values for tokens in wanted) != negated
    if values == ("",):
        return condition.quantifier == "ForAllValues"
    results = (any(test(tokens, value) for tokens in wanted) != negated for value in values)
    return all(results) if condition.quantifier == "ForAllValues" else any(results)


def holds_without_key(condition: Condition, *, negated: bool) -> bool:
    """Say whether the condition holds where the request has no value for its key."""
    if condition.if_exists or condition.quantifier == "ForAllValues":
        return True
    return negated and not condition.quantifier


LARGEST_EXPONENT: Final = 200
"""Numbers with more digits than this before or after the point are not read."""


@lru_cache(maxsize=8192)
def read_number(text: str) -> Decimal | None:
    """Read a number; None where the text is none."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or not -LARGEST_EXPONENT <= int(number.as_tuple().exponent) <= LARGEST_EXPONENT:
        return None
    return number if abs(number.adjusted()) <= LARGEST_EXPONENT else None


def write_number(number: Decimal) -> str | None:
    """Write a number without an exponent, as IAM compares it; None where that would be absurdly long."""
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        return None
    return format(number.normalize(), "f")


_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?"
)
_EPOCH: Final = re.compile(r"-?\d{5,}(\.\d+)?")


@lru_cache(maxsize=8192)
def read_date(text: str) -> Decimal | None:
    """Read a date as seconds since 1970: ISO 8601 as the W3C profiles it (UTC where no zone is given), or epoch."""
    text = text.strip()
    if _EPOCH.fullmatch(text) and not re.fullmatch(r"\d{8}", text):
        return Decimal(text)
    parts = _DATE.fullmatch(text) or re.fullmatch(r"(\d{4})(\d\d)(\d\d)()()()()()", text)
    if parts is None:
        return Decimal(text) if text.isdecimal() else None
    year, month, day, hour, minute, second, fraction, zone = parts.groups()
    clock = int(hour or 0), int(minute or 0), int(second or 0)
    try:
        moment = datetime(int(year), int(month or 1), int(day or 1), *clock, tzinfo=_read_zone(zone))
    except ValueError:
        return None
    return Decimal((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)) + Decimal(f"0.{fraction or 0}")


def _read_zone(zone: str | None) -> timezone:
    if not zone or zone == "Z":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone[0] == "-" else offset)


@lru_cache(maxsize=8192)
def read_network(text: str) -> IPv4Network | IPv6Network | None:
    """Read an address or an address range in CIDR notation; None where the text is neither."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=8192)
def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read a request's address; None where the text is none."""
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


@lru_cache(maxsize=8192)
def read_binary(text: str) -> bytes | None:
    """Read a base64 value; None where the text is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _compare(read: Callable[[str], Decimal | None], wanted: tuple[int, ...]) -> Callable[[str, str], bool]:
    """Return a test that compares a request's value with a policy's: its sign is one of `wanted`."""

    def test(expected: str, value: str) -> bool:
        left, right = read(value), read(expected)
        return left is not None and right is not None and (left > right) - (left < right) in wanted

    return test


def _equal(expected: str, value: str) -> bool:
    return expected == value


def _equal_caseless(expected: str, value: str) -> bool:
    return expected.lower() == value.lower()


def _equal_binary(expected: str, value: str) -> bool:
    left, right = read_binary(expected), read_binary(value)
    return left is not None and left == right


def _within(expected: str, value: str) -> bool:
    network, address = read_network(expected), read_address(value)
    return network is not None and address is not None and address in network


def _never(_expected: str, _value: str) -> bool:
    raise AssertionError("Null compares no values")


_ORDERS: Final = {
    "Equals": ((0,), False),
    "NotEquals": ((0,), True),
    "LessThan": ((-1,), False),
    "LessThanEquals": ((-1, 0), False),
    "GreaterThan": ((1,), False),
    "GreaterThanEquals": ((0, 1), False),
}

OPERATORS: Final[dict[str, Operator]] = {
    "StringEquals": Operator("literal", _equal),
    "StringNotEquals": Operator("literal", _equal, negated=True),
    "StringEqualsIgnoreCase": Operator("caseless", _equal_caseless),
    "StringNotEqualsIgnoreCase": Operator("caseless", _equal_caseless, negated=True),
    "StringLike": Operator("like", matches),
    "StringNotLike": Operator("like", matches, negated=True),
    "ArnEquals": Operator("arn", matches),
    "ArnLike": Operator("arn", matches),
    "ArnNotEquals": Operator("arn", matches, negated=True),
    "ArnNotLike": Operator("arn", matches, negated=True),
    "Bool": Operator("bool", _equal_caseless),
    "BinaryEquals": Operator("binary", _equal_binary),
    "IpAddress": Operator("address", _within),
    "NotIpAddress": Operator("address", _within, negated=True),
    "Null": Operator("null", _never),
    **{f"Numeric{name}": Operator("number", _compare(read_number, w), negated=n) for name, (w, n) in _ORDERS.items()},
    **{f"Date{name}": Operator("date", _compare(read_date, w), negated=n) for name, (w, n) in _ORDERS.items()},
}
"""Every base operator, by AWS's spelling."""

SPELLINGS: Final = {name.lower(): name for name in OPERATORS}
