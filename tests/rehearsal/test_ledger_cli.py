"""The ledger from the command line: what other programs leave in it, and what an auditor's login finds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from test_runtime_clients import NARROWGATE, SECONDS, WORKFLOW, Shell

from narrowgate.audit import auditor
from narrowgate.declarations import load_environment

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.live import LiveRehearsal


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def shell(rehearsal: LiveRehearsal, tmp_path: Path, ledger: Path) -> Shell:
    return Shell(rehearsal, tmp_path, NARROWGATE_LEDGER=str(ledger))


@pytest.fixture(scope="module")
def auditors_login(rehearsal: LiveRehearsal) -> dict[str, str]:
    operator = rehearsal.vault()
    bindings = load_environment(rehearsal.layout.project, "dev")
    operator.sys.create_or_update_policy("auditor", auditor.vault_policy(bindings))
    token = operator.auth.token.create(policies=["auditor"], no_default_policy=True, no_parent=True)
    return {
        "VAULT_ADDR": bindings.vault.address,
        "VAULT_TOKEN": token["auth"]["client_token"],
        "VAULT_CACERT": str(rehearsal.layout.ca_certificate),
    }


def read(ledger: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, ledger.read_text().splitlines()) if record["kind"] == kind]


def run(shell: Shell, *arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NARROWGATE, "ledger", *arguments],
        env={**shell.variables, **more},
        input=text,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_what_other_programs_are_given_leaves_one_entry_for_each_lease(
    shell: Shell, ledger: Path, tmp_path: Path
) -> None:
    script = "import boto3; [boto3.client('logs').filter_log_events(logGroupName='/app/payments') for _ in range(3)]"
    assert shell.exec("logs", sys.executable, "-c", script).returncode == 0
    assert shell.exec("incidents", "true").returncode == 0
    given = (NARROWGATE, "aws-credential-process", "-w", WORKFLOW, "-t", "documents")
    assert shell.run(*given).returncode == 0
    files = ("postgres-password", "-w", WORKFLOW, "-t", "incidents", "--folder", str(tmp_path / "files"))
    assert shell.run(NARROWGATE, *files).returncode == 0
    leases = read(ledger, "lease")
    assert [(lease["tool"], lease["recorded"]) for lease in leases] == [
        ("logs", False),
        ("incidents", False),
        ("documents", False),
        ("incidents", False),
    ]
    assert len({lease["lease"]["id"] for lease in leases}) == 4
    assert {lease["user"] for lease in leases} == {"alice"}
    assert read(ledger, "call") == []
    assert "secret_key" not in ledger.read_text()
    assert "password" not in ledger.read_text()


def test_an_auditor_verifies_what_a_client_appended_and_sees_what_was_changed(
    shell: Shell, ledger: Path, auditors_login: dict[str, str], tmp_path: Path
) -> None:
    lines = "".join(json.dumps({"tool": "logs", "inputs": {"number": number}}) + "\n" for number in range(5))
    done = run(shell, "append", "-w", WORKFLOW, "--user", "alice", "--checkpoint", text=lines)
    assert done.returncode == 0, done.stderr
    assert "covered up to record 7" in done.stdout
    done = run(shell, "verify", str(ledger), "--format", "json", **auditors_login)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["workflow"], verdict["records"], verdict["covered"], verdict["signed"]) == (WORKFLOW, 8, 7, True)
    kept = tmp_path / "anchors.jsonl"
    kept.write_text(run(shell, "anchors", **auditors_login).stdout)
    original = ledger.read_bytes()
    ledger.write_bytes(original.replace(b'"number":2', b'"number":3'))
    for options, more in (((), auditors_login), (("--anchors", str(kept)), {})):
        assert run(shell, "verify", str(ledger), *options, **more).returncode == 1
    ledger.unlink()
    assert run(shell, "append", "-w", WORKFLOW, "--checkpoint", text=lines).returncode == 0
    done = run(shell, "verify", str(ledger), **auditors_login)
    assert done.returncode == 1
    assert "[file-replaced]" in done.stdout


def test_a_checkpoint_or_verdict_that_vault_does_not_answer_for_is_none(
    shell: Shell, ledger: Path, auditors_login: dict[str, str]
) -> None:
    line = json.dumps({"tool": "logs"})
    assert run(shell, "append", "-w", WORKFLOW, text=line).returncode == 0
    shell.token_file.write_text("eyJhbGciOiJFUzI1NiJ9.e30.x")
    done = run(shell, "checkpoint", "-w", WORKFLOW)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    done = run(shell, "verify", str(ledger), **{**auditors_login, "VAULT_TOKEN": "s.nobody"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "auditor-refused" in done.stderr
