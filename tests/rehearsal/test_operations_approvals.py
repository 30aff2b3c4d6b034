"""A revocation stops what waits for approval: approved or not, at the real gate, until the record is lifted."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from gate_bench import MOUNTS, REVOCATIONS, WORKFLOW

from narrowgate.approvals import State
from narrowgate.approvals.errors import SettingsError
from narrowgate.operations.record import Revocation, RevocationRecords
from narrowgate.operations.steps import Operator, run_step, stop_requests
from narrowgate.operations.target import GatedAction, Target
from narrowgate.operations.vault import VaultOperator, open_operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench

ACTION = f"{WORKFLOW}.vendors.create"
WHY = Revocation("a drill", "olga", "2026-01-01T00:00:00+00:00")
POLICY = f"""
path "{REVOCATIONS}/data/+" {{ capabilities = ["create", "read", "update"] }}
path "{MOUNTS["held"]}/metadata/+/+" {{ capabilities = ["list"] }}
"""


@pytest.fixture
def operator(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultOperator]:
    """Give a login that may do of the operator's what concerns requests; afterwards nothing is revoked."""
    bench.root.sys.create_or_update_policy("stopper", POLICY)
    made = bench.root.auth.token.create(policies=["stopper"], no_default_policy=True)
    monkeypatch.setenv("VAULT_TOKEN", made["auth"]["client_token"])
    with open_operator(bench.gate.address, verify=bench.verify) as vault:
        yield vault
    bench.root.delete(f"{REVOCATIONS}/metadata/{WORKFLOW}")


def record(vault: VaultOperator, user: str | None = None, *, lift: bool = False) -> None:
    records = RevocationRecords(vault, REVOCATIONS)
    held, version = records.read(WORKFLOW)
    records.write(held.restore(user) if lift else held.revoke(user, WHY), version)


def waiting(bench: GateBench, name: str, user: str = "vera") -> str:
    request = bench.draft(name, user=user)
    bench.executor().work()
    assert bench.outcome(request) is None
    return request


def aim(bench: GateBench) -> Target:
    return Target(
        workflow=WORKFLOW,
        user=None,
        address=bench.gate.address,
        ca_pem=None,
        namespace=None,
        records=REVOCATIONS,
        auth_mount=f"agents/{WORKFLOW}",
        auth_role="agent",
        lease_paths=(),
        roles=(),
        region=None,
        endpoint_url=None,
        lasting=(),
        gated=(GatedAction(f"gated.{ACTION}", f"narrowgate-database-gated/creds/{ACTION}"),),
    )


def test_an_approved_request_of_a_revoked_workflow_is_ended_and_not_executed(
    bench: GateBench, operator: VaultOperator
) -> None:
    request = waiting(bench, "Cut Off Oy")
    bench.approve("ann", request)
    record(operator)
    bench.executor().work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert (outcome.state, outcome.words) == (State.STOPPED, "an operator revoked the workflow")
    record(operator, lift=True)
    bench.executor().work()
    assert bench.vendors("Cut Off Oy") == []
    assert bench.logins() == []


def test_a_draft_of_a_revoked_workflow_becomes_no_case(bench: GateBench, operator: VaultOperator) -> None:
    record(operator)
    request = bench.draft("Too Late Oy")
    bench.executor().work()
    assert bench.record(request)["state"] == "refused"
    assert "an operator revoked the workflow" in bench.record(request)["words"]
    record(operator, lift=True)
    bench.executor().work()
    assert bench.vendors("Too Late Oy") == []


def test_one_users_request_is_ended_and_anothers_goes_on(bench: GateBench, operator: VaultOperator) -> None:
    hers, his = waiting(bench, "Hers Oy"), waiting(bench, "His Oy", user="quentin")
    for request in (hers, his):
        bench.approve("ann", request)
    record(operator, "vera")
    bench.executor().work()
    ended, executed = bench.outcome(hers), bench.outcome(his)
    assert ended is not None
    assert executed is not None
    assert (ended.state, executed.state) == (State.STOPPED, State.EXECUTED)
    assert (bench.vendors("Hers Oy"), len(bench.vendors("His Oy"))) == ([], 1)


def test_a_record_that_cannot_be_understood_holds_everything_up(bench: GateBench, operator: VaultOperator) -> None:
    request = waiting(bench, "Held Up Oy")
    bench.approve("ann", request)
    operator.write(f"{REVOCATIONS}/data/{WORKFLOW}", data={"version": 2, "workflow": WORKFLOW})
    bench.executor().work()
    assert bench.outcome(request) is None
    assert bench.vendors("Held Up Oy") == []
    executor = bench.executor()
    executor.log_in()
    with pytest.raises(SettingsError):
        executor.store.tell_revocation(WORKFLOW, "vera")
    bench.root.delete(f"{REVOCATIONS}/metadata/{WORKFLOW}")
    bench.executor().work()
    assert len(bench.vendors("Held Up Oy")) == 1


def test_the_step_sees_requests_ended_by_a_running_executor(bench: GateBench, operator: VaultOperator) -> None:
    waiting(bench, "First Oy")
    waiting(bench, "Second Oy")
    step = stop_requests(Operator(operator, None, "olga", bench.gate), aim(bench))
    assert step.preview() == "have executors end what waits for approval (2 requests)"
    record(operator)
    done = threading.Event()

    def serve() -> None:
        executor = bench.executor()
        while not done.is_set():
            executor.work()
            time.sleep(0.2)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        result = run_step(step)
    finally:
        done.set()
        thread.join()
    assert result.held, result.detail
    assert step.preview() == "have executors end what waits for approval (0 requests)"


def test_without_an_executor_the_step_says_that_requests_still_wait(
    bench: GateBench, operator: VaultOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrowgate.operations.steps.VERIFY_SECONDS", 0.5)
    request = waiting(bench, "Nobody There Oy")
    record(operator)
    result = run_step(stop_requests(Operator(operator, None, "olga", bench.gate), aim(bench)))
    assert not result.held
    assert "1 still wait" in result.detail
    bench.executor().work()
    ended = bench.outcome(request)
    assert ended is not None
    assert ended.state is State.STOPPED
