"""How many records a second one process writes and verifies.

The targets are 5,000 written (synced in batches) and 100,000 verified.
Printed, not asserted: a busy machine is no regression.
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


def main() -> None:
    """Print both rates beside their targets."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, where /tmp may be memory
        path = Path(folder) / "ledger.jsonl"
        started = time.perf_counter()
        with Ledger(path, Origin("dev", "triage", "alice")) as ledger:
            for _ in range(COUNT):
                ledger.record(ENTRY)
        written = COUNT / (time.perf_counter() - started)
        started = time.perf_counter()
        with path.open("rb") as file:
            verdict = verify_ledger(file, str(path))
        verified = verdict.records / (time.perf_counter() - started)
    if not verdict.intact:
        raise SystemExit(f"the ledger is not intact: {verdict.problems[:3]}")
    for what, rate, target in (("written", written, WRITE_TARGET), ("verified", verified, VERIFY_TARGET)):
        print(f"{what:<9} {rate:>10,.0f} records/s   target {target:>8,}   {rate / target:.1f} times")


if __name__ == "__main__":
    main()
