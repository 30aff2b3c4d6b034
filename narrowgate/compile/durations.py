"""Durations as people write them: `90s`, `15m`, `1h30m`. A bare number is refused, since it does not say its unit."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

_DURATION: Final = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?")
_SECONDS: Final = (86_400, 3_600, 60, 1)
PATTERN: Final = r"^(?=.*[1-9])(\d{1,4}d)?(\d{1,4}h)?(\d{1,4}m)?(\d{1,5}s)?$"


def parse_duration(text: object) -> int:
    """Return the seconds of `text`; raise `ValueError` for what is no positive duration."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or not text:
        raise ValueError("a duration is written as 90s, 15m, 1h30m or 2d")
    seconds = sum(int(count) * unit for count, unit in zip(match.groups(), _SECONDS, strict=True) if count)
    if seconds <= 0:
        raise ValueError("a duration must be longer than nothing")
    return seconds


def format_duration(seconds: int) -> str:
    """Return `seconds` in the largest units that say them exactly."""
    parts = []
    for unit, name in zip(_SECONDS, "dhms", strict=True):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"


Duration = Annotated[
    int, BeforeValidator(parse_duration, json_schema_input_type=Annotated[str, Field(pattern=PATTERN)])
]
