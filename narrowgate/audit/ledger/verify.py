"""Is this ledger what its writer wrote? Chain, signatures and anchors, from the first byte to the last.

The chain alone finds accidents. What somebody rewrote whole is found by checkpoints only: by anchors, which nobody can
rewrite, and by signed checkpoints inside the file, where the public key is at hand. What no checkpoint covers is named
as such. A ledger of several files is read as one; parts that are gone must be told by a `pruned` record. This module
must not write anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from narrowgate.audit.ledger.checkpoints import Anchor, Checkpoint, read_anchor
from narrowgate.audit.ledger.errors import RecordError
from narrowgate.audit.ledger.records import FIRST_PREV, RECORD_LIMIT, hash_line, parse_line, start_of_line

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE_LIMIT: Final = RECORD_LIMIT + 256
FINDING_LIMIT: Final = 100
CHECKPOINT_MARK: Final = b'"kind":"checkpoint",'
OWN_MARKS: Final = (CHECKPOINT_MARK, b'"kind":"pruned",')
MARK_END: Final = 160  # the mark stands right after the chain's fields

# Returns whether the signature of a checkpoint is good; the key's name says whose it must be.
CheckSignature = Callable[[str, bytes, str], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written: `line` of the file `path` counts from 1 (0: the file as a whole)."""

    code: str
    line: int
    what: str
    path: str = ""


@dataclass(slots=True)
class Verdict:
    """What a verification found. `covered` is the last record that a checkpoint vouches for; `tail` come after it.

    `records` were read, from number `first` on; those before it were removed by retention.
    """

    path: str
    ledger: str = ""
    workflow: str = ""
    files: int = 1
    first: int = 1
    records: int = 0
    covered: int = 0
    covered_at: str = ""
    checkpoints: int = 0
    anchored: bool = False
    signed: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def tail(self) -> int:
        """Return how many records no checkpoint covers yet."""
        return max(0, self.last - max(self.covered, self.first - 1))

    @property
    def last(self) -> int:
        """Return the number of the last record."""
        return self.first - 1 + self.records

    @property
    def intact(self) -> bool:
        """Return whether nothing was found."""
        return not self.problems

    def report(self, code: str, line: int, what: str, path: str = "") -> None:
        """Add a problem of the file `path`, as long as there are not too many."""
        if len(self.problems) < FINDING_LIMIT:
            self.problems.append(Problem(code, line, what, path or self.path))

    def describe(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        return {
            "version": 1,
            "file": self.path,
            "ledger": self.ledger,
            "workflow": self.workflow,
            "intact": self.intact,
            "files": self.files,
            "first": self.first,
            "records": self.records,
            "covered": self.covered,
            "covered_at": self.covered_at or None,
            "tail": self.tail,
            "checkpoints": self.checkpoints,
            "anchored": self.anchored,
            "signed": self.signed,
            "problems": [{"code": p.code, "file": p.path, "line": p.line, "what": p.what} for p in self.problems],
        }


def verify_ledger(
    file: BinaryIO,
    path: str,
    *,
    anchors: Iterable[Anchor] | None = None,
    check_signature: CheckSignature | None = None,
) -> Verdict:
    """Return what is wrong with the ledger in `file`, which holds all of it.

    `anchors` are all that were kept for its workflow (None: they are not at hand). Without `check_signature` no
    signature counts, and an anchor counts by its place alone.
    """
    return verify_parts([(path, file)], path, anchors=anchors, check_signature=check_signature)


def verify_parts(
    parts: Iterable[tuple[str, BinaryIO]],
    path: str,
    *,
    anchors: Iterable[Anchor] | None = None,
    check_signature: CheckSignature | None = None,
) -> Verdict:
    """Return what is wrong with the ledger whose files are `parts`, in their order; `path` is where it is written to.

    The rest is as in `verify_ledger`.
    """
    known = None if anchors is None else _sort_anchors(anchors)
    reading = _Reading(Verdict(path, files=0), known)
    for name, file in parts:
        reading.follow(file, name)
    reading.finish()
    reading.weigh(check_signature)
    return reading.verdict


def _sort_anchors(anchors: Iterable[Anchor]) -> dict[str, list[Anchor]]:
    by_ledger: dict[str, list[Anchor]] = {}
    for anchor in sorted(anchors, key=lambda a: (a.checkpoint.ledger, a.checkpoint.seq)):
        by_ledger.setdefault(anchor.checkpoint.ledger, []).append(anchor)
    return by_ledger


class _Reading:
    """One pass over a ledger's files: follows the chain, and keeps the hashes that some checkpoint speaks of."""

    def __init__(self, verdict: Verdict, anchors: dict[str, list[Anchor]] | None) -> None:
        self.verdict = verdict
        self.anchors = anchors
        self.wanted: set[int] = set()
        self.hashes: dict[int, tuple[str, int]] = {}  # by a record's place: its hash, and the size up to its end
        self.inside: list[tuple[str, int, Anchor]] = []
        self.host, self.place = "", ""
        self.path = verdict.path
        self.position, self.expected = 0, 1
        self.head, self.size = FIRST_PREV, 0
        self.pruned = 0

    def follow(self, file: BinaryIO, path: str) -> None:
        """Read every line of one file, and report where the chain breaks."""
        self.path = path
        self.verdict.files += 1
        position, size, head, expected = self.position, self.size, self.head, self.expected
        wanted, hashes = self.wanted, self.hashes
        before = (head, size)
        number = 0
        for raw in iter(lambda: file.readline(LINE_LIMIT), b""):
            number += 1
            line = raw[:-1]
            if not raw.endswith(b"\n"):
                line = raw
                if not self._is_line(raw, number):
                    break
            if number == 1 and self.verdict.files == 1:
                position, size, head, expected = self._begin(line)
                before, wanted = (head, size), self.wanted
            position += 1
            if not line.startswith(start_of_line(expected, head)):
                expected = self._explain(line, number, expected, head)
            elif not line.endswith(b"}"):
                self._report("line-edited", number, "it is no whole record")
            head = hash_line(line)
            size += len(raw)
            if position in wanted:
                hashes[position] = (head, size)
            if any(mark in line[:MARK_END] for mark in OWN_MARKS):
                self._note_own(line, number, position, before)
            before = (head, size)
            expected += 1
        if number == 0:
            self._report("file-empty", 0, "the file holds no record")
        self.position, self.size, self.head, self.expected = position, size, head, expected

    def _is_line(self, raw: bytes, number: int) -> bool:
        """Report what is wrong with a line without its newline, and return whether it may be a record for all that."""
        if len(raw) >= LINE_LIMIT:
            self._report("line-too-long", number, f"it has more than {LINE_LIMIT} bytes")
            return False
        self._report("line-cut", number, "it ends without a newline")
        return True

    def _report(self, code: str, line: int, what: str) -> None:
        self.verdict.report(code, line, what, self.path)

    def finish(self) -> None:
        """Count what was read, and report records whose removal nobody told."""
        verdict = self.verdict
        verdict.records = self.position - verdict.first + 1 if self.position else 0
        if not verdict.files:
            verdict.report("file-empty", 0, "there is no file")
        if verdict.first > 1 and self.pruned < verdict.first - 1:
            what = f"records {self.pruned + 1} to {verdict.first - 1} are missing, and no record tells that they may be"
            verdict.report("part-missing", 0, what)

    def _begin(self, line: bytes) -> tuple[int, int, str, int]:
        """Read the first record, which names the ledger; return the place, size, hash and number to start from."""
        start = (0, 0, FIRST_PREV, 1)
        try:
            record = parse_line(line)
            details = record["details"]
            self.verdict.ledger, self.verdict.workflow = str(details["ledger"]), str(record.get("workflow", ""))
            self.host, self.place = str(details["host"]), str(details["path"])
            if record.get("kind") == "continued":
                first = int(record["seq"])
                start = (first - 1, int(details["offset"]), str(record["prev"]), first)
                self.verdict.first = first
        except (RecordError, KeyError, TypeError, ValueError) as error:
            self._report("beginning-missing", 1, f"the ledger does not begin with its opening record: {error}")
        if self.anchors is not None:
            self.wanted = {a.checkpoint.seq for a in self.anchors.get(self.verdict.ledger, ())}
        if start[0]:
            self.hashes[start[0]] = (start[2], start[1])
        return start

    def _explain(self, line: bytes, number: int, expected: int, head: str) -> int:
        """Report what a line that does not follow the one before tells, and return the number it claims."""
        report = self._report
        try:
            record = parse_line(line)
            seq, prev = int(record["seq"]), str(record["prev"])
        except (RecordError, KeyError, TypeError, ValueError) as error:
            report("line-edited", number, f"it is no record: {error}")
            return expected
        if seq > expected:
            report("record-missing", number, f"records {expected} to {seq - 1} are missing before it")
        elif seq < expected:
            report("record-out-of-order", number, f"it is record {seq}, where {expected} should be: moved or added")
        elif prev != head:
            report("chain-broken", number, "it names another hash than that of the line before: that one was edited")
        else:
            report("line-edited", number, "it does not begin as a record does")
        return seq

    def _note_own(self, line: bytes, number: int, position: int, before: tuple[str, int]) -> None:
        if CHECKPOINT_MARK in line[:MARK_END]:
            self._note_checkpoint(line, number, position, before)
        else:
            self._note_pruned(line, number)

    def _note_pruned(self, line: bytes, number: int) -> None:
        """Keep up to which record the writer says that it removed files."""
        try:
            self.pruned = max(self.pruned, int(parse_line(line)["details"]["through"]))
        except (RecordError, KeyError, TypeError, ValueError):
            self._report("pruned-unreadable", number, "it does not tell what was removed")

    def _note_checkpoint(self, line: bytes, number: int, position: int, before: tuple[str, int]) -> None:
        """Keep a checkpoint that the file itself holds. It usually speaks of the line right before it."""
        try:
            anchor = read_anchor(parse_line(line)["details"])
        except (RecordError, KeyError, TypeError, AttributeError) as error:
            self._report("checkpoint-unreadable", number, str(error))
            return
        if anchor.checkpoint.seq == position - 1:
            self.hashes[position - 1] = before
        self.inside.append((self.path, number, anchor))

    def weigh(self, check_signature: CheckSignature | None) -> None:
        """Hold the file against every checkpoint, those inside it and those that are anchored."""
        verdict = self.verdict
        check = check_signature and self._own_key(check_signature)
        if check is not None:
            for path, line, anchor in self.inside:
                self._weigh_signed(path, line, anchor, check)
        if self.anchors is None:
            return
        verdict.anchored = True
        for anchor in self.anchors.get(verdict.ledger, ()):
            point = anchor.checkpoint
            if check is not None and not check(anchor.key, point.message(), anchor.signature):
                verdict.report("anchor-forged", 0, f"the anchor {anchor.place} of record {point.seq} is not signed")
                continue
            self._weigh_anchor(anchor)
        self._weigh_absent()
        anchored = {a.checkpoint.seq for a in self.anchors.get(verdict.ledger, ())}
        for path, line, anchor in self.inside:
            if anchor.checkpoint.seq not in anchored:
                what = f"no anchor stands for its checkpoint of {anchor.checkpoint.seq}"
                verdict.report("anchor-missing", line, what, path)

    def _own_key(self, check_signature: CheckSignature) -> CheckSignature:
        """Return a check that takes no other key than the one named after the ledger's workflow."""
        workflow = self.verdict.workflow

        def check(key: str, message: bytes, signature: str) -> bool:
            return key.rpartition("/")[2] == workflow and check_signature(key, message, signature)

        return check

    def _weigh_signed(self, path: str, line: int, anchor: Anchor, check_signature: CheckSignature) -> None:
        verdict, point = self.verdict, anchor.checkpoint
        if not check_signature(anchor.key, point.message(), anchor.signature):
            what = f"its checkpoint of record {point.seq} is not signed by the key"
            verdict.report("checkpoint-forged", line, what, path)
            return
        verdict.signed = True
        if point.ledger != verdict.ledger:
            verdict.report("checkpoint-foreign", line, f"its checkpoint is of another ledger, {point.ledger}", path)
        elif point.seq in self.hashes:
            self._weigh_anchor(anchor)

    def _weigh_anchor(self, anchor: Anchor) -> None:
        verdict, point = self.verdict, anchor.checkpoint
        if point.seq > verdict.last:
            verdict.report(
                "tail-cut",
                0,
                f"a checkpoint of {point.time} covers records up to {point.seq}; the ledger ends at {verdict.last}",
            )
            return
        if point.seq < verdict.first - 1:
            return  # its records were removed; the chain goes on from a later one
        if self.hashes.get(point.seq) != (point.head, point.size):
            what = f"a checkpoint of {point.time} saw another content up to record {point.seq}"
            verdict.report("checkpoint-differs", 0, what)
            return
        verdict.checkpoints += 1
        if point.seq > verdict.covered:
            verdict.covered, verdict.covered_at = point.seq, point.time

    def _weigh_absent(self) -> None:
        """Report anchors of another ledger that stood at the same place: then the file was replaced."""
        for ledger, anchors in (self.anchors or {}).items():
            if ledger == self.verdict.ledger:
                continue
            last = anchors[-1].checkpoint
            if self._same_place(last):
                self.verdict.report(
                    "file-replaced",
                    0,
                    f"at this place stood the ledger {ledger}, with {last.seq} records at {last.time}: where is it?",
                )

    def _same_place(self, point: Checkpoint) -> bool:
        return point.path == self.verdict.path or (point.host, point.path) == (self.host, self.place)
