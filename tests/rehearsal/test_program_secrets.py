"""No secret lies where it does not belong: state, logs, manifests and records are searched for what was issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.runtime import login
from rehearsal import aws, bao, postgres

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.live import LiveRehearsal


@pytest.fixture(scope="module")
def issued(rehearsal: LiveRehearsal) -> dict[str, str]:
    """Return secrets that are in use now or were a moment ago, by what they are."""
    workflow = "incident-summarization"
    jwt = rehearsal.token("alice", workflow)
    with login(rehearsal.manifest(workflow), jwt) as agent:
        connection = agent.postgres("incidents")
        connection.execute("SELECT 1")
        database, session = agent.credential("incidents").values, agent.credential("logs").values
        agent.aws("logs").client("logs").filter_log_events(logGroupName="/app/payments")
        token = rehearsal.vault("").write_data(f"auth/agents/{workflow}/login", data={"role": "agent", "jwt": jwt})
    operator = aws.read_operator_key(rehearsal.layout)
    broker = aws.read_key(aws.broker(rehearsal.layout))
    assert broker is not None
    return {
        "the identity provider's token": jwt,
        "Vault's token": token["auth"]["client_token"],
        "a database login's password": database["password"],
        "a session's secret key": session["secret_key"],
        "a session's token": session["security_token"],
        "the operator's secret key": operator.secret,
        "the broker's secret key": broker.secret,
        "the broker's password": postgres.read_password(rehearsal.layout, postgres.BROKER),
        "the deployer's password": postgres.read_password(rehearsal.layout, postgres.DEPLOYER),
        "the superuser's password": postgres.read_password(rehearsal.layout, postgres.SUPERUSER),
        "the passphrase of the stacks": rehearsal.layout.pulumi_passphrase.read_text().strip(),
    }


def list_files(rehearsal: LiveRehearsal) -> dict[str, list[Path]]:
    layout = rehearsal.layout
    folders = {
        "state": layout.pulumi_state,
        "project": layout.project,
        "logs": layout.logs,
        "manifests": layout.manifests,
        "engine": layout.pulumi_home,
    }
    found = {name: [file for file in folder.rglob("*") if file.is_file()] for name, folder in folders.items()}
    return {**found, "audit": [bao.audit_file(layout)], "record": [layout.cloudtrail], "memory": [layout.state_file]}


@pytest.mark.parametrize("place", ["state", "project", "logs", "manifests", "engine", "audit", "record", "memory"])
def test_no_secret_lies_in(rehearsal: LiveRehearsal, issued: dict[str, str], place: str) -> None:
    files = list_files(rehearsal)[place]
    assert files
    assert any(file.stat().st_size for file in files)
    found = [
        f"{what} in {file}"
        for file in files
        if place != "engine" or file.stat().st_size < 10_000_000
        for content in [file.read_bytes()]
        for what, secret in issued.items()
        if secret.encode() in content
    ]
    assert found == []


def test_only_the_owner_reads_the_rehearsal(rehearsal: LiveRehearsal) -> None:
    root = rehearsal.layout.root
    assert root.stat().st_mode & 0o077 == 0
    private = [
        *rehearsal.layout.manifests.iterdir(),
        rehearsal.layout.operator_credentials,
        rehearsal.layout.cloudtrail,
    ]
    assert [file for file in private if file.stat().st_mode & 0o077] == []
