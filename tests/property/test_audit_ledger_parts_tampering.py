"""Whatever somebody does to the files of a ledger that goes on over several, `verify` finds it; and nothing else."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_witness import LocalWitness

from narrowgate.audit.ledger import Entry, Ledger, Origin
from narrowgate.audit.ledger.places import list_parts
from narrowgate.audit.ledger.verify import Verdict, verify_parts

PARTS = 5


@cache
def make() -> tuple[tuple[bytes, ...], LocalWitness]:
    """Return the contents of a ledger's files, all covered but for the last line, and who vouches for them."""
    witness = LocalWitness()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        ledger = Ledger(path, Origin("dev", "triage", "alice"), witness=witness, max_bytes=1_500)
        number = 0
        while len(list_parts(path)) < PARTS:
            ledger.record(Entry(kind="call", tool="logs", inputs={"number": number}))
            number += 1
        ledger.checkpoint()
        ledger.witness = None
        ledger.close()
        return tuple(part.read_bytes() for part in list_parts(path)), witness


def verify(parts: list[bytes], *, anchors: bool = True, keys: bool = True) -> Verdict:
    witness = make()[1]
    return verify_parts(
        [(f"ledger.{number}", io.BytesIO(content)) for number, content in enumerate(parts)],
        "/var/lib/agent/ledger.jsonl",
        anchors=witness.anchors if anchors else None,
        check_signature=witness.public_keys if keys else None,
    )


def covered_bytes(part: int) -> int:
    """Return how many bytes of a file a checkpoint covers: all, but for the last line of the last one."""
    content = make()[0][part]
    return len(content) if part < PARTS - 1 else content[:-1].rfind(b"\n") + 1


def test_an_untouched_ledger_is_intact() -> None:
    verdict = verify(list(make()[0]))
    assert verdict.problems == []
    assert (verdict.files, verdict.tail) == (PARTS, 1)


@given(st.data())
@settings(max_examples=300)
def test_a_changed_byte_is_found_in_whatever_file(data: st.DataObject) -> None:
    parts = list(make()[0])
    part = data.draw(st.integers(0, PARTS - 1))
    content = bytearray(parts[part])
    place = data.draw(st.integers(0, covered_bytes(part) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    parts[part] = bytes(content)
    assert not verify(parts).intact


@given(st.lists(st.integers(0, PARTS - 1), min_size=0, max_size=PARTS + 1).filter(lambda o: o != list(range(PARTS))))
def test_files_that_are_gone_moved_or_doubled_are_found(order: list[int]) -> None:
    assert not verify([make()[0][part] for part in order]).intact


@given(st.data())
def test_a_cut_file_is_found(data: st.DataObject) -> None:
    parts = list(make()[0])
    part = data.draw(st.integers(0, PARTS - 1))
    parts[part] = parts[part][: data.draw(st.integers(0, covered_bytes(part) - 1))]
    assert not verify(parts).intact


@given(st.data())
def test_a_record_that_is_removed_or_added_in_whatever_file_is_found(data: st.DataObject) -> None:
    parts = list(make()[0])
    part = data.draw(st.integers(0, PARTS - 2))
    lines = parts[part].splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    if data.draw(st.booleans()):
        del lines[place]
    else:
        lines.insert(place, data.draw(st.sampled_from(lines)))
    parts[part] = b"".join(lines)
    assert not verify(parts).intact
