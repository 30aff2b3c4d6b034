"""Durations and times as the server reads them: `90`, `"90"`, `"1h30m"`, `"2d"`, RFC 3339 and Unix seconds.

Lengths are whole nanoseconds, as in Go, so that bounds compare exactly.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

SECOND = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_LIMIT = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def parse_duration(value: str | float) -> int:
    """Return nanoseconds. A number without a unit counts seconds; the fraction of a bare number is cut off.

    Raises ValueError where the server refuses the value.
    """
    if isinstance(value, bool):
        raise ValueError("a boolean is no duration")  # noqa: TRY004 - one kind of error for all that is refused
    if not isinstance(value, str):
        return _bounded(int(value) * SECOND)
    if value == "":
        return 0
    if _INTEGER.fullmatch(value):
        return _bounded(int(value) * SECOND)
    if value.endswith("d"):
        if not _INTEGER.fullmatch(value[:-1]):
            raise ValueError(f"{value!r} is no duration")
        return _bounded(int(value[:-1]) * 86_400 * SECOND)
    return _bounded(_parse_go_duration(value))


def _parse_go_duration(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("+", "-") else text
    total = Fraction(0)
    at = 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None:
            raise ValueError(f"{text!r} is no duration")
        total += int(Fraction(match.group(1)) * _UNITS[match.group(2)])
        at = match.end()
    if at == 0:
        raise ValueError(f"{text!r} is no duration")
    return sign * int(total)


def _bounded(nanoseconds: int) -> int:
    if not -_LIMIT <= nanoseconds < _LIMIT:
        raise ValueError("the duration is too long")
    return nanoseconds


def to_nanoseconds(value: str | float | timedelta) -> int:
    """Return a length given by a caller: seconds, a text as above, or a timedelta. Raises ValueError."""
    if isinstance(value, timedelta):
        return (value.days * 86_400 + value.seconds) * SECOND + value.microseconds * 1_000
    if isinstance(value, float):
        return int(Fraction(value) * SECOND)
    return parse_duration(value)


def parse_time(text: str) -> datetime:
    """Return the point in time that `expiration` names. Raises ValueError where the server refuses it."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{text!r} is neither an RFC 3339 time nor Unix seconds")
        seconds = int(text)
        try:
            return _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            return _EARLIEST if seconds < 0 else _LATEST
    year, month, day, hour, minute, second, fraction, sign, off_hours, off_minutes = match.groups()
    offset = timedelta(hours=int(off_hours or 0), minutes=int(off_minutes or 0)) * (-1 if sign == "-" else 1)
    microseconds = int((fraction or "0")[:6].ljust(6, "0"))
    local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microseconds)  # noqa: DTZ001
    return local.replace(tzinfo=timezone(offset))
