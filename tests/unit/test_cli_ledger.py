"""`narrowgate ledger`: what it writes, shows and finds, by exit code and in both formats; no server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ledger_witness import LocalWitness
from scripted_vault import MANIFEST

from narrowgate.audit.ledger import Entry, Ledger, Origin
from narrowgate.audit.ledger.entries import parse_entry
from narrowgate.audit.ledger.errors import RecordError
from narrowgate.audit.vouching import Vouchers, write_vouchers

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2hunter2"


def run(*arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narrowgate", "ledger", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("VAULT_", "NARROWGATE_"))}
    return subprocess.run(
        command, input=text, env={**environment, **more}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "summaries.json"
    path.write_text(json.dumps(MANIFEST))
    return path


@pytest.fixture
def vouched(tmp_path: Path) -> tuple[Path, Path]:
    """Give a ledger of six calls of alice, checkpoints of which stand in a file, and that file."""
    witness = LocalWitness()
    path, anchors = tmp_path / "ledger.jsonl", tmp_path / "anchors.jsonl"
    with Ledger(path, Origin("dev", "triage", "alice"), witness=witness) as ledger:
        for number in range(6):
            ledger.record(Entry(kind="call", tool="logs", outcome="allowed", inputs={"number": number}))
        ledger.checkpoint()
    vouchers = Vouchers(witness.anchors, witness.raw_keys)
    anchors.write_text("\n".join(write_vouchers(vouchers)) + "\n")
    return path, anchors


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def append(manifest: Path, ledger: Path, *lines: dict[str, Any], **more: str) -> subprocess.CompletedProcess[str]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return run("append", "--manifest", str(manifest), "--ledger", str(ledger), "--user", "alice", text=text, **more)


def test_entries_of_another_language_become_records_without_their_secrets(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    call = {
        "tool": "incidents",
        "action": "read",
        "operation": "sql:SELECT",
        "outcome": "allowed",
        "inputs": {"password": SECRET, "statement": f"SELECT '{SECRET}'"},
        "outputs": {"rows": 1},
        "lease": {"id": "narrowgate-database/creds/x/1", "login": "v-jwt-1"},
        "duration_ms": 12,
        "secrets": [SECRET],
    }
    done = append(manifest, path, call, {"kind": "begin", "tool": "incidents", "user": "vera", "call_id": "c1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"seq": 2}, {"seq": 3}]
    _, first, second = records(path)
    assert (first["workflow"], first["environment"], first["user"], first["kind"]) == (
        "summaries",
        "dev",
        "alice",
        "call",
    )
    assert (first["duration_ms"], first["lease"]["login"], first["outputs"]) == (12, "v-jwt-1", {"rows": 1})
    assert (second["user"], second["kind"], second["call_id"]) == ("vera", "begin", "c1")
    assert SECRET not in path.read_text()


def test_fields_that_a_tool_declares_secret_reach_no_record(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    known = json.loads(manifest.read_text())
    known["tools"]["incidents"]["secret_fields"] = ["customer_*"]
    manifest.write_text(json.dumps(known))
    inputs = {"statement": "UPDATE incidents SET customer_email = %s", "parameters": [SECRET]}
    done = append(
        manifest,
        path,
        {"tool": "incidents", "inputs": inputs, "outputs": [{"customer_name": SECRET}]},
        {"tool": "incidents", "inputs": {"Customer-Email": SECRET}, "details": {"customer_email": {"is": SECRET}}},
        {"tool": "logs", "inputs": {"customer_email": "kept"}},
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in path.read_text()
    assert records(path)[-1]["inputs"] == {"customer_email": "kept"}


def test_a_wrong_line_is_named_and_what_was_before_it_is_kept(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    done = append(manifest, path, {"tool": "logs"}, {"tool": "logs", "pasword": SECRET})
    assert done.returncode == 1
    assert "line 2" in done.stderr
    assert "'pasword'" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr
    assert [record["kind"] for record in records(path)] == ["opened", "call"]


def test_the_ledgers_place_comes_from_the_environment_or_the_state_folder(manifest: Path, tmp_path: Path) -> None:
    line = json.dumps({"tool": "logs"})
    folder = tmp_path / "ledgers"
    assert run("append", "--manifest", str(manifest), text=line, NARROWGATE_LEDGER=f"{folder}/").returncode == 0
    assert len(records(folder / "summaries.jsonl")) == 2
    assert run("append", "--manifest", str(manifest), text=line, XDG_STATE_HOME=str(tmp_path)).returncode == 0
    assert len(records(tmp_path / "narrowgate" / "dev" / "summaries.jsonl")) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[]", "no JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"kind": "checkpoint"}', "kind"),
        ('{"kind": {}}', "kind"),
        ('{"kind": ["call"]}', "kind"),
        ('{"outcome": "fine"}', "outcome"),
        ('{"outcome": []}', "outcome"),
        ('{"tool": 3}', "tool"),
        ('{"lease": {"key": "x"}}', "lease"),
        ('{"lease": {"id": 3}}', "lease"),
        ('{"duration_ms": -1}', "duration_ms"),
        ('{"duration_ms": NaN}', "duration_ms"),
        ('{"duration_ms": true}', "duration_ms"),
        ('{"requests": "x"}', "requests"),
        ('{"secrets": [3]}', "secrets"),
        ('{"time": "yesterday"}', "time"),
        ('{"time": "2026-01-31T08:15:00"}', "zone"),
        ('{"details": []}', "details"),
        ('{"recorded": 1}', "recorded"),
    ],
)
def test_what_is_no_entry_is_refused_by_its_field(line: str, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        parse_entry(line)


def test_a_good_ledger_is_intact_and_its_tail_is_named(vouched: tuple[Path, Path]) -> None:
    path, anchors = vouched
    done = run("verify", str(path), "--anchors", str(anchors), "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    verdict = json.loads(done.stdout)
    assert (verdict["intact"], verdict["records"], verdict["covered"], verdict["tail"]) == (True, 8, 7, 1)
    assert (verdict["workflow"], verdict["anchored"], verdict["signed"]) == ("triage", True, True)
    text = run("verify", str(path), "--anchors", str(anchors)).stdout
    assert "no checkpoint covers the last 1 records yet, from 8 on" in text
    assert text.splitlines()[-1] == "intact"


def test_what_somebody_changed_is_told_by_place_and_exit_code(vouched: tuple[Path, Path]) -> None:
    path, anchors = vouched
    path.write_bytes(path.read_bytes().replace(b'"number":3', b'"number":4'))
    for options in (("--anchors", str(anchors)), ("--chain-only",)):
        done = run("verify", str(path), *options)
        assert done.returncode == 1
        assert "[chain-broken]" in done.stdout
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    done = run("verify", str(path), "--anchors", str(anchors), "--format", "json")
    assert done.returncode == 1
    assert "tail-cut" in {problem["code"] for problem in json.loads(done.stdout)["problems"]}


def test_a_newest_file_that_is_gone_is_tampering(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Origin("dev", "triage", "alice"), max_bytes=500) as ledger:
        for _ in range(5):
            ledger.record(Entry(kind="note"))
    path.unlink()
    done = run("verify", str(path), "--chain-only")
    assert done.returncode == 1
    assert "[file-missing]" in done.stdout


def test_what_cannot_be_read_or_asked_is_no_verdict(vouched: tuple[Path, Path], tmp_path: Path) -> None:
    path, anchors = vouched
    anchors.write_text(anchors.read_text() + "{}\n")
    for arguments in (
        (str(tmp_path / "none.jsonl"), "--chain-only"),
        (str(tmp_path / "none.jsonl"), "--anchors", str(anchors)),
        (str(tmp_path), "--chain-only"),
        (str(path),),
        (str(path), "--anchors", str(anchors)),
        (str(path), "--anchors", str(tmp_path / "none.jsonl")),
    ):
        done = run("verify", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr


def test_show_filters_and_never_moves_the_cursor(vouched: tuple[Path, Path]) -> None:
    path, _ = vouched
    with Ledger(path, Origin("dev", "triage", "alice\x1b[2J")) as ledger:
        ledger.record(Entry(kind="lease", tool="documents", recorded=False, outcome="allowed"))
    done = run("show", str(path), "--kind", "call", "--last", "2", "--format", "json")
    assert [json.loads(line)["inputs"]["number"] for line in done.stdout.splitlines()] == [4, 5]
    text = run("show", str(path), "--tool", "documents", "--since", "1h").stdout
    assert "unrecorded calls" in text
    assert "\x1b" not in text
    assert run("show", str(path), "--user", "nobody").stdout == ""
    assert run("show", str(path), "--since", "soon").returncode == 1
    assert run("show", str(path.with_name("none"))).returncode == 2
