"""What the stacks of the checkout deploy of the gate, from an agent's proposal to the change in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg.errors
import pytest

from narrowgate.approvals import State, VaultRefusedError
from narrowgate.approvals.executor import Executor
from narrowgate.runtime import login
from rehearsal import ci, postgres

if TYPE_CHECKING:
    from gate_bench import GateBench

WORKFLOW = "incident-summarization"
WHY = "No error for two hours."


def close(bench: GateBench, incident: int) -> str:
    """Have the agent of `alice` propose to close an incident, and return the request's id."""
    manifest = bench.live.manifest(WORKFLOW)
    with login(manifest, bench.sign("alice", WORKFLOW, "on-call", workflow=WORKFLOW)) as agent:
        inputs = {"incident": incident, "resolution": "The release was rolled back."}
        return agent.propose("incidents.close", inputs=inputs, rationale=WHY)


def executor_of(bench: GateBench) -> Executor:
    return Executor(
        bench.gate,
        "incidents",
        lambda: bench.sign("executor:incidents", "executors:incidents"),
        verify=bench.verify,
    )


def find_incident(bench: GateBench, tenant: str) -> int:
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        query = "SELECT min(id) FROM incidents WHERE tenant = %s AND status = 'open'"
        row = connection.execute(query, [tenant]).fetchone()
    assert row is not None
    return int(row[0])


def status_of(bench: GateBench, incident: int) -> tuple[Any, ...] | None:
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        return connection.execute("SELECT status, resolution FROM incidents WHERE id = %s", [incident]).fetchone()


def test_a_real_incident_is_closed_once_by_whoever_approved_it(bench: GateBench) -> None:
    incident, executor = find_incident(bench, "emea"), executor_of(bench)
    request = close(bench, incident)
    executor.work()
    with bench.approver("carl") as carl:
        view = carl.read_case(request)
        shown = {change.what: (change.before, change.after) for change in view.case.changes}
        assert shown == {"incidents.status": ("open", "resolved")}
        assert view.case.requester.name == "alice"
        carl.approve(request, digest=view.digest, reason="Seen on the board.", seen_at=view.read_at)
    executor.work()
    assert status_of(bench, incident) == ("resolved", "The release was rolled back. (carl)")
    outcome = bench.outcome(request)
    assert outcome is not None
    assert (outcome.state, outcome.verified) == (State.EXECUTED, True)
    with bench.live.postgres(postgres.SUPERUSER) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("SELECT close_incident('emea', %s, 'again', 'carl', %s)", [incident, view.digest])


def test_an_incident_of_another_tenant_is_neither_read_nor_closed(bench: GateBench) -> None:
    incident, executor = find_incident(bench, "amer"), executor_of(bench)
    request = close(bench, incident)
    executor.work()
    with bench.approver("carl") as carl:
        view = carl.read_case(request)
        assert [change.before for change in view.case.changes] == [None]
        carl.approve(request, digest=view.digest, reason="Not looked at.", seen_at=view.read_at)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.FAILED
    status = status_of(bench, incident)
    assert status is not None
    assert status[0] == "open"


def test_a_tools_executor_reaches_nothing_of_another_tool(bench: GateBench) -> None:
    executor = executor_of(bench)
    executor.log_in()
    for path in (
        "narrowgate-database/creds/executor.vendors.vendor-onboarding.create",
        "narrowgate-database-gated/creds/incident-summarization.incidents.close",
        "narrowgate-held/data/vendor-onboarding/vendors/x",
        "narrowgate-drafts/data/vendor-onboarding/x/vendors.create.x",
    ):
        with pytest.raises(VaultRefusedError):
            executor.vault.ask("get", path)
    with pytest.raises(VaultRefusedError):
        executor.vault.ask("post", "sys/control-group/authorize", {"accessor": "x"})
    executor.log_out()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("auth/executors/role/executor.vendors", {"bound_subject": "me"}),
        ("auth/executors/role/mine", {"role_type": "jwt", "user_claim": "/sub"}),
        ("auth/executors/config", {"bound_issuer": "https://me"}),
        ("auth/approvers/role/approver", {"bound_claims": {"/groups": ["everybody"]}}),
        ("auth/approvers/config", {"bound_issuer": "https://me"}),
        ("sys/policies/acl/system.executor.vendors", {"policy": ""}),
        ("sys/policies/acl/system.approver", {"policy": ""}),
        ("identity/group/name/approvers.vendor-approvers", {"type": "external"}),
        ("narrowgate-decisions/data/vendor-onboarding/x/y", {"data": {}}),
        ("narrowgate-database-gated/config/operations", {"allowed_roles": ["*"]}),
    ],
)
def test_the_deployer_is_neither_approver_nor_executor(bench: GateBench, path: str, body: dict[str, Any]) -> None:
    layout = bench.live.layout
    token = ci.job_environment(layout, ci.describe_ci(layout).deployer)["VAULT_TOKEN"]
    vault = bench.connect(token)
    with pytest.raises(VaultRefusedError):
        vault.ask("post", path, body)
    with pytest.raises(VaultRefusedError):
        vault.ask("get", "narrowgate-database-gated/creds/vendor-onboarding.vendors.create")
