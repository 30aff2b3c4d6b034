"""Whatever somebody does to a ledger's file, `verify` finds it, as far as the last checkpoint; and nothing else."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_witness import LocalWitness

from narrowgate.audit.ledger import Entry, Ledger, Origin
from narrowgate.audit.ledger.records import FIRST_PREV, hash_line, start_of_line
from narrowgate.audit.ledger.verify import Verdict, verify_ledger

PLACE = "/var/lib/agent/ledger.jsonl"


@cache
def make() -> tuple[bytes, LocalWitness]:
    """Return a ledger of 32 lines: checkpoints cover the first 30; the last checkpoint's own and a note follow."""
    witness = LocalWitness()
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.jsonl", Origin("dev", "triage", "alice"), witness=witness)
        for number in range(28):
            ledger.record(Entry(kind="call", tool="logs", operation="logs:FilterLogEvents", inputs={"number": number}))
            if number in {9, 27}:
                ledger.checkpoint()
        ledger.record(Entry(kind="note"))
        ledger.witness = None
        ledger.close()
        return (Path(folder) / "ledger.jsonl").read_bytes(), witness


def lines() -> list[bytes]:
    return make()[0].splitlines(keepends=True)


def verify(content: bytes, *, anchors: bool = True, keys: bool = True) -> Verdict:
    witness = make()[1]
    return verify_ledger(
        io.BytesIO(content),
        PLACE,
        anchors=witness.anchors if anchors else None,
        check_signature=witness.public_keys if keys else None,
    )


def covered_bytes() -> int:
    return max(anchor.checkpoint.size for anchor in make()[1].anchors)


def rechain(bodies: list[bytes]) -> bytes:
    """Return lines whose chain is whole: what somebody with time and our source would write."""
    made, head = b"", FIRST_PREV
    for number, line in enumerate(bodies, start=1):
        start = start_of_line(number, head)
        new = start + line.rstrip(b"\n").partition(b'",')[2] + b"\n"
        head = hash_line(new[:-1])
        made += new
    return made


def test_an_untouched_ledger_is_intact_and_its_tail_is_named() -> None:
    verdict = verify(make()[0])
    assert verdict.problems == []
    assert (verdict.records, verdict.covered, verdict.tail) == (32, 30, 2)
    assert rechain(lines()) == make()[0]


@given(st.data())
@settings(max_examples=400)
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    content = bytearray(make()[0])
    place = data.draw(st.integers(0, covered_bytes() - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    assert not verify(bytes(content)).intact


@given(st.integers(0, 29))
def test_a_removed_record_is_found(place: int) -> None:
    kept = lines()
    del kept[place]
    assert not verify(b"".join(kept)).intact
    assert not verify(rechain(kept)).intact


@given(st.lists(st.integers(0, 29), min_size=2, max_size=2, unique=True))
def test_reordered_records_are_found(places: list[int]) -> None:
    moved = lines()
    moved[places[0]], moved[places[1]] = moved[places[1]], moved[places[0]]
    assert not verify(b"".join(moved)).intact
    assert not verify(rechain(moved)).intact


@given(st.integers(0, 30), st.integers(0, 31))
def test_an_added_record_is_found(place: int, source: int) -> None:
    more = lines()
    more.insert(place, more[source])
    changed = rechain(more)
    # a copy of the last covered record, put before it, leaves what is covered as it was: it is in the tail
    if changed[: covered_bytes()] != make()[0][: covered_bytes()]:
        assert not verify(changed).intact
    else:
        assert verify(changed).tail == 3
    assert not verify(b"".join(more)).intact


@given(st.integers(0, 29))
def test_a_record_edited_with_its_whole_chain_is_found(place: int) -> None:
    edited = lines()
    edited[place] = edited[place].replace(b'"alice"', b'"sam"')
    assert not verify(rechain(edited)).intact
    assert not verify(rechain(edited), keys=False).intact
    # without the anchors the signed checkpoints inside the file still tell
    assert not verify(rechain(edited), anchors=False).intact


@given(st.data())
def test_a_cut_tail_is_found(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, covered_bytes() - 1))
    assert not verify(make()[0][:size]).intact


def test_a_replaced_file_is_found() -> None:
    witness = make()[1]
    other = LocalWitness()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        with Ledger(path, Origin("dev", "triage", "alice"), witness=other) as ledger:
            ledger.record(Entry(kind="note"))
        content = path.read_bytes()
        anchors = [*other.anchors, *witness.anchors]
        place = witness.anchors[0].checkpoint.path  # where the first ledger stood
    verdict = verify_ledger(io.BytesIO(content), place, anchors=anchors, check_signature=None)
    assert [problem.code for problem in verdict.problems] == ["file-replaced"]


def test_another_keys_checkpoints_cover_nothing() -> None:
    other = LocalWitness()
    verdict = verify_ledger(io.BytesIO(make()[0]), PLACE, anchors=make()[1].anchors, check_signature=other.public_keys)
    assert {problem.code for problem in verdict.problems} == {"anchor-forged", "checkpoint-forged"}
    assert (verdict.covered, verdict.tail) == (0, 32)


def test_another_workflows_key_signs_nothing_here() -> None:
    content = make()[0].replace(b'"workflow":"triage"', b'"workflow":"others"')
    verdict = verify(content)
    assert {"anchor-forged", "checkpoint-forged"} <= {problem.code for problem in verdict.problems}


def test_without_checkpoints_at_hand_nothing_counts_as_covered() -> None:
    verdict = verify(make()[0], anchors=False, keys=False)
    assert verdict.intact
    assert (verdict.covered, verdict.tail) == (0, 32)
    assert not verify(b"").intact
