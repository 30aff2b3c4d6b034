"""A ledger of several files is one ledger: bounded, shared, through crashes; what is removed is told, or found."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from ledger_witness import LocalWitness

from narrowgate.audit.ledger import Entry, Ledger, LedgerReplacedError, LedgerUnwritableError, Origin
from narrowgate.audit.ledger.places import list_parts
from narrowgate.audit.ledger.reading import open_parts, read_ledger
from narrowgate.audit.ledger.verify import Verdict, verify_parts
from narrowgate.audit.shipping.batches import read_lines

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin("dev", "triage", "alice")
BOUND = 4_000
FUTURE = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


def call(number: int) -> Entry:
    return Entry(kind="call", tool="logs", outcome="allowed", inputs={"number": number})


def write(path: Path, count: int = 60, witness: LocalWitness | None = None) -> None:
    with Ledger(path, ORIGIN, witness=witness, max_bytes=BOUND) as ledger:
        for number in range(count):
            ledger.record(call(number))
            if number % 25 == 24:
                ledger.checkpoint()


def verify(path: Path, witness: LocalWitness | None = None) -> Verdict:
    files = [(part.name, part.open("rb")) for part in list_parts(path)]
    try:
        return verify_parts(
            files,
            str(path),
            anchors=None if witness is None else witness.anchors,
            check_signature=None if witness is None else witness.public_keys,
        )
    finally:
        for _, file in files:
            file.close()


def numbers(path: Path) -> list[int]:
    return [record["inputs"]["number"] for record in read_ledger(path) if record["kind"] == "call"]


def codes(verdict: Verdict) -> set[str]:
    return {problem.code for problem in verdict.problems}


def test_files_are_bounded_and_the_chain_goes_on_over_them(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness()
    write(path, witness=witness)
    parts = list_parts(path)
    assert len(parts) > 3
    assert [part.name for part in parts[:2]] == ["ledger.000001.jsonl", "ledger.000002.jsonl"]
    assert all(part.stat().st_size < BOUND + 2_000 for part in parts)
    assert numbers(path) == list(range(60))
    kinds = [[json.loads(line)["kind"] for line in part.read_text().splitlines()] for part in parts]
    assert [part[0] for part in kinds] == ["opened", *["continued"] * (len(parts) - 1)]
    assert [part[-1] for part in kinds[:-1]] == ["sealed"] * (len(parts) - 1)
    verdict = verify(path, witness)
    assert verdict.problems == []
    assert (verdict.files, verdict.covered, verdict.signed) == (len(parts), verdict.records - 1, True)
    write(path, 5)  # another process goes on where this one ended
    assert numbers(path) == [*range(60), *range(5)]


WRITER = """
import sys
from pathlib import Path
from narrowgate.audit.ledger import Entry, Ledger, Origin
with Ledger(Path(sys.argv[1]), Origin("dev", "triage", sys.argv[2]), max_bytes=4000) as ledger:
    for number in range(int(sys.argv[3])):
        ledger.record(Entry(kind="call", inputs={"number": number}))
        print(number, flush=True)
"""


def start_writer(path: Path, user: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), user, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_follow_each_other_from_file_to_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    users = ("alice", "vera", "sam")
    writers = [start_writer(path, user, 200) for user in users]
    assert [writer.communicate()[0].count("\n") for writer in writers] == [200] * 3
    calls = [record for record in read_ledger(path) if record["kind"] == "call"]
    for user in users:
        assert [c["inputs"]["number"] for c in calls if c["user"] == user] == list(range(200))
    verdict = verify(path)
    assert verdict.problems == []
    assert verdict.files > 10


def test_kill_9_loses_no_accepted_record_whatever_file_it_is_in(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for _ in range(4):
        with start_writer(path, "alice", 1_000_000) as writer:
            assert writer.stdout is not None
            while int(writer.stdout.readline()) < 100:
                pass
            writer.send_signal(signal.SIGKILL)
            accepted = [line for line in writer.stdout.read().split("\n")[:-1] if line]
        assert numbers(path)[-1] >= int(accepted[-1] if accepted else 100)
    write(path, 1)
    assert verify(path).problems == []


@pytest.mark.parametrize("when", ["linked", "sealed", "next written"])
def test_a_crash_at_any_step_of_sealing_is_healed(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, 5)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if when == "linked":
            patch.setattr("narrowgate.audit.ledger.file.LedgerFile._continue", fail)
            patch.setattr("narrowgate.audit.ledger.file.LedgerFile._write", fail)
        elif when == "sealed":
            patch.setattr("narrowgate.audit.ledger.file._write_whole", fail)
        else:
            patch.setattr("pathlib.Path.rename", fail)
        with pytest.raises((LedgerUnwritableError, OSError)):
            Ledger(path, ORIGIN, max_bytes=100).record(call(5))
    assert path.exists()
    assert numbers(path) == list(range(5))  # what is sealed twice is read once
    write(path, 3)
    assert numbers(path) == [*range(5), *range(3)]
    assert verify(path).problems == []


def test_a_full_disk_while_sealing_accepts_nothing_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, ORIGIN, max_bytes=1_000)
    accepted = 0

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("narrowgate.audit.ledger.file._write_whole", fail)
        for number in range(10):
            try:
                ledger.record(call(number))
                accepted += 1
            except LedgerUnwritableError:
                pass
    assert 0 < accepted < 10
    ledger.record(call(99))
    ledger.close()
    records = list(read_ledger(path))
    assert numbers(path) == [*range(accepted), 99]
    assert sum(r["details"]["records"] for r in records if r["kind"] == "lost") == 10 - accepted
    assert verify(path).problems == []


def test_a_file_where_a_part_must_go_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, 5)
    (tmp_path / "ledger.000001.jsonl").write_text("mine")
    with pytest.raises(LedgerReplacedError):
        Ledger(path, ORIGIN, max_bytes=100).record(call(5))
    assert (tmp_path / "ledger.000001.jsonl").read_text() == "mine"


def test_what_is_done_to_the_files_is_found(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness()
    write(path, witness=witness)
    first, second, third = list_parts(path)[:3]
    contents = {part: part.read_bytes() for part in list_parts(path)}

    def restore() -> None:
        for part, content in contents.items():
            part.write_bytes(content)

    for harm, code in (
        (lambda: second.write_bytes(contents[second].replace(b'"allowed"', b'"refused"', 1)), "chain-broken"),
        (second.unlink, "record-missing"),
        (first.unlink, "part-missing"),
        (lambda: (first.write_bytes(contents[second]), second.write_bytes(contents[first])), "record-out-of-order"),
        (lambda: third.write_bytes(b""), "file-empty"),
        (lambda: os.truncate(second, 100), "line-cut"),
    ):
        harm()
        assert code in codes(verify(path, witness)), code
        assert verify(path).problems != []
        restore()
    path.unlink()
    os.link(list_parts(path)[-2], path)  # the newest file is gone
    assert "tail-cut" in codes(verify(path, witness))


def test_files_are_removed_by_retention_only_and_a_record_tells_it(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness()
    write(path, witness=witness)
    parts = list_parts(path)
    ends = [json.loads(part.read_text().splitlines()[-1])["seq"] for part in parts]
    with Ledger(path, ORIGIN, witness=witness, max_bytes=BOUND) as ledger:
        assert ledger.prune(dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) == []
        assert ledger.prune(FUTURE, through=ends[1] + 1) == parts[:2]
        ledger.record(call(60))
        ledger.checkpoint()
    assert not parts[0].exists()
    verdict = verify(path, witness)
    assert verdict.problems == []
    assert (verdict.first, verdict.last - verdict.covered) == (ends[1] + 1, 1)
    list_parts(path)[0].unlink()  # one more than the record tells
    assert "part-missing" in codes(verify(path, witness))
    assert path.exists()


def test_what_is_written_on_while_it_is_read_is_whole_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, 30)
    with open_parts(path) as files:
        write(path, 60)  # several are sealed meanwhile
        assert verify_parts([(part.name, file) for part, file in files], str(path)).problems == []
    with start_writer(path, "alice", 1_000_000) as writer:
        for _ in range(30):
            last = 0
            for line in read_lines(path):  # it raises where one does not follow the other
                last = line.seq
            assert last > 100
        writer.kill()
