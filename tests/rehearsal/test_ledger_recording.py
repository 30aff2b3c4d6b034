"""An agent's calls leave records by themselves: against the real Vault, PostgreSQL and the AWS emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import ClientError
from loops import run_alone

from narrowgate.audit.anchors import VaultReader
from narrowgate.audit.ledger.verify import verify_ledger
from narrowgate.audit.shipping import fetch_ledger, parse_target, ship_ledger
from narrowgate.runtime import aio, login

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
BUCKET = "acme-dev-documents"
ADDRESS = "customer@example.org"  # `customer_email` is a field that the tool's declaration calls secret


@pytest.fixture(scope="module")
def ledger(rehearsal: LiveRehearsal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW), ledger=path) as agent:
        logs = agent.aws("logs").client("logs")
        logs.filter_log_events(logGroupName="/app/payments")
        with pytest.raises(ClientError):
            logs.filter_log_events(logGroupName="/app/identity")
        agent.aws("documents").client("s3").list_objects_v2(Bucket=BUCKET, Prefix="runbooks/")
        with agent.postgres("incidents") as connection:
            connection.execute("SELECT title FROM incidents WHERE tenant = %s", ("emea",)).fetchall()
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("SELECT id FROM incidents WHERE customer_email = %s", (ADDRESS,))
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("SELECT id FROM incidents WHERE customer_email = 'customer@example.org'")
        agent.credential("documents")
    return path


def read(path: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, path.read_text().splitlines()) if record["kind"] == kind]


def test_each_call_is_a_record_of_its_user_action_lease_and_outcome(ledger: Path) -> None:
    calls = read(ledger, "call")
    assert [(c["tool"], c.get("action"), c["operation"], c["outcome"]) for c in calls] == [
        ("logs", "search", "logs:FilterLogEvents", "allowed"),
        ("logs", "search", "logs:FilterLogEvents", "refused"),
        ("documents", "read", "s3:ListObjectsV2", "allowed"),
        ("incidents", "read", "sql:SELECT", "allowed"),
        ("incidents", "read", "sql:SELECT", "refused"),
        ("incidents", "read", "sql:SELECT", "refused"),
    ]
    for call in calls:
        assert (call["workflow"], call["user"], call["environment"]) == (WORKFLOW, "alice", "dev")
        assert call["duration_ms"] > 0
        assert call["lease"]["id"].startswith(("narrowgate-aws/sts/", "narrowgate-database/creds/"))
    assert calls[0]["inputs"] == {"logGroupName": "/app/payments"}
    assert calls[0]["outputs"]["events"]["items"] > 0
    assert calls[0]["requests"]
    assert "@" in calls[0]["lease"]["session"]
    assert calls[3]["inputs"]["parameters"] == ["emea"]
    assert calls[3]["outputs"]["columns"] == ["title"]


def test_every_way_of_psycopg_to_run_a_statement_is_recorded(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with (
        login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW), ledger=path) as agent,
        agent.postgres("incidents") as connection,
    ):
        for name in ("", "server side"):
            with connection.cursor(name) as cursor:
                cursor.execute("SELECT id, title FROM incidents")
                assert cursor.fetchall()
        with connection.cursor() as cursor:
            assert list(cursor.stream("SELECT title FROM incidents"))
            with cursor.copy("COPY (SELECT title FROM incidents) TO STDOUT") as copy:
                assert list(copy.rows())
            cursor.executemany("SELECT %s::int", [(1,), (2,)])
    operations = [(call["operation"], call["outcome"]) for call in read(path, "call")]
    assert operations == [("sql:SELECT", "allowed")] * 3 + [("sql:COPY", "allowed"), ("sql:SELECT", "allowed")]
    assert read(path, "call")[-1]["inputs"]["parameters"] == {"times": 2, "first": [1]}


def test_asyncios_statements_are_recorded_too(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"

    async def work() -> None:
        token = rehearsal.token("alice", WORKFLOW)
        async with aio.login(rehearsal.manifest(WORKFLOW), token, ledger=path) as agent:
            connection = await agent.postgres("incidents")
            for name in ("", "server side"):
                async with connection.cursor(name) as cursor:
                    await cursor.execute("SELECT title FROM incidents")
                    assert await cursor.fetchall()
            async with connection.cursor() as cursor:
                assert [row async for row in cursor.stream("SELECT title FROM incidents")]
                async with cursor.copy("COPY (SELECT title FROM incidents) TO STDOUT") as copy:
                    assert [row async for row in copy.rows()]
                await cursor.executemany("SELECT %s::int", [(1,), (2,)])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("SELECT customer_email FROM incidents")

    run_alone(work())
    calls = [(call["operation"], call["outcome"]) for call in read(path, "call")]
    assert [operation for operation, _ in calls] == ["sql:SELECT"] * 3 + ["sql:COPY", "sql:SELECT", "sql:SELECT"]
    assert calls[-1] == ("sql:SELECT", "refused")
    assert [lease["recorded"] for lease in read(path, "lease")] == [True]


def test_each_lease_is_a_record_that_says_whether_its_calls_are(ledger: Path) -> None:
    leases = [(lease["tool"], lease["recorded"]) for lease in read(ledger, "lease")]
    assert leases == [("logs", True), ("documents", True), ("incidents", True), ("documents", False)]


def test_vault_vouches_for_it_and_no_secret_stands_in_it(rehearsal: LiveRehearsal, ledger: Path) -> None:
    reader = VaultReader(rehearsal.vault())
    anchors = reader.read_anchors(WORKFLOW)
    with ledger.open("rb") as file:
        verdict = verify_ledger(
            file, str(ledger), anchors=anchors.anchors, check_signature=reader.read_keys([WORKFLOW])
        )
    assert verdict.problems == []
    assert (verdict.covered, verdict.signed) == (verdict.records - 1, True)
    text = ledger.read_text()
    assert "security_token" not in text
    assert "secret_key" not in text
    content = ledger.read_bytes().replace(b'"alice"', b'"sam"', 1)
    changed = ledger.with_name("changed.jsonl")
    changed.write_bytes(content)
    with changed.open("rb") as file:
        assert not verify_ledger(file, str(changed), anchors=anchors.anchors).intact


def test_no_declared_secret_field_is_in_the_file_nor_in_what_is_shipped(rehearsal: LiveRehearsal, ledger: Path) -> None:
    assert "customer_email" in json.dumps([call["inputs"] for call in read(ledger, "call")])
    assert ADDRESS not in ledger.read_text()
    rehearsal.aws("logs").create_log_group(logGroupName="/narrowgate/ledgers")
    target = parse_target("logs:/narrowgate/ledgers")
    target.client = rehearsal.aws("logs")
    shipped, _ = ship_ledger(ledger, target)
    arrived = b"".join(fetch_ledger(target, shipped.ledger))
    assert arrived == ledger.read_bytes()
    assert ADDRESS.encode() not in arrived


def test_vaults_audit_log_shows_what_joins_and_no_secret(rehearsal: LiveRehearsal, ledger: Path) -> None:
    from rehearsal import bao

    leases = {lease["lease"]["id"]: lease["lease"] for lease in read(ledger, "lease")}
    text = bao.audit_file(rehearsal.layout).read_text()
    answers = [e for e in map(json.loads, text.splitlines()) if e["type"] == "response" and "response" in e]
    found = {}
    for entry in answers:
        lease_id = (entry["response"].get("secret") or {}).get("lease_id")
        if lease_id in leases:
            found[lease_id] = entry["response"]["data"]
    assert found.keys() == leases.keys()
    for lease_id, data in found.items():
        shown = {name for name, value in data.items() if not str(value).startswith("hmac-sha256:")}
        if lease_id.startswith("narrowgate-aws"):
            assert data["access_key"] == leases[lease_id]["access_key_id"]
            assert data["arn"].endswith(leases[lease_id]["session"])
            assert shown <= {"access_key", "arn", "ttl"}
            assert data["secret_key"].startswith("hmac-sha256:")
            assert data["security_token"].startswith("hmac-sha256:")
        else:
            assert data["username"] == leases[lease_id]["login"]
            assert shown == {"username"}
