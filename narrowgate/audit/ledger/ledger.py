"""`Ledger`: the one writer of tool calls. It redacts, bounds and chains records, and has checkpoints made of them.

A record of a call of low impact is written after it; where it cannot be, the agent goes on, and the next record that
can be written says how many were lost. A call of high impact starts only after its `begin` record is on the disk and a
checkpoint of it is anchored: else it does not start.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from narrowgate.audit.ledger.checkpoints import Anchor, Checkpoint, Witness, name_anchor
from narrowgate.audit.ledger.errors import CheckpointError, LedgerReplacedError, LedgerUnwritableError, RecordError
from narrowgate.audit.ledger.file import LINE_LIMIT, MAX_BYTES, LedgerFile
from narrowgate.audit.ledger.reading import choose_old_parts
from narrowgate.audit.ledger.records import OWN_KINDS, Entry, Origin, format_time, serialize_entry, serialize_own
from narrowgate.audit.ledger.redaction import Redaction
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet
    from types import TracebackType

SYNC_SECONDS: Final = 0.05
CHECKPOINT_SECONDS: Final = 60.0


class Finish(Protocol):
    """Takes the entry that says how a call of high impact ended; `secrets` are texts that must not stand in it."""

    def __call__(self, end: Entry, *, secrets: AbstractSet[str] = frozenset()) -> None:
        """Keep `end` until the call's block is over."""


class Ledger:
    """One process's hand on a ledger's file. Threads may share it; processes may share the file.

    `origin` says whose calls these are; without a `witness` no checkpoint is made. `warn(event, code)` hears of
    what failed in the background. A file that reaches `max_bytes` is sealed, and the records go on in the next.
    Made ready by the first record; `close` makes the last checkpoint.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        path: Path | str,
        origin: Origin | None = None,
        *,
        witness: Witness | None = None,
        redaction: Redaction | None = None,
        warn: Callable[[str, str], None] | None = None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.path = Path(path)
        self.origin = origin or Origin()
        self.witness = witness
        self.redaction = redaction or Redaction()
        self._warn = warn or (lambda _event, _code: None)
        self._checkpoint_seconds = checkpoint_seconds
        self._file = LedgerFile(self.path, self._own_record, max_bytes=max_bytes)
        self._checkpoint_lock = threading.Lock()
        self._covered = 0
        self._opening: tuple[str, str] | None = None
        self._lost = 0
        self._unsynced = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._thread_pid = 0
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        """Return the ledger."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def record(self, entry: Entry, *, secrets: AbstractSet[str] = frozenset(), durable: bool = False) -> int:
        """Append `entry` and return its number: then it outlives this process; with `durable`, this machine too.

        `secrets` are texts that must not stand in the record.

        Raises:
            LedgerUnwritableError, LedgerReplacedError: it is not in the ledger.
            RecordError: it is no record, or one that only the writer itself makes.

        """
        if entry.kind in OWN_KINDS:
            raise RecordError(f"Only the ledger's writer makes records of the kind {entry.kind}.")
        body = serialize_entry(entry, self.origin, self.redaction, secrets)
        try:
            if self._lost:
                self._tell_lost()
            seq, _ = self._file.append(body)
        except (LedgerUnwritableError, LedgerReplacedError):
            self._lost += 1
            raise
        if durable:
            self._file.sync()
        else:
            self._unsynced.set()
        self._start_thread()
        return seq

    @contextlib.contextmanager
    def high_impact(self, entry: Entry, *, secrets: AbstractSet[str] = frozenset()) -> Iterator[Finish]:
        """Let the block run only once its `begin` record is on the disk and anchored; then record how it ended.

        Yields a function that takes the entry of the outcome, and further `secrets`; without it, an exception counts as
        `failed`, and a plain end as `unknown`. Where that last record cannot be written, its error reaches the caller:
        the call was made, and its `begin` record stands.

        Raises:
            LedgerUnwritableError, LedgerReplacedError, CheckpointError: the call did not start.

        """
        call_id = entry.call_id or str(uuid.uuid4())
        self.record(replace(entry, kind="begin", call_id=call_id), secrets=secrets, durable=True)
        self.checkpoint()
        started = time.monotonic()
        ends: list[Entry] = []
        hidden = set(secrets)
        failure: str | None = None

        def finish(end: Entry, *, secrets: AbstractSet[str] = frozenset()) -> None:
            ends.append(end)
            hidden.update(secrets)

        try:
            yield finish
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            outcome = "failed" if failure else "unknown"
            end = ends[-1] if ends else replace(entry, outcome=outcome, error=failure)
            took = (time.monotonic() - started) * 1000
            end = replace(end, kind="call", call_id=call_id, duration_ms=end.duration_ms or took)
            self.record(end, secrets=hidden, durable=True)

    def checkpoint(self) -> Anchor | None:
        """Sign and anchor all that is written; None where nothing is new, or there is no witness.

        Raises:
            CheckpointError: it could not be signed or anchored.
            LedgerUnwritableError, LedgerReplacedError: the file cannot be read or written.

        """
        if self.witness is None:
            return None
        with self._checkpoint_lock:
            seq, head, size = self._file.head()
            if seq <= self._covered:
                return None
            self._file.sync()
            ledger_id, workflow = self._read_opening()
            if workflow != self.origin.workflow:
                raise CheckpointError(
                    f"The ledger {self.path} is that of {workflow or 'no workflow'}, not of {self.origin.workflow}.",
                    hint="Give each workflow a file of its own: let NARROWGATE_LEDGER name a folder.",
                )
            point = Checkpoint(
                ledger=ledger_id,
                seq=seq,
                head=head,
                size=size,
                time=format_time(dt.datetime.now(dt.UTC)),
                host=socket.gethostname(),
                path=os.path.realpath(self.path),
            )
            anchor = self._anchor(point, self.witness)
            self._covered, _ = self._file.append(self._own_record("checkpoint", anchor.describe()))
            return anchor

    def _anchor(self, point: Checkpoint, witness: Witness) -> Anchor:
        try:
            anchor = Anchor(point, witness.sign(point.message()), witness.key)
            return replace(anchor, place=witness.anchor(name_anchor(point), anchor.describe()))
        except CheckpointError:
            raise
        except NarrowgateError as error:
            raise CheckpointError(f"No checkpoint of the ledger {self.path} was made: {error}") from error

    def read_id(self) -> str:
        """Return the ledger's id: a random one that its first record tells."""
        return self._read_opening()[0]

    def _read_opening(self) -> tuple[str, str]:
        """Return the ledger's id and workflow, as its first record tells them."""
        if self._opening is None:
            self._file.head()
            with self.path.open("rb") as file:
                first = file.readline(LINE_LIMIT)
            try:
                record = json.loads(first)
                self._opening = str(record["details"]["ledger"]), str(record.get("workflow", ""))
            except (ValueError, KeyError, TypeError):
                raise LedgerReplacedError(f"The ledger {self.path} does not begin as a ledger does.") from None
        return self._opening

    def prune(self, before: dt.datetime, through: int | None = None) -> list[Path]:
        """Remove the oldest sealed files whose records all are older than `before`, and return which.

        With `through`, only files that hold no record after that number (what was shipped, for example). A record tells
        it first: files that are gone without one are found by a verification.

        Raises:
            LedgerUnwritableError, LedgerReplacedError, LedgerUnreadableError: nothing was removed.

        """
        chosen, last = choose_old_parts(self.path, format_time(before), through)
        if chosen:
            details = {"through": last, "files": [part.name for part in chosen][-20:], "before": format_time(before)}
            self._file.append(self._own_record("pruned", details))
            self._file.sync()
            for part in chosen:
                part.unlink()
        return chosen

    def close(self) -> None:
        """Put all on the disk, make the last checkpoint, close the file; what fails is told to `warn`."""
        self._stop.set()
        self._unsynced.set()
        if self._thread is not None and self._thread_pid == os.getpid():
            self._thread.join(timeout=5)
        try:
            self._file.sync()
            if self._thread is not None:
                self.checkpoint()
        except NarrowgateError as error:
            self._warn("ledger.close-failed", error.code)
        self._file.close()

    def _own_record(self, kind: str, details: dict[str, Any]) -> bytes:
        if kind == "opened":
            self._opening = str(uuid.uuid4()), self.origin.workflow
            details = {"ledger": self._opening[0]}
        if kind in {"opened", "continued"}:
            details = {**details, "host": socket.gethostname(), "path": os.path.realpath(self.path)}
        return serialize_own(kind, details, self.origin)

    def _tell_lost(self) -> None:
        lost = self._lost
        self._file.append(self._own_record("lost", {"records": lost}))
        self._lost -= lost

    def _start_thread(self) -> None:
        """Have one thread of this process sync soon, and checkpoint in time."""
        if self._thread is not None and self._thread_pid == os.getpid():
            return
        with self._starting:
            if self._thread is None or self._thread_pid != os.getpid():
                self._thread_pid = os.getpid()
                self._thread = threading.Thread(target=self._work, name="narrowgate-ledger", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        due = time.monotonic() + self._checkpoint_seconds
        while not self._stop.is_set():
            waiting = self._unsynced.wait(timeout=max(0.0, due - time.monotonic()))
            if self._stop.is_set():
                return  # close does the rest
            if waiting:
                self._unsynced.clear()
                self._attempt("ledger.sync-failed", self._file.sync)
                self._stop.wait(SYNC_SECONDS)
            if time.monotonic() >= due:
                self._attempt("ledger.checkpoint-failed", self.checkpoint)
                due = time.monotonic() + self._checkpoint_seconds

    def _attempt(self, event: str, work: Callable[[], object]) -> None:
        try:
            work()
        except NarrowgateError as error:
            self._warn(event, error.code)
