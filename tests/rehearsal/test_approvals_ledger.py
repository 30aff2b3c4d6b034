"""What an executor records: before and after each execution; and that nothing is executed where it cannot."""

from __future__ import annotations

import json
import resource
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from gate_bench import WORKFLOW

from narrowgate.approvals import SettingsError, State
from narrowgate.approvals.errors import ApprovalsError
from narrowgate.approvals.recording import hide_by_schema
from narrowgate.approvals.store import Store
from narrowgate.audit.anchors import VaultReader
from narrowgate.audit.ledger.verify import Verdict, verify_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench

    from narrowgate.approvals.executor import Executor

NAME = "executor.vendors"
POLICY = "system.executor.vendors"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def small_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(path: Path) -> list[dict[str, Any]]:
    return [record for record in read(path) if record["kind"] in {"begin", "call"}]


def verify(bench: GateBench, path: Path) -> Verdict:
    reader = VaultReader(bench.root)
    anchors, keys = reader.read_anchors(NAME).anchors, reader.read_keys([NAME])
    with path.open("rb") as file:
        return verify_ledger(file, str(path), anchors=anchors, check_signature=keys)


def approved(bench: GateBench, executor: Executor, name: str) -> str:
    request = bench.draft(name)
    assert executor.work() >= 1
    bench.approve("ann", request)
    return request


def test_an_execution_stands_between_two_records_that_vault_vouches_for(bench: GateBench, ledger: Path) -> None:
    executor = bench.executor(ledger=ledger)
    request = approved(bench, executor, "Recorded Oy")
    assert not ledger.exists()
    assert executor.work() == 1
    executor.log_out()
    begin, end = calls(ledger)
    outcome = bench.outcome(request)
    assert outcome is not None
    for record in (begin, end):
        assert (record["workflow"], record["user"], record["case_id"]) == (WORKFLOW, "vera", request)
        assert (record["tool"], record["action"]) == ("vendors", "create")
        assert [(person["name"], person["reason"]) for person in record["approver"]] == [("ann", "Papers checked.")]
        assert record["inputs"]["name"] == "Recorded Oy"
    assert begin["call_id"] == end["call_id"]
    assert "lease" not in begin
    assert end["lease"]["id"] == outcome.lease
    assert end["lease"]["login"]
    assert (end["outcome"], end["details"]["state"]) == ("allowed", "executed")
    kinds = [record["kind"] for record in read(ledger)]
    assert kinds[:3] == ["opened", "begin", "checkpoint"]
    verdict = verify(bench, ledger)
    assert verdict.problems == []
    assert verdict.signed
    assert verdict.covered >= 2
    # what the schema calls writeOnly, or the tool secret, stands nowhere in it
    assert (begin["inputs"]["bank_account"], begin["inputs"]["country"]) == ("[hidden]", "[hidden]")
    assert "FI00 1234" not in ledger.read_text()


def test_a_full_disk_executes_nothing_until_there_is_room(bench: GateBench, small_tmpfs: Path) -> None:
    ledger = small_tmpfs / "ledger.jsonl"
    executor = bench.executor(ledger=ledger)
    request = approved(bench, executor, "Full Disk Oy")
    filler = small_tmpfs / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    assert executor.work() == 0
    assert not bench.vendors("Full Disk Oy")
    assert bench.outcome(request) is None
    filler.unlink()
    assert executor.work() == 1
    assert bench.vendors("Full Disk Oy") == [("FI", "active")]
    assert [record["kind"] for record in calls(ledger)] == ["begin", "call"]
    assert verify(bench, ledger).intact
    executor.log_out()


def test_where_the_last_record_fails_the_outcome_is_kept_and_says_so(
    bench: GateBench, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = bench.executor(ledger=ledger)
    request = approved(bench, executor, "Last Record Oy")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = Store.create_claim

    def claim_and_fill(self: Store, name: str, claim: dict[str, Any]) -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ledger.stat().st_size + 10, limits[1]))
        return real(self, name, claim)

    monkeypatch.setattr(Store, "create_claim", claim_and_fill)
    try:
        assert executor.work() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.EXECUTED
    assert "could not be written to the ledger" in outcome.words
    assert [record["kind"] for record in calls(ledger)] == ["begin"]


def test_without_its_anchor_nothing_is_executed(bench: GateBench, ledger: Path) -> None:
    executor = bench.executor(ledger=ledger)
    request = approved(bench, executor, "No Anchor Oy")
    places = f"narrowgate-transit/keys/{NAME}"
    policy = bench.root.sys.read_policy(POLICY)["data"]["rules"]
    bench.root.sys.create_or_update_policy(POLICY, policy.replace("narrowgate-ledger/data/", "narrowgate-ledger/none/"))
    try:
        assert executor.work() == 0
        assert not bench.vendors("No Anchor Oy")
        assert [record["kind"] for record in calls(ledger)] == ["begin"]
    finally:
        bench.root.sys.create_or_update_policy(POLICY, policy)
    assert bench.root.read(places) is not None
    assert executor.work() == 1
    assert bench.vendors("No Anchor Oy") == [("FI", "active")]
    assert bench.outcome(request) is not None


def test_an_executor_signs_by_its_own_key_and_rewrites_no_anchor(bench: GateBench, ledger: Path) -> None:
    executor = bench.executor(ledger=ledger)
    approved(bench, executor, "Own Key Oy")
    executor.work()
    anchor = next(record for record in read(ledger) if record["kind"] == "checkpoint")
    reader = VaultReader(bench.root)
    (place,) = [
        known.place for known in reader.read_anchors(NAME).anchors if known.checkpoint.head == anchor["details"]["head"]
    ]
    for method, path, body in (
        ("post", place, {"data": {}, "options": {"cas": 1}}),
        ("post", place, {"data": {}, "options": {"cas": 0}}),
        ("get", place, None),
        ("delete", place.replace("/data/", "/metadata/"), None),
        ("post", f"narrowgate-transit/keys/{NAME}/rotate", {}),
        ("post", f"narrowgate-transit/sign/{WORKFLOW}", {"input": "eA=="}),
    ):
        with pytest.raises(ApprovalsError):
            executor.vault.ask(method, path, body)


def test_an_executors_ledger_cannot_be_off(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARROWGATE_LEDGER", "off")
    with pytest.raises(SettingsError, match="cannot be off"):
        bench.executor()


def test_fields_that_the_schema_calls_write_only_are_hidden_wherever_they_stand() -> None:
    schema = {
        "properties": {
            "iban": {"writeOnly": True},
            "people": {"items": {"properties": {"pin": {"format": "password"}}}},
        }
    }
    value = {"iban": ["FI00"], "people": [{"pin": "1234", "name": "a"}], "more": 1}
    assert hide_by_schema(value, schema) == {
        "iban": "[hidden]",
        "people": [{"pin": "[hidden]", "name": "a"}],
        "more": 1,
    }
