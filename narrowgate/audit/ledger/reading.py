"""Reads records back, in order, for people and programs. It believes the file: `verify` says whether one may.

This module must not write anything.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from narrowgate.audit.ledger.errors import LedgerError, RecordError
from narrowgate.audit.ledger.places import list_parts
from narrowgate.audit.ledger.records import RECORD_LIMIT, format_time, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINE_LIMIT = RECORD_LIMIT + 256


class LedgerUnreadableError(LedgerError):
    """There is no such ledger, it may not be read, or a line of it is no record."""

    code = "ledger-unreadable"
    hint = "Name the ledger's file; NARROWGATE_LEDGER names the one that this machine's agents write."
    exit_code = 2


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are wanted: None takes all. `since` is compared with the record's own time."""

    kinds: frozenset[str] = frozenset()
    workflow: str | None = None
    user: str | None = None
    tool: str | None = None
    since: dt.datetime | None = None

    def wants(self, record: dict[str, Any]) -> bool:
        """Return whether `record` fits."""
        if self.kinds and record.get("kind") not in self.kinds:
            return False
        named = (("workflow", self.workflow), ("user", self.user), ("tool", self.tool))
        if any(wanted is not None and record.get(name) != wanted for name, wanted in named):
            return False
        return self.since is None or str(record.get("time", "")) >= format_time(self.since)


@contextlib.contextmanager
def open_parts(path: Path) -> Iterator[list[tuple[Path, BinaryIO]]]:
    """Give the files of the ledger at `path`, open, in their order, as they stood at one moment.

    While they are read the newest may be sealed and followed: what is given then ends where it ended. Without a newest
    file only the sealed ones are given, perhaps none.

    Raises:
        LedgerUnreadableError: a file cannot be opened.

    """
    with contextlib.ExitStack() as stack:
        try:
            newest = stack.enter_context(path.open("rb")) if path.exists() else None
            given = None if newest is None else os.fstat(newest.fileno())
            files: list[tuple[Path, BinaryIO]] = []
            for part in list_parts(path)[:-1]:
                file = stack.enter_context(part.open("rb"))
                if given is not None and os.path.samestat(os.fstat(file.fileno()), given):
                    break  # it was sealed in this moment: it is the newest that is open already
                files.append((part, file))
        except OSError as error:
            raise LedgerUnreadableError(f"The ledger {path} cannot be read: {error.strerror}.") from None
        yield files if newest is None else [*files, (path, newest)]


def read_ledger(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every record of the ledger at `path`, as it stands now; a cut last line is left out.

    Raises:
        LedgerUnreadableError: there is none, a file cannot be read, or a line is no record.

    """
    with open_parts(path) as files:
        if not files:
            raise LedgerUnreadableError(f"There is no ledger {path}.")
        for part, file in files:
            yield from _read_file(part, file)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every record of one of a ledger's files; as in `read_ledger` otherwise."""
    try:
        with path.open("rb") as file:
            yield from _read_file(path, file)
    except OSError as error:
        raise LedgerUnreadableError(f"The ledger {path} cannot be read: {error.strerror}.") from None


def _read_file(path: Path, file: BinaryIO) -> Iterator[dict[str, Any]]:
    try:
        for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT), b""), start=1):
            if not line.endswith(b"\n"):
                return
            yield _parse(line, path, number)
    except OSError as error:
        raise LedgerUnreadableError(f"The ledger {path} cannot be read: {error.strerror}.") from None


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        return parse_line(line)
    except RecordError as error:
        raise LedgerUnreadableError(f"{path}:{number}: {error}", hint="narrowgate ledger verify says more.") from None


def choose_records(
    records: Iterable[dict[str, Any]], wanted: RecordFilter, last: int | None = None
) -> Iterable[dict[str, Any]]:
    """Return the records that fit, or the `last` of them."""
    fitting = (record for record in records if wanted.wants(record))
    return fitting if last is None else deque(fitting, maxlen=last)


def parse_since(text: str, now: dt.datetime) -> dt.datetime:
    """Return the time that `text` says: RFC 3339, or how long before `now` (`30m`, `12h`, `90d`).

    Raises:
        RecordError: it says none.

    """
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if text[-1:] in units and text[:-1].isdigit() and len(text) < 8:  # noqa: PLR2004 - 999999d are 2,700 years
        return now - dt.timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RecordError(f"{text[:40]!r} is no time.", hint="30m, 12h, 90d, or 2026-01-31T08:15:00Z.") from None
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def choose_old_parts(path: Path, before: str, through: int | None) -> tuple[list[Path], int]:
    """Return the oldest sealed files of the ledger at `path` that end before a time, and the last record in them.

    With `through`, only those that hold no record after that number. Raises LedgerUnreadableError.
    """
    chosen: list[Path] = []
    last = 0
    for part in list_parts(path)[:-1]:
        end: dict[str, Any] = {}
        for end in read_records(part):  # noqa: B007 - the last one is wanted
            pass
        seq = int(end.get("seq") or 0)
        if end.get("kind") != "sealed" or str(end["time"]) >= before or (through is not None and seq > through):
            break
        chosen.append(part)
        last = seq
    return chosen, last
