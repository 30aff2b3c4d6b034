"""Sends what is new, at least once: a note beside the ledger tells how far each target has it, by number and hash.

The note is written after a target took a batch; if that fails, the batch is sent again. A ledger that no longer holds
what the note tells is not shipped: it was changed.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.audit.ledger.reading import LedgerUnreadableError, read_records
from narrowgate.audit.shipping.batches import cut_batches, follows, read_lines
from narrowgate.audit.shipping.errors import ShippedDiffersError, ShippingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from narrowgate.audit.shipping.batches import Line
    from narrowgate.audit.shipping.targets import Target

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Shipped:
    """How far one target has a ledger: up to record `seq`, whose line has the hash `head`."""

    ledger: str
    seq: int = 0
    head: str = ""


def note_path(path: Path) -> Path:
    """Return where the note about the ledger at `path` stands."""
    return path.with_name(f"{path.name}.shipped")


def ship_ledger(path: Path, target: Target) -> tuple[Shipped, int]:
    """Ship what `target` has not, and return how far it has the ledger now, and how many records were sent.

    Raises:
        LedgerUnreadableError: the ledger or its note cannot be read.
        ShippedDiffersError: the ledger is not what was shipped of it before, or its chain is broken.
        ShippingError: AWS did not take a batch, or the note could not be written.

    """
    ledger, workflow = _read_opening(path)
    done = _read_notes(path).get(target.name) or Shipped(ledger)
    if done.ledger != ledger:
        raise ShippedDiffersError(f"{path} is another ledger than the one that was shipped to {target.name}.")
    sent = 0
    lines = _resume(read_lines(path, after=done.seq), done, path)
    for batch in cut_batches(lines, max_bytes=target.max_bytes, max_lines=target.max_lines, overhead=target.overhead):
        target.put(ledger, workflow, batch)
        done = Shipped(ledger, batch.lines[-1].seq, batch.lines[-1].head)
        _write_note(path, target.name, done)
        sent += len(batch.lines)
    return done, sent


def read_shipped_through(path: Path) -> int:
    """Return the last record of the ledger at `path` that every target has; 0 where there is none."""
    return min((shipped.seq for shipped in _read_notes(path).values()), default=0)


def _resume(lines: Iterator[Line], done: Shipped, path: Path) -> Iterator[Line]:
    """Return the lines after what was shipped, and hold the last one that was against its hash."""
    first = next(lines, None)
    if done.seq and (first is None or first.seq != done.seq or first.head != done.head):
        if first is not None and follows(first, done.seq, done.head):  # what was shipped is gone by retention
            yield first
        else:
            raise ShippedDiffersError(f"{path} does not hold record {done.seq} as it was shipped.")
    elif first is not None and not done.seq:
        yield first
    yield from lines


def _read_opening(path: Path) -> tuple[str, str]:
    for record in read_records(path):
        try:
            return str(record["details"]["ledger"]), str(record.get("workflow", ""))
        except (KeyError, TypeError):
            break
    raise LedgerUnreadableError(f"{path} does not begin as a ledger does.")


def _read_notes(path: Path) -> dict[str, Shipped]:
    note = note_path(path)
    try:
        data: Any = json.loads(note.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise LedgerUnreadableError(
                f"{note} has another version than {VERSION}.", hint="Install a newer narrowgate."
            )
        return {str(name): Shipped(**known) for name, known in data["targets"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise LedgerUnreadableError(
            f"{note} cannot be read.", hint="Remove it, and all is shipped once more: nothing is lost by that."
        ) from None


def _write_note(path: Path, name: str, shipped: Shipped) -> None:
    note = note_path(path)
    notes = {**_read_notes(path), name: shipped}
    text = json.dumps({"version": VERSION, "targets": {key: asdict(known) for key, known in sorted(notes.items())}})
    try:
        with tempfile.NamedTemporaryFile("w", dir=note.parent, prefix=f"{note.name}.", delete=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, note)  # noqa: PTH105 - `file.name` is a text
    except OSError as error:
        raise ShippingError(f"{note} cannot be written: {error.strerror}.", hint="The records arrived.") from None
