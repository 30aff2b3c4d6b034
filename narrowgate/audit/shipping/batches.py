"""Cuts what is new in a ledger into batches that a target takes, and checks the chain on the way.

Only whole lines count: a line that is being written is left for the next time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from narrowgate.audit.ledger.reading import LINE_LIMIT, LedgerUnreadableError, open_parts
from narrowgate.audit.ledger.records import FIRST_PREV, hash_line
from narrowgate.audit.shipping.errors import ShippedDiffersError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START: Final = re.compile(rb'\{"version":1,"seq":([1-9][0-9]{0,15}),"prev":"([0-9a-f]{64})",')


@dataclass(frozen=True, slots=True)
class Line:
    """One record's line, with its newline."""

    seq: int
    prev: str
    raw: bytes

    @property
    def head(self) -> str:
        """Return the line's hash."""
        return hash_line(self.raw[:-1])


@dataclass(slots=True)
class Batch:
    """Lines that follow each other."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0

    @property
    def content(self) -> bytes:
        """Return the lines as they stand in the file."""
        return b"".join(line.raw for line in self.lines)


def read_lines(path: Path, *, after: int = 0) -> Iterator[Line]:
    """Yield the lines of the ledger at `path` from record `after` on (that one too), as far as they are whole.

    Raises:
        LedgerUnreadableError: a file cannot be read.
        ShippedDiffersError: a line is no record, or does not follow the one before.

    """
    before: Line | None = None
    with open_parts(path) as files:
        for part, file in _skip(files, after):
            while (raw := _read_line(file, part)).endswith(b"\n"):
                line = parse_start(raw, part)
                if before is not None and (line.seq, line.prev) != (before.seq + 1, before.head):
                    raise ShippedDiffersError(f"{part}: record {line.seq} does not follow the one before it.")
                before = line
                if line.seq >= after:
                    yield line


def _read_line(file: BinaryIO, part: Path) -> bytes:
    try:
        return file.readline(LINE_LIMIT)
    except OSError as error:
        raise LedgerUnreadableError(f"The ledger {part} cannot be read: {error.strerror}.") from None


def parse_start(raw: bytes, where: object) -> Line:
    """Return the line `raw` with its number; raise ShippedDiffersError where it is no record's."""
    match = START.match(raw)
    if match is None:
        raise ShippedDiffersError(f"{where}: a line is no record.")
    return Line(int(match[1]), match[2].decode(), raw)


def _skip(files: list[tuple[Path, BinaryIO]], after: int) -> list[tuple[Path, BinaryIO]]:
    """Return the files from the one on that holds record `after`."""
    first = 0
    for number, (part, file) in enumerate(files):
        match = START.match(_read_line(file, part))
        file.seek(0)
        if match is not None and int(match[1]) <= after:
            first = number
    return files[first:]


def cut_batches(lines: Iterator[Line], *, max_bytes: int, max_lines: int, overhead: int = 0) -> Iterator[Batch]:
    """Yield `lines` in batches of at most so many bytes and lines; `overhead` counts for each line."""
    batch = Batch()
    for line in lines:
        size = len(line.raw) + overhead
        if batch.lines and (batch.size + size > max_bytes or len(batch.lines) >= max_lines):
            yield batch
            batch = Batch()
        batch.lines.append(line)
        batch.size += size
    if batch.lines:
        yield batch


def follows(line: Line, seq: int, head: str) -> bool:
    """Return whether `line` comes right after record `seq` with the hash `head` (0 and zeros: it is the first)."""
    return (line.seq, line.prev) == (seq + 1, head or FIRST_PREV)
