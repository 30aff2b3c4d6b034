"""Is this ledger what its writer wrote? Chain, signatures and anchors, from the first byte to the last.

The chain alone finds accidents. What somebody rewrote whole is found by checkpoints only: by anchors, which nobody can
rewrite, and by signed checkpoints inside the file, where the public key is at hand. What no checkpoint covers is named
as such. This module must not write anything.
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
MARK_END: Final = 160  # the mark stands right after the chain's fields

# Returns whether the signature of a checkpoint is good; the key's name says whose it must be.
CheckSignature = Callable[[str, bytes, str], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written: `line` counts from 1 (0: the file as a whole)."""

    code: str
    line: int
    what: str


@dataclass(slots=True)
class Verdict:
    """What a verification found. `covered` is the last record that a checkpoint vouches for; `tail` come after it."""

    path: str
    ledger: str = ""
    workflow: str = ""
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
        return max(0, self.records - self.covered)

    @property
    def intact(self) -> bool:
        """Return whether nothing was found."""
        return not self.problems

    def report(self, code: str, line: int, what: str) -> None:
        """Add a problem, as long as there are not too many."""
        if len(self.problems) < FINDING_LIMIT:
            self.problems.append(Problem(code, line, what))

    def describe(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        return {
            "version": 1,
            "file": self.path,
            "ledger": self.ledger,
            "workflow": self.workflow,
            "intact": self.intact,
            "records": self.records,
            "covered": self.covered,
            "covered_at": self.covered_at or None,
            "tail": self.tail,
            "checkpoints": self.checkpoints,
            "anchored": self.anchored,
            "signed": self.signed,
            "problems": [{"code": p.code, "line": p.line, "what": p.what} for p in self.problems],
        }


def verify_ledger(
    file: BinaryIO,
    path: str,
    *,
    anchors: Iterable[Anchor] | None = None,
    check_signature: CheckSignature | None = None,
) -> Verdict:
    """Return what is wrong with the ledger in `file`.

    `anchors` are all that were kept for its workflow (None: they are not at hand). Without `check_signature` no
    signature counts, and an anchor counts by its place alone.
    """
    known = None if anchors is None else _sort_anchors(anchors)
    reading = _Reading(Verdict(path), known)
    reading.follow(file)
    reading.weigh(check_signature)
    return reading.verdict


def _sort_anchors(anchors: Iterable[Anchor]) -> dict[str, list[Anchor]]:
    by_ledger: dict[str, list[Anchor]] = {}
    for anchor in sorted(anchors, key=lambda a: (a.checkpoint.ledger, a.checkpoint.seq)):
        by_ledger.setdefault(anchor.checkpoint.ledger, []).append(anchor)
    return by_ledger


class _Reading:
    """One pass over a file: follows the chain, and keeps the hashes that some checkpoint speaks of."""

    def __init__(self, verdict: Verdict, anchors: dict[str, list[Anchor]] | None) -> None:
        self.verdict = verdict
        self.anchors = anchors
        self.wanted: set[int] = set()
        self.hashes: dict[int, tuple[str, int]] = {}  # by the line's number: its hash, and the size up to its end
        self.inside: list[tuple[int, Anchor]] = []
        self.host, self.place = "", ""

    def follow(self, file: BinaryIO) -> None:
        """Read every line, and report where the chain breaks."""
        number, size, head = 0, 0, FIRST_PREV
        expected = 1
        wanted, hashes, report = self.wanted, self.hashes, self.verdict.report
        before: tuple[str, int] = (FIRST_PREV, 0)
        for raw in iter(lambda: file.readline(LINE_LIMIT), b""):
            number += 1
            line = raw[:-1]
            if not raw.endswith(b"\n"):
                code, what = ("line-cut", "it ends without a newline") if len(raw) < LINE_LIMIT else ("", "")
                report(code or "line-too-long", number, what or f"it has more than {LINE_LIMIT} bytes")
                if not code:
                    return
                line = raw
            if number == 1:
                self._begin(line)
                wanted = self.wanted
            if not line.startswith(start_of_line(expected, head)):
                expected = self._explain(line, number, expected, head)
            elif not line.endswith(b"}"):
                report("line-edited", number, "it is no whole record")
            head = hash_line(line)
            size += len(raw)
            if number in wanted:
                hashes[number] = (head, size)
            if CHECKPOINT_MARK in line[:MARK_END]:
                self._note_checkpoint(line, number, before)
            before = (head, size)
            expected += 1
        self.verdict.records = number
        if number == 0:
            report("file-empty", 0, "the file holds no record")

    def _begin(self, line: bytes) -> None:
        """Read the first record, which names the ledger."""
        try:
            record = parse_line(line)
            details = record["details"]
            self.verdict.ledger, self.verdict.workflow = str(details["ledger"]), str(record.get("workflow", ""))
            self.host, self.place = str(details["host"]), str(details["path"])
        except (RecordError, KeyError, TypeError) as error:
            self.verdict.report("beginning-missing", 1, f"the ledger does not begin with its opening record: {error}")
        if self.anchors is not None:
            self.wanted = {a.checkpoint.seq for a in self.anchors.get(self.verdict.ledger, ())}

    def _explain(self, line: bytes, number: int, expected: int, head: str) -> int:
        """Report what a line that does not follow the one before tells, and return the number it claims."""
        report = self.verdict.report
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
            report("chain-broken", number, f"it names another hash than that of line {number - 1}: that one was edited")
        else:
            report("line-edited", number, "it does not begin as a record does")
        return seq

    def _note_checkpoint(self, line: bytes, number: int, before: tuple[str, int]) -> None:
        """Keep a checkpoint that the file itself holds. It usually speaks of the line right before it."""
        try:
            anchor = read_anchor(parse_line(line)["details"])
        except (RecordError, KeyError, TypeError, AttributeError) as error:
            self.verdict.report("checkpoint-unreadable", number, str(error))
            return
        if anchor.checkpoint.seq == number - 1:
            self.hashes[number - 1] = before
        self.inside.append((number, anchor))

    def weigh(self, check_signature: CheckSignature | None) -> None:
        """Hold the file against every checkpoint, those inside it and those that are anchored."""
        verdict = self.verdict
        check = check_signature and self._own_key(check_signature)
        if check is not None:
            for line, anchor in self.inside:
                self._weigh_signed(line, anchor, check)
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
        for line, anchor in self.inside:
            if anchor.checkpoint.seq not in anchored:
                verdict.report(
                    "anchor-missing", line, f"no anchor stands for its checkpoint of {anchor.checkpoint.seq}"
                )

    def _own_key(self, check_signature: CheckSignature) -> CheckSignature:
        """Return a check that takes no other key than the one named after the ledger's workflow."""
        workflow = self.verdict.workflow

        def check(key: str, message: bytes, signature: str) -> bool:
            return key.rpartition("/")[2] == workflow and check_signature(key, message, signature)

        return check

    def _weigh_signed(self, line: int, anchor: Anchor, check_signature: CheckSignature) -> None:
        verdict, point = self.verdict, anchor.checkpoint
        if not check_signature(anchor.key, point.message(), anchor.signature):
            verdict.report("checkpoint-forged", line, f"its checkpoint of record {point.seq} is not signed by the key")
            return
        verdict.signed = True
        if point.ledger != verdict.ledger:
            verdict.report("checkpoint-foreign", line, f"its checkpoint is of another ledger, {point.ledger}")
        elif point.seq in self.hashes:
            self._weigh_anchor(anchor)

    def _weigh_anchor(self, anchor: Anchor) -> None:
        verdict, point = self.verdict, anchor.checkpoint
        if point.seq > verdict.records:
            verdict.report(
                "tail-cut",
                verdict.records,
                f"a checkpoint of {point.time} covers records up to {point.seq}; the file ends at {verdict.records}",
            )
            return
        if self.hashes.get(point.seq) != (point.head, point.size):
            verdict.report(
                "checkpoint-differs",
                point.seq,
                f"a checkpoint of {point.time} saw another content up to record {point.seq}",
            )
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
