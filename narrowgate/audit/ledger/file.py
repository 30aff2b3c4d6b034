"""The ledger's file: whole lines appended under a lock, each naming the hash of the one before it.

Several processes may append to one file: whoever holds the lock first reads what the others wrote. A line is accepted
once `append` returns: it is with the kernel then, so the death of the process takes nothing; `sync` puts it on the
disk. A line that was cut (the machine died while it was written) was never accepted: it is cut off, and a `recovered`
record tells its length and hash.

A file that reaches its bound ends in a `sealed` record and gets a number in its name; the next one takes its place in
one step, so that the path always names a file. Numbers, hashes and sizes go on over all of them. This module must not
look into records further than their chain.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

from narrowgate.audit.ledger.errors import LedgerReplacedError, LedgerUnwritableError, RecordError
from narrowgate.audit.ledger.places import name_part
from narrowgate.audit.ledger.records import FIRST_PREV, RECORD_LIMIT, hash_line, join_line, parse_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODE = 0o600
SEALED = "sealed"
LINE_LIMIT = RECORD_LIMIT + 256
MAX_BYTES = 64 * 1024 * 1024


class LedgerFile:
    """One ledger's file. `own_record(kind, details)` makes the body of a record that this class itself must write.

    `max_bytes` is when a file is sealed and followed by another; it may be passed by one record.
    """

    def __init__(
        self, path: Path, own_record: Callable[[str, dict[str, Any]], bytes], *, max_bytes: int = MAX_BYTES
    ) -> None:
        self.path = path
        self._own_record = own_record
        self._max_bytes = max_bytes
        self._ledger = ""
        self._part = 1
        self._offset = 0
        self._mutex = threading.RLock()
        self._descriptor = -1
        self._pid = 0
        self._size = 0
        self._seq = 0
        self._head = FIRST_PREV

    def append(self, make_body: bytes | Callable[[int, str], bytes]) -> tuple[int, str]:
        """Append one record and return its number and hash.

        `make_body` is what follows `"prev"` in its line, or what returns it for the number and hash of the last record.

        Raises:
            LedgerUnwritableError: the record is not in the file.
            LedgerReplacedError: the file is not the one that was opened.

        """
        with self._locked():
            if self._size >= self._max_bytes:
                self._seal()
            body = make_body if isinstance(make_body, bytes) else make_body(self._seq, self._head)
            return self._write(body)

    def head(self) -> tuple[int, str, int]:
        """Return the last record's number and hash, and the bytes of all records up to it. Raises as `append` does."""
        with self._locked():
            return self._seq, self._head, self._offset + self._size

    def sync(self) -> None:
        """Wait until all that was appended is on the disk. Raises LedgerUnwritableError where it cannot be."""
        with self._mutex:
            if self._descriptor < 0 or self._pid != os.getpid():
                return
            descriptor = os.dup(self._descriptor)
        try:
            os.fsync(descriptor)  # without the lock: others may append meanwhile
        except OSError as error:
            raise LedgerUnwritableError(f"The ledger {self.path} is not on the disk: {error.strerror}.") from error
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with self._mutex:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file against threads and processes, open it where it is not open, and catch up with its end."""
        if self._pid not in {0, os.getpid()}:
            self._mutex = threading.RLock()  # another thread of the parent may have held it when this process forked
        with self._mutex:
            self._lock_current()
            try:
                self._catch_up()
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock_current(self) -> None:
        """Open and lock the file that the path names; follow where another process has sealed the one that is open."""
        while True:
            if self._descriptor < 0 or self._pid != os.getpid():  # a lock that was inherited by fork excludes nobody
                self._open()
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            except OSError as error:
                raise LedgerUnwritableError(f"The ledger {self.path} cannot be locked: {error.strerror}.") from error
            if self._is_current():
                return
            sealed = self._is_sealed()
            self.close()  # and so unlock it
            if not sealed:
                raise LedgerReplacedError(f"The ledger {self.path} is not the file that was opened.")
            self._size = 0

    def _is_current(self) -> bool:
        known = os.fstat(self._descriptor)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (known.st_ino, known.st_dev)

    def _is_sealed(self) -> bool:
        """Return whether the file that is open ends as one does that another follows."""
        size = os.fstat(self._descriptor).st_size
        try:
            return size > 0 and self._last_record(size)[0]["kind"] == SEALED
        except (LedgerReplacedError, KeyError):
            return False

    def _open(self) -> None:
        if self._descriptor >= 0 and self._pid != os.getpid():
            os.close(self._descriptor)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self.path, flags, MODE)
        except OSError as error:
            raise LedgerUnwritableError(f"The ledger {self.path} cannot be opened: {error.strerror}.") from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self.close()
            raise LedgerUnwritableError(f"The ledger {self.path} is no regular file.")
        self._pid = os.getpid()

    def _catch_up(self) -> None:
        """Bring number, hash and size up to the end of the file; heal a cut end."""
        size = os.fstat(self._descriptor).st_size
        if size == self._size and size:
            return
        if size < self._size:
            raise LedgerReplacedError(f"The ledger {self.path} is shorter than what was written to it.")
        self._read_end(size)

    def _read_end(self, size: int) -> None:
        """Read the last whole line, and cut off what follows it."""
        torn = self._torn_end(size)
        kind = ""
        if size == len(torn):
            self._seq, self._head = 0, FIRST_PREV
        else:
            self._read_beginning()
            record, self._head = self._last_record(size - len(torn))
            self._seq, kind = int(record["seq"]), str(record.get("kind", ""))
        self._size = size - len(torn)
        if torn:
            digest = hashlib.sha256(torn).hexdigest()
            os.ftruncate(self._descriptor, self._size)
            if kind != SEALED:
                self._write(self._own_record("recovered", {"bytes": len(torn), "sha256": digest}))
        elif size == 0:
            self._write(self._own_record("opened", {}))
        if kind == SEALED:
            self._continue()  # whoever sealed it died before the next one stood in its place

    def _read_beginning(self) -> None:
        """Read which ledger this is, which part of it the file holds, and how long the parts before it are."""
        line = os.pread(self._descriptor, LINE_LIMIT, 0).partition(b"\n")[0]
        try:
            details = parse_line(line)["details"]
            self._ledger = str(details["ledger"])
            self._part, self._offset = int(details.get("part", 1)), int(details.get("offset", 0))
        except (RecordError, KeyError, TypeError, ValueError):
            raise LedgerReplacedError(f"The ledger {self.path} does not begin as a ledger does.") from None

    def _seal(self) -> None:
        """End the file and go on in another. A file system without hard links has one file only."""
        sealed = name_part(self.path, self._part)
        try:
            os.link(self.path, sealed)
        except FileExistsError:
            if not sealed.samefile(self.path):
                raise LedgerReplacedError(f"There is a file {sealed} where a part of the ledger must go.") from None
        except OSError:
            return
        if not self._ledger:
            self._read_beginning()
        self._write(self._own_record(SEALED, {"part": self._part}))
        self._continue()

    def _continue(self) -> None:
        """Put the file that follows a sealed one in its place, in one step; it is locked before anybody sees it."""
        offset = self._offset + self._size
        details = {"ledger": self._ledger, "part": self._part + 1, "offset": offset}
        line = join_line(self._seq + 1, self._head, self._own_record("continued", details))
        following = self.path.with_name(f"{self.path.name}.next")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = -1
        try:
            os.fsync(self._descriptor)
            descriptor = os.open(following, flags, MODE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write_whole(descriptor, line)
            os.fsync(descriptor)
            following.rename(self.path)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            self._size = 0  # to be read anew: it ends in a sealed record
            raise LedgerUnwritableError(f"The ledger {self.path} took no record: {error.strerror}.") from error
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._part, self._offset, self._size = self._part + 1, offset, len(line)
        self._seq, self._head = self._seq + 1, hash_line(line[:-1])

    def _torn_end(self, size: int) -> bytes:
        """Return the bytes after the last newline."""
        end = os.pread(self._descriptor, min(size, LINE_LIMIT), max(0, size - LINE_LIMIT))
        torn = end[end.rfind(b"\n") + 1 :]
        if len(torn) >= LINE_LIMIT:
            raise LedgerReplacedError(f"The ledger {self.path} ends in no line of a ledger.")
        return torn

    def _last_record(self, size: int) -> tuple[dict[str, Any], str]:
        """Return the record whose line ends at `size`, and its hash."""
        end = os.pread(self._descriptor, min(size, LINE_LIMIT), max(0, size - LINE_LIMIT))
        line = end[end.rfind(b"\n", 0, len(end) - 1) + 1 : -1]
        try:
            record = parse_line(line)
            int(record["seq"])
        except (RecordError, KeyError, TypeError, ValueError):
            raise LedgerReplacedError(f"The ledger {self.path} ends in a line that is no record.") from None
        return record, hash_line(line)

    def _write(self, body: bytes) -> tuple[int, str]:
        """Append one line whole, or leave the file as it was."""
        line = join_line(self._seq + 1, self._head, body)
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise LedgerUnwritableError(f"The ledger {self.path} took no record: {error.strerror}.") from error
        if written != len(line):  # a disk that is full takes a part
            os.ftruncate(self._descriptor, self._size)
            raise LedgerUnwritableError(f"The ledger {self.path} took no record: the disk is full.")
        self._size += len(line)
        self._seq += 1
        self._head = hash_line(line[:-1])
        return self._seq, self._head


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write `line`; raise OSError where only a part of it went."""
    if os.write(descriptor, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
