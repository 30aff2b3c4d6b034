"""How many records a second one process writes and verifies.

The targets are 5,000 written (synced in batches) and 100,000 verified, on one core: its own time stands beside the
wall's, since no other process can take it. Printed, not asserted: a busy machine is no regression.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from narrowgate.audit.ledger import Entry, Lease, Ledger, Origin
from narrowgate.audit.ledger.verify import verify_ledger

WRITE_TARGET, VERIFY_TARGET = 5_000, 100_000
COUNT = 30_000
ENTRY = Entry(
    kind="call",
    tool="logs",
    action="search",
    operation="logs:FilterLogEvents",
    inputs={"logGroupName": "/app/payments", "filterPattern": "ERROR", "limit": 100},
    outputs={"events": {"items": 100}, "status": 200},
    outcome="allowed",
    lease=Lease("narrowgate-aws/sts/triage.logs/u8sjs7", "ASIAEXAMPLE", "triage.logs@alice"),
    duration_ms=31.5,
    requests=("6f1c2a9e-7a53-4f4b-9a53-0f4b1c2a9e7a",),
)


class Clock:
    """What passed since it was made: on the wall, and of this process's own time."""

    def __init__(self) -> None:
        self._wall, self._core = time.perf_counter(), time.process_time()

    def rates(self, count: int) -> tuple[float, float]:
        """Return `count` a second on the wall, and a second of one core."""
        return count / (time.perf_counter() - self._wall), count / (time.process_time() - self._core)


def main() -> None:
    """Print both rates beside their targets."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, where /tmp may be memory
        path = Path(folder) / "ledger.jsonl"
        clock = Clock()
        with Ledger(path, Origin("dev", "triage", "alice")) as ledger:
            for _ in range(COUNT):
                ledger.record(ENTRY)
        written = clock.rates(COUNT)
        clock = Clock()
        with path.open("rb") as file:
            verdict = verify_ledger(file, str(path))
        verified = clock.rates(verdict.records)
    if not verdict.intact:
        raise SystemExit(f"the ledger is not intact: {verdict.problems[:3]}")
    for what, (wall, core), target in (("written", written, WRITE_TARGET), ("verified", verified, VERIFY_TARGET)):
        print(
            f"{what:<9} {wall:>10,.0f} records/s   {core:>10,.0f} records/s of one core   "
            f"target {target:>8,}   {core / target:.1f} times"
        )


if __name__ == "__main__":
    main()
