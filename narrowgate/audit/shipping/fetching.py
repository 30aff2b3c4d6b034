"""Fetches what arrived, and puts it in order: each record once, all of them following each other.

At-least-once means that records may come twice; twice with different content means that somebody put one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.audit.ledger.records import FIRST_PREV
from narrowgate.audit.shipping.errors import ShippedDiffersError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.audit.shipping.batches import Line
    from narrowgate.audit.shipping.targets import Target


def fetch_ledger(target: Target, ledger: str) -> Iterator[bytes]:
    """Yield the lines of `ledger` that `target` holds, in order and each once.

    Raises:
        ShippingError: AWS does not give them.
        ShippedDiffersError: they are not one chain: a record is missing, or stands there twice with different content.

    """
    lines: dict[int, Line] = {}
    for line in target.read(ledger):
        known = lines.setdefault(line.seq, line)
        if known.raw != line.raw:
            raise ShippedDiffersError(f"{target.name} holds record {line.seq} twice, and not the same.")
    before: tuple[int, str] = (0, FIRST_PREV)
    for seq in sorted(lines):
        line = lines[seq]
        if (line.seq, line.prev) != (before[0] + 1, before[1]):
            raise ShippedDiffersError(f"{target.name} lacks records {before[0] + 1} to {seq - 1}, or one was changed.")
        before = (seq, line.head)
        yield line.raw
