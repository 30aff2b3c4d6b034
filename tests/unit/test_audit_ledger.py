"""The ledger keeps what it accepted: through kill -9, a full disk, several writers; and never a secret."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from ledger_witness import LocalWitness

from narrowgate.audit.ledger import (
    CheckpointError,
    Entry,
    FieldRule,
    Lease,
    Ledger,
    LedgerReplacedError,
    LedgerUnwritableError,
    Origin,
    RecordError,
    Redaction,
)
from narrowgate.audit.ledger.records import RECORD_LIMIT, parse_line
from narrowgate.audit.ledger.redaction import HIDDEN, Treatment, hide_fields
from narrowgate.audit.ledger.verify import Verdict, verify_ledger

if TYPE_CHECKING:
    from pathlib import Path

IBAN = "FI2112345600000785"
ORIGIN = Origin("dev", "triage", "alice")
CALL = Entry(kind="call", tool="logs", action="search", operation="logs:FilterLogEvents", outcome="allowed")


def read(path: Path) -> list[dict[str, Any]]:
    return [parse_line(line) for line in path.read_bytes().splitlines()]


def verify(path: Path, witness: LocalWitness | None = None) -> Verdict:
    with path.open("rb") as file:
        if witness is None:
            return verify_ledger(file, str(path))
        return verify_ledger(file, str(path), anchors=witness.anchors, check_signature=witness.public_keys)


def test_a_record_says_who_what_with_which_credential_and_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    entry = Entry(
        kind="call",
        tool="logs",
        action="search",
        operation="logs:FilterLogEvents",
        inputs={"logGroupName": "/app/payments"},
        outputs={"events": 3},
        outcome="allowed",
        approver={"user": "vera"},
        lease=Lease("narrowgate-aws/sts/triage.logs/abc", "ASIA1", "triage.logs@alice"),
        duration_ms=12.3456,
        requests=("r-1",),
    )
    with Ledger(path, ORIGIN) as ledger:
        assert ledger.record(entry) == 2
    opened, call = read(path)
    assert (opened["kind"], opened["prev"], opened["seq"]) == ("opened", "0" * 64, 1)
    assert {key: call[key] for key in ("environment", "workflow", "user", "tool", "action", "operation")} == {
        "environment": "dev",
        "workflow": "triage",
        "user": "alice",
        "tool": "logs",
        "action": "search",
        "operation": "logs:FilterLogEvents",
    }
    assert call["inputs"] == {"logGroupName": "/app/payments"}
    assert call["outputs"] == {"events": 3}
    assert call["approver"] == {"user": "vera"}
    assert call["lease"] == {
        "id": "narrowgate-aws/sts/triage.logs/abc",
        "access_key_id": "ASIA1",
        "session": "triage.logs@alice",
    }
    assert (call["duration_ms"], call["outcome"], call["requests"]) == (12.346, "allowed", ["r-1"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("hvs.CAESIJ3Mq9XkZr0aBcDeFgHiJkLmNoPqRsTuVwXyZ", "CAESIJ3Mq9XkZr0aBcDeFgHi"),
        ("token s.Xy12Xy12Xy12Xy12Xy12Xy12", "Xy12Xy12"),
        ("Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", "eyJzdWIiOiJhbGljZSJ9"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIA"),
        ("postgresql://login:hunter2hunter2@db/incidents", "hunter2hunter2"),
        ("the lease's own secret: wJalrXUtnFEMI", "wJalrXUtnFEMI"),
    ],
)
def test_no_credential_reaches_the_file(tmp_path: Path, text: str, secret: str) -> None:
    path = tmp_path / "ledger.jsonl"
    places: dict[str, Any] = {"note": text, "list": [text], "deep": {"er": {text: text}}}
    entry = Entry(kind="note", inputs=places, outputs=text, error=text, approver=text, details=places)
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(entry, secrets={"wJalrXUtnFEMI"})
    kept = path.read_text(encoding="utf-8")
    assert secret not in kept
    assert kept.count(HIDDEN) >= 10


def test_fields_are_treated_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    rules = (FieldRule("customer*", Treatment.HIDE), FieldRule("page", Treatment.DIGEST))
    inputs = {
        "Password": "x",
        "NextToken": "page-2",
        "customer_email": "a@example.com",
        "page": "content",
        "Body": b"content",
        "Key": "runbooks/a.md",
        "SecretAccessKey": "y",
    }
    with Ledger(path, ORIGIN, redaction=Redaction(rules)) as ledger:
        ledger.record(Entry(kind="call", inputs=inputs))
    kept = read(path)[-1]["inputs"]
    assert {name for name, value in kept.items() if value == HIDDEN} == {
        "Password",
        "customer_email",
        "SecretAccessKey",
    }
    assert kept["NextToken"] == "page-2"
    assert kept["Key"] == "runbooks/a.md"
    assert kept["page"] == kept["Body"] == {"bytes": 7, "sha256": kept["Body"]["sha256"]}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO people (name, iban) VALUES ('alice', '@')",
        "UPDATE people SET Iban = E'@\\' ' WHERE id = 1",
        "SELECT name FROM people WHERE iban = $$@$$",
        "SELECT name FROM people WHERE iban = $x$@ ' $x$ AND note = ''",
        "SELECT name FROM people WHERE iban = 'it''s @",
        "SELECT name FROM people WHERE iban = %s OR iban = 4929000000006",
        "SELECT name FROM people WHERE note = 'x\\' AND iban = '@'",
        "SELECT name FROM people -- it's\nWHERE iban = '@'",
        "SELECT name FROM people /* ' */ WHERE iban = '@'",
        'SELECT "iban" FROM "people" WHERE note = $1',
        "COPY people (iban) FROM STDIN",
    ],
)
def test_a_statement_that_names_a_secret_field_tells_no_value(statement: str) -> None:
    statement = statement.replace("@", IBAN)
    rules = hide_fields(["iban", "*_pin"])
    shown = json.dumps(rules.apply_inputs({"statement": statement, "parameters": [IBAN, {"x": IBAN}]}))
    assert IBAN not in shown
    assert "4929000000006" not in shown
    assert "people" in shown
    other = {"statement": "SELECT title FROM incidents WHERE id = '@'", "parameters": [IBAN]}
    assert rules.apply_inputs(other) == other
    assert rules.apply_inputs({"IBAN": IBAN, "card_pin": 12, "name": "a"}) == {
        "IBAN": HIDDEN,
        "card_pin": HIDDEN,
        "name": "a",
    }


def test_a_record_has_a_bound_whatever_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    deep: Any = "end"
    for _ in range(50):
        deep = {"deeper": deep}
    huge = {f"field{n}": ["x" * 5000] * 500 for n in range(500)}
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(
            Entry(kind="call", inputs=huge, outputs={"deep": deep, "not json": object(), "nan": float("nan")})
        )
        ledger.record(Entry(kind="call", tool="t" * 10_000, operation="o" * 10_000, inputs="\ud800 ünï\n"))
    assert all(len(line) <= RECORD_LIMIT + 200 for line in path.read_bytes().splitlines())
    assert len(read(path)) == 3
    assert verify(path).intact


@pytest.mark.parametrize("kind", ["opened", "checkpoint", "recovered", "lost", "unheard-of"])
def test_only_the_writer_makes_its_own_records(tmp_path: Path, kind: str) -> None:
    with Ledger(tmp_path / "ledger.jsonl", ORIGIN) as ledger, pytest.raises(RecordError):
        ledger.record(Entry(kind=kind))


WRITER = """
import sys
from pathlib import Path
from narrowgate.audit.ledger import Entry, Ledger, Origin
with Ledger(Path(sys.argv[1]), Origin("dev", "triage", sys.argv[2])) as ledger:
    for number in range(int(sys.argv[3])):
        ledger.record(Entry(kind="call", inputs={"number": number, "filler": "x" * 300}))
        print(number, flush=True)
"""


def start_writer(path: Path, user: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), user, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_9_loses_no_accepted_record(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for _ in range(3):
        with start_writer(path, "alice", 1_000_000) as writer:
            assert writer.stdout is not None
            while int(writer.stdout.readline()) < 200:
                pass
            writer.send_signal(signal.SIGKILL)
            accepted = [line for line in writer.stdout.read().split("\n")[:-1] if line]
        kept = [record["inputs"]["number"] for record in read(path) if record["kind"] == "call"]
        assert kept[-1] >= int(accepted[-1] if accepted else 200)
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(CALL)
    assert verify(path).intact


def test_a_line_that_was_cut_is_healed_and_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(CALL)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:100])
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(CALL)
    assert [record["kind"] for record in read(path)] == ["opened", "call", "recovered", "call"]
    assert read(path)[2]["details"]["bytes"] == 100
    assert verify(path).intact


def test_two_processes_and_their_threads_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    writers = [start_writer(path, user, 300) for user in ("alice", "vera", "sam")]
    assert [writer.communicate()[0].count("\n") for writer in writers] == [300] * 3
    calls = [record for record in read(path) if record["kind"] == "call"]
    for user in ("alice", "vera", "sam"):
        assert [c["inputs"]["number"] for c in calls if c["user"] == user] == list(range(300))
    assert [record["kind"] for record in read(path)].count("opened") == 1
    assert verify(path).intact


def test_a_forked_child_writes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    fork = "    ledger.record(Entry(kind='note'))\n    import os\n    os.fork()\n    for number"
    command = [sys.executable, "-W", "ignore", "-c", WRITER.replace("    for number", fork), str(path), "alice", "200"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    deadline = time.monotonic() + 20
    while len(read(path)) < 402 and time.monotonic() < deadline:
        time.sleep(0.05)  # the parent does not wait for its child
    assert done.returncode == 0
    assert len(read(path)) == 402
    assert verify(path).intact


LIMITED = """
import resource, signal, sys
from pathlib import Path
from narrowgate.audit.ledger import Entry, Ledger, LedgerUnwritableError, Origin
path = Path(sys.argv[1])
with Ledger(path, Origin("dev", "triage")) as ledger:
    accepted = refused = 0
    ledger.record(Entry(kind="note"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    for number in range(40):
        try:
            ledger.record(Entry(kind="call", inputs={"number": number}))
            accepted += 1
        except LedgerUnwritableError:
            refused += 1
    started = False
    try:
        with ledger.high_impact(Entry(kind="call", tool="incidents", action="close")):
            started = True
    except LedgerUnwritableError:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ledger.record(Entry(kind="note"))
print(accepted, refused, started)
"""


def test_a_full_disk_loses_no_accepted_record_and_starts_no_call_of_high_impact(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    accepted, refused, started = done.stdout.split()
    assert int(accepted) > 0
    assert int(refused) > 0
    assert started == "False"
    kinds = [record["kind"] for record in read(path)]
    assert kinds.count("call") == int(accepted)
    assert kinds[-2:] == ["lost", "note"]
    assert read(path)[-2]["details"]["records"] == int(refused) + 1
    assert verify(path).intact


def test_a_ledger_that_is_no_regular_file_is_refused() -> None:
    with pytest.raises(LedgerUnwritableError):
        Ledger(os.devnull, ORIGIN).record(CALL)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "ledger.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerUnwritableError):
        Ledger(tmp_path / "ledger.jsonl", ORIGIN).record(CALL)


def test_a_file_that_was_moved_shortened_or_replaced_takes_no_more_records(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for harm in (lambda: os.truncate(path, 10), path.unlink, lambda: path.rename(tmp_path / "old")):
        path.unlink(missing_ok=True)
        with Ledger(path, ORIGIN) as ledger:
            ledger.record(CALL)
            harm()
            with pytest.raises(LedgerReplacedError):
                ledger.record(CALL)


def test_a_foreign_file_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(LedgerReplacedError):
        Ledger(path, ORIGIN).record(CALL)
    assert path.read_text() == "my notes\n"


def test_a_call_of_high_impact_waits_for_its_anchor(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness()
    entry = Entry(kind="call", tool="incidents", action="close", approver={"user": "vera"}, case_id="c1")
    with Ledger(path, ORIGIN, witness=witness) as ledger:
        with ledger.high_impact(entry) as finish:
            begun = read(path)
            assert [record["kind"] for record in begun] == ["opened", "begin", "checkpoint"]
            assert verify(path, witness).covered == 2
            finish(Entry(kind="call", tool="incidents", action="close", outcome="allowed", outputs={"rows": 1}))
        witness.works = False
        with pytest.raises(CheckpointError), ledger.high_impact(entry):
            raise AssertionError("it started without an anchor")
        witness.works = True
    begin, call = [record for record in read(path) if record["kind"] in {"begin", "call"}][:2]
    assert begin["call_id"] == call["call_id"]
    assert call["outcome"] == "allowed"


def test_how_a_call_of_high_impact_failed_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, ORIGIN) as ledger, pytest.raises(ZeroDivisionError), ledger.high_impact(CALL):
        raise ZeroDivisionError
    assert read(path)[-1] | {"outcome": "failed", "error": "ZeroDivisionError"} == read(path)[-1]


def test_checkpoints_come_by_themselves_and_at_the_end(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness()
    with Ledger(path, ORIGIN, witness=witness, checkpoint_seconds=0.05) as ledger:
        ledger.record(CALL)
        deadline = time.monotonic() + 20
        while not witness.kept and time.monotonic() < deadline:
            time.sleep(0.02)
        assert witness.kept
        ledger.record(CALL)
    verdict = verify(path, witness)
    assert verdict.intact
    assert (verdict.covered, verdict.tail) == (verdict.records - 1, 1)  # the last checkpoint's own record
    assert (verdict.signed, verdict.anchored) == (True, True)


def test_another_workflows_ledger_gets_no_checkpoint(tmp_path: Path) -> None:
    path, witness = tmp_path / "ledger.jsonl", LocalWitness("others")
    with Ledger(path, ORIGIN) as ledger:
        ledger.record(CALL)
    with Ledger(path, Origin("dev", "others"), witness=witness) as ledger:
        ledger.record(CALL)
        with pytest.raises(CheckpointError, match="that of triage"):
            ledger.checkpoint()
    assert not witness.kept
    assert len(read(path)) == 3


def test_what_fails_in_the_background_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    witness = LocalWitness()
    witness.works = False
    with Ledger(tmp_path / "l", ORIGIN, witness=witness, warn=lambda *what: told.append(what)) as ledger:
        ledger.record(CALL)
    assert told == [("ledger.close-failed", "ledger-checkpoint-failed")]


def test_a_newer_record_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match="version 2"):
        parse_line(json.dumps({"version": 2}).encode())
