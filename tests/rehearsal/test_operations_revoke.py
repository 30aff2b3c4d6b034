"""Revoke and restore on the running system: what an agent holds dies, and no deploy brings it back before its time."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import ClientError
from operator_login import operator_process

from narrowgate.operations.sessions import POLICY_NAME
from narrowgate.runtime import AccessRefusedError, Agent, LoginRefusedError, RevokedError, login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

WORKFLOW, ALICE, BOB = "incident-summarization", "alice", "bob"
OTHER, SAM = "ticket-drafting", "sam"
ON_CALL = ["on-call"]
RECORDS = "narrowgate-revocations"
PLAIN = ("--non-interactive", "--color", "never", "--yes", "--skip-preview")


def run(
    rehearsal: LiveRehearsal, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the CLI as the operator, who can only cut, or with another `environment`."""
    return subprocess.run(
        [str(rehearsal.layout.venv / "bin" / "narrowgate"), *arguments],
        env=environment or operator_process(rehearsal),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def narrowgate(
    rehearsal: LiveRehearsal, *arguments: str, expect: int = 0, environment: dict[str, str] | None = None
) -> dict[str, Any]:
    done = run(rehearsal, *arguments, "--format", "json", environment=environment)
    assert done.returncode == expect, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def as_administrator(rehearsal: LiveRehearsal, *arguments: str) -> dict[str, Any]:
    return narrowgate(rehearsal, *arguments, environment=rehearsal.environment())


def log_in(rehearsal: LiveRehearsal, user: str, workflow: str = WORKFLOW) -> Any:  # noqa: ANN401
    groups = ON_CALL if user in {ALICE, BOB} else None
    return login(rehearsal.manifest(workflow), rehearsal.token(user, workflow, groups=groups))


def list_events(session: Any) -> int:  # noqa: ANN401
    return len(session.client("logs").filter_log_events(logGroupName="/app/payments")["events"])


def count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM incidents").fetchone()
    assert row is not None
    return int(row[0])


def read_rows(agent: Agent) -> int:
    with agent.postgres("incidents") as connection:
        return count(connection)


def ends(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether a session is ended: Vault ends a revoked token's leases in the background."""
    for _ in range(100):
        try:
            count(connection)
        except psycopg.OperationalError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def clean(rehearsal: LiveRehearsal) -> Iterator[LiveRehearsal]:
    """Give the deployed system; afterwards nothing is revoked, and everything stands as declared."""
    yield rehearsal
    vault = rehearsal.vault()
    known = vault.list(f"{RECORDS}/metadata/")
    deployed = True
    for workflow in known["data"]["keys"] if known else ():
        held = vault.read(f"{RECORDS}/data/{workflow}")["data"]["data"]
        for user in held["users"]:
            as_administrator(rehearsal, "restore", workflow, "--user", user, "--yes")
        if held["whole"]:
            narrowgate(rehearsal, "restore", workflow, "--yes")
            deployed = False
    if not deployed:
        rehearsal.run("pulumi", "up", *PLAIN)
    for role in rehearsal.aws("iam").list_roles(PathPrefix="/narrowgate/dev/")["Roles"]:
        policies = rehearsal.aws("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        if POLICY_NAME in policies:
            rehearsal.aws("iam").delete_role_policy(RoleName=role["RoleName"], PolicyName=POLICY_NAME)


def test_a_revoked_workflow_is_dead_at_once_and_stays_so_through_deploys(clean: LiveRehearsal) -> None:
    with log_in(clean, ALICE) as agent, log_in(clean, SAM, OTHER) as other:
        session, database = agent.aws("logs"), agent.postgres("incidents")
        assert list_events(session) > 0
        assert count(database) > 0

        answer = narrowgate(clean, "revoke", WORKFLOW, "--reason", "a drill", "--yes")
        assert answer["held"]
        with pytest.raises(ClientError, match="AccessDenied"):
            list_events(session)
        with pytest.raises(psycopg.OperationalError):
            count(database)
        with pytest.raises((RevokedError, AccessRefusedError)):
            agent.credential("incidents")
        assert read_rows(other) > 0  # another workflow's agent goes on

    with pytest.raises(LoginRefusedError), log_in(clean, ALICE):
        pass
    clean.run("pulumi", "refresh", *PLAIN)
    clean.run("pulumi", "up", *PLAIN)
    clean.run("pulumi", "up", *PLAIN, "--expect-no-changes")
    with pytest.raises(LoginRefusedError), log_in(clean, ALICE):
        pass

    narrowgate(clean, "restore", WORKFLOW, "--yes")
    clean.run("pulumi", "up", *PLAIN)
    with log_in(clean, ALICE) as agent:
        assert read_rows(agent) > 0
    with pytest.raises(ClientError, match="AccessDenied"):
        list_events(session)  # what was cut stays cut


def test_a_restore_needs_no_refresh_to_bring_the_login_back(clean: LiveRehearsal) -> None:
    narrowgate(clean, "revoke", WORKFLOW, "--reason", "a drill", "--yes")
    narrowgate(clean, "restore", WORKFLOW, "--yes")
    clean.run("pulumi", "up", *PLAIN)  # its state still holds the role that the revocation deleted
    with log_in(clean, ALICE) as agent:
        assert read_rows(agent) > 0
    clean.run("pulumi", "up", *PLAIN, "--expect-no-changes")


def test_one_user_is_cut_off_and_the_others_go_on(clean: LiveRehearsal) -> None:
    with log_in(clean, ALICE) as alice, log_in(clean, BOB) as bob:
        hers, his = alice.aws("logs"), bob.aws("logs")
        her_rows, his_rows = alice.postgres("incidents"), bob.postgres("incidents")
        assert list_events(hers) == list_events(his) > 0
        assert count(her_rows) == count(his_rows) > 0

        answer = narrowgate(clean, "revoke", WORKFLOW, "--user", ALICE, "--reason", "left", "--yes")
        assert answer["held"]
        with pytest.raises(ClientError, match="AccessDenied"):
            list_events(hers)
        assert ends(her_rows)
        with pytest.raises((RevokedError, AccessRefusedError)):
            alice.credential("incidents")
        assert list_events(his) > 0
        assert count(his_rows) > 0
        assert list_events(bob.aws("logs")) > 0

    with pytest.raises(LoginRefusedError), log_in(clean, ALICE):
        pass
    with log_in(clean, BOB) as bob:
        assert list_events(bob.aws("logs")) > 0
    clean.run("pulumi", "up", *PLAIN, "--expect-no-changes")
    with pytest.raises(LoginRefusedError), log_in(clean, ALICE):
        pass
    refused = run(clean, "restore", WORKFLOW, "--user", ALICE, "--yes")
    assert refused.returncode == 1
    assert "an administrator" in refused.stderr
    with pytest.raises(LoginRefusedError), log_in(clean, ALICE):
        pass
    as_administrator(clean, "restore", WORKFLOW, "--user", ALICE, "--yes")
    with log_in(clean, ALICE) as alice:
        assert read_rows(alice) > 0


def test_a_user_who_never_logged_in_is_refused_the_first_time(clean: LiveRehearsal) -> None:
    user = "newcomer"
    refused = narrowgate(clean, "revoke", WORKFLOW, "--user", user, "--reason", "never again", "--yes", expect=1)
    assert [step["name"] for step in refused["steps"] if not step["held"]] == ["logins"]  # and it says so
    as_administrator(clean, "revoke", WORKFLOW, "--user", user, "--reason", "never again", "--yes")
    token = clean.token(user, WORKFLOW, groups=ON_CALL)
    with pytest.raises(LoginRefusedError), login(clean.manifest(WORKFLOW), token):
        pass
    as_administrator(clean, "restore", WORKFLOW, "--user", user, "--yes")
    with login(clean.manifest(WORKFLOW), token) as agent:
        assert read_rows(agent) > 0


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(clean: LiveRehearsal) -> None:
    with log_in(clean, ALICE) as agent:
        session = agent.aws("logs")
        list_events(session)
        answer = narrowgate(clean, "revoke", WORKFLOW, "--reason", "a drill")
        assert answer["dry_run"]
        details = {step["name"]: step["detail"] for step in answer["steps"]}
        assert details[f"leases of auth/agents/{WORKFLOW}/login"] != "revoke 0"
        assert list_events(session) > 0
    with log_in(clean, ALICE):
        pass
    assert (
        clean.vault().read(f"{RECORDS}/data/{WORKFLOW}") is None
        or not clean.vault().read(f"{RECORDS}/data/{WORKFLOW}")["data"]["data"]["whole"]
    )


def test_nobody_confirmed_so_nothing_is_done(clean: LiveRehearsal) -> None:
    done = run(clean, "revoke", WORKFLOW, "--reason", "a drill")
    assert done.returncode == 0
    assert f"would delete auth/agents/{WORKFLOW}/role/agent" in done.stdout
    assert "Nothing was done" in done.stderr
    with log_in(clean, ALICE):
        pass


def test_a_deploy_that_cannot_read_the_records_stops(clean: LiveRehearsal) -> None:
    vault = clean.vault()
    vault.write_data(f"{RECORDS}/data/{OTHER}", data={"data": {"version": 2, "workflow": OTHER}})
    done = clean.run("pulumi", "preview", "--non-interactive", "--color", "never", check=False)
    assert done.returncode != 0
    assert "is not of version 1" in done.stdout + done.stderr
    vault.delete(f"{RECORDS}/data/{OTHER}")
    done = clean.run("pulumi", "preview", "--non-interactive", "--color", "never", check=False)
    assert done.returncode != 0
    assert "was deleted" in done.stdout + done.stderr
    vault.delete(f"{RECORDS}/metadata/{OTHER}")
    clean.run("pulumi", "preview", "--non-interactive", "--color", "never", "--expect-no-changes")
