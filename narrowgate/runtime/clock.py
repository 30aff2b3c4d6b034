"""The clock by which this room measures lives: nobody sets it, and it goes on while the machine sleeps.

A wall clock that is set back, or a plain monotonic clock after a sleep, would call a credential fresh that is over.
"""

from __future__ import annotations

import time

_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def read() -> float:
    """Return seconds since some fixed moment of the past."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
