"""How far a server's clock is from ours: what a login's leeway, an expiry and a cut by time rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from narrowgate.compile.identity import LEEWAY_SECONDS
from narrowgate.operations.doctor.patient import SickError
from narrowgate.operations.errors import OperationError

# A `Date` header has whole seconds, and the answer took a moment.
ROUNDING_SECONDS: Final = 1.5


def compare_clock(whose: str, date: str | None) -> str:
    """Return how far a `Date` header is from now; raise SickError beyond the leeway of logins."""
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        raise OperationError(f"{whose} answer has no date.") from None
    apart = abs((datetime.now(UTC) - there).total_seconds())
    if apart > LEEWAY_SECONDS + ROUNDING_SECONDS:
        raise SickError(
            f"{whose} clock is {apart:.0f} s from this machine's; logins allow {LEEWAY_SECONDS} s.",
            hint="Let both keep time by NTP: tokens would be refused, or accepted after their end.",
        )
    return f"within {LEEWAY_SECONDS} s"
