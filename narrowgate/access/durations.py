"""Durations in words: the text that locks, diffs and answers show, and back to seconds.

A duration is written in the largest unit that divides it, so that equal times are equal texts. This module must not
judge whether a duration is acceptable.
"""

from __future__ import annotations

import re
from typing import Final

UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TEXT: Final = re.compile(r"(0|[1-9][0-9]{0,11})([dhms])")


def say_duration(seconds: int) -> str:
    """Return `seconds` (not negative) as a number and its largest unit: 900 is `15m`, 90 is `90s`, 0 is `0s`."""
    for unit, size in UNITS.items():
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return "0s"


def read_duration(text: str) -> int | None:
    """Return the seconds that `text` (a whole number and d, h, m or s) says, or None where it says none."""
    match = _TEXT.fullmatch(text)
    return int(match[1]) * UNITS[match[2]] if match else None
