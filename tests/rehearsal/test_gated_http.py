"""A gated request to an internal service as it is deployed: proposed, approved, sent once by a token for it alone."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import drift_bench
import pytest
import requests
from gate_bench import WORKFLOW
from refund_service import ACTION, FORBIDDEN, serve_refunds

from narrowgate.access.lock import lock_file
from narrowgate.approvals import State, VaultRefusedError
from narrowgate.approvals.canary import prove_gate
from narrowgate.approvals.errors import BadRequestError
from narrowgate.approvals.executor import Executor
from narrowgate.audit.drift.expected import Expected
from narrowgate.audit.drift.facts import Kind
from narrowgate.audit.trace import Question, Sources, build_trace, search
from narrowgate.declarations import load_environment
from narrowgate.runtime import login
from rehearsal import bao

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench
    from refund_service import RefundService

    from narrowgate.approvals.case import Outcome

GATED = f"identity/oidc/token/{WORKFLOW}.payments.refund"
READER = f"identity/oidc/token/executor.payments.{WORKFLOW}.refund"
AGENTS = f"identity/oidc/token/{WORKFLOW}.payments"


@pytest.fixture
def service(bench: GateBench) -> Iterator[RefundService]:
    with serve_refunds(bench) as server:
        yield server


@pytest.fixture
def executor(bench: GateBench, tmp_path: Path) -> Iterator[Executor]:
    source = lambda: bench.sign("executor:payments", "executors:payments")  # noqa: E731 - read at each login
    made = Executor(bench.gate, "payments", source, verify=bench.verify, ledger=tmp_path / "executor.jsonl")
    yield made
    made.log_out()


def propose(bench: GateBench, payment: str, amount: int = 12) -> str:
    with login(bench.live.manifest(WORKFLOW), bench.agent_token()) as agent:
        inputs = {"payment": payment, "amount": amount}
        return agent.propose("payments.refund", inputs=inputs, rationale="It was paid twice.")


def unwrap(bench: GateBench, wrapping: str) -> None:
    bench.connect().ask("post", "sys/wrapping/unwrap", {}, token=wrapping)


def held(bench: GateBench, request: str) -> dict[str, str]:
    key = request.partition(".")[2]
    return dict(bench.root.read(f"narrowgate-held/data/{WORKFLOW}/payments/{key}")["data"]["data"])


def end(bench: GateBench, executor: Executor, request: str) -> Outcome:
    """Approve a request, have it carried out, and return how it ended."""
    bench.approve("ann", request)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    return outcome


def send(service: RefundService, token: str, method: str = "POST", payment: str = "p-stolen") -> int:
    """Ask for a refund, or read a payment, with any token, and return the status."""
    place = f"http://127.0.0.1:{service.server_port}{service.base}/payments/{payment}"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one of my own"}
    with requests.Session() as session:
        session.trust_env = False
        url = f"{place}/refunds" if method == "POST" else place
        return session.request(method, url, json={"amount": 1}, headers=headers, timeout=10).status_code


def test_what_was_approved_is_sent_once_with_its_digest_and_nothing_before(
    bench: GateBench, executor: Executor, service: RefundService, tmp_path: Path
) -> None:
    request = propose(bench, "p/1")
    executor.work()
    with bench.approver("ann") as ann:
        view = ann.read_case(request)
    assert [(c.what, c.before, c.after) for c in view.case.changes] == [("refunded", 0, 12)]
    assert view.case.calls["body"] == {"amount": 12, "approved_by": "${approvers}", "region": "emea"}
    executor.work()
    wrapping = held(bench, request)["wrapping"]
    with pytest.raises((BadRequestError, VaultRefusedError)):
        unwrap(bench, wrapping)
    assert service.refunds == []
    outcome = end(bench, executor, request)
    assert (outcome.state, outcome.verified) == (State.EXECUTED, True)
    assert outcome.result == {"status": 201, "refund": "r-1"}
    (call,) = service.refunds
    assert call.path == f"{service.base}/payments/p%2F1/refunds"
    assert call.body == {"amount": 12, "region": "emea", "approved_by": "ann"}
    assert call.digest == view.digest
    names = ("workflow", "tool", "action", "actions", "gated", "environment")
    assert [call.claims[name] for name in names] == [WORKFLOW, "payments", ACTION, [ACTION], "execute", "dev"]
    assert call.claims["scope"] == {"region": "emea"}
    with pytest.raises((BadRequestError, VaultRefusedError)):
        unwrap(bench, wrapping)
    executor.work()
    assert len(service.refunds) == 1
    _check_trace(bench, tmp_path / "executor.jsonl", request)


def _check_trace(bench: GateBench, ledger: Path, request: str) -> None:
    sources = Sources((ledger,), (bao.audit_file(bench.live.layout),), (bench.live.layout.cloudtrail,))
    answer = build_trace(search(sources, Question(id=request)), dt.datetime.now(dt.UTC))
    (proposal,) = answer.proposals
    assert (proposal.user, f"{proposal.tool}.{proposal.action}") == ("vera", "payments.refund")
    assert proposal.approvers == ("ann (Papers checked.)",)
    assert answer.findings == []


def test_a_denied_request_sends_nothing(bench: GateBench, executor: Executor, service: RefundService) -> None:
    request = propose(bench, "p-denied")
    executor.work()
    wrapping = held(bench, request)["wrapping"]
    bench.deny("ann", request)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.DENIED
    with pytest.raises((BadRequestError, VaultRefusedError)):
        unwrap(bench, wrapping)
    assert service.refunds == []


def test_a_refusal_is_failed_and_sent_once(bench: GateBench, executor: Executor, service: RefundService) -> None:
    service.refuses = 422
    request = propose(bench, "p-refused")
    executor.work()
    outcome = end(bench, executor, request)
    executor.work()
    assert outcome.state is State.FAILED
    assert len(service.refunds) == 1
    assert service.refunded == {}


def test_a_lost_answer_is_in_doubt_and_sent_once(bench: GateBench, executor: Executor, service: RefundService) -> None:
    service.cuts = True
    request = propose(bench, "p-lost")
    executor.work()
    outcome = end(bench, executor, request)
    executor.work()
    assert outcome.state is State.IN_DOUBT
    assert len(service.refunds) == 1


def test_what_changed_since_it_was_shown_is_refused(
    bench: GateBench, executor: Executor, service: RefundService
) -> None:
    request = propose(bench, "p-changed")
    executor.work()
    service.refunded["p-changed"] = 5
    assert end(bench, executor, request).state is State.REFUSED
    assert service.refunds == []


def test_nobodys_own_login_reaches_the_gated_token(bench: GateBench, executor: Executor) -> None:
    agent, _ = bench.agent()
    executor.log_in()
    with bench.approver("ann") as ann:
        for vault in (agent, executor.vault, ann.vault):
            for query in (None, {"digest": "x"}):
                with pytest.raises(VaultRefusedError):
                    vault.ask("get", GATED, query=query)
        for vault in (agent, ann.vault):
            with pytest.raises(VaultRefusedError):
                vault.ask("get", READER)
    with pytest.raises(VaultRefusedError):
        executor.vault.ask("get", AGENTS)


def test_neither_an_agents_token_nor_the_executors_own_is_good_for_the_action(
    bench: GateBench, executor: Executor, service: RefundService
) -> None:
    executor.log_in()
    agent, _ = bench.agent()
    own = str(agent.ask("get", AGENTS)["data"]["token"])
    reads = str(executor.vault.ask("get", READER)["data"]["token"])
    for token in (own, reads, "", executor.read_token()):
        assert send(service, token) == FORBIDDEN
    assert [send(service, token, "GET") for token in (own, reads)] == [200, 200]
    claims = service.check(reads)
    assert claims is not None
    assert (claims["gated"], claims["action"], claims["actions"]) == ("read", ACTION, [])
    assert service.refunded == {}


def test_the_canary_proves_that_the_gated_token_is_held_back(executor: Executor) -> None:
    assert prove_gate(executor) == 1


def test_tokens_that_claim_more_by_hand_are_drift(bench: GateBench) -> None:
    layout = bench.live.layout
    expected = Expected.read(load_environment(layout.project, "dev"), lock_file(layout.stacks, "dev"))
    for path in (GATED, READER):
        place = path.replace("/token/", "/role/")
        assert not [f for f in drift_bench.find(bench.live, expected) if place in f.thing]
        held = bench.root.read(place)["data"]
        claims = {**json.loads(str(held["template"])), "actions": ["refund", "wipe"]}
        with drift_bench.written(bench.root, place, {**held, "template": json.dumps(claims)}):
            drift_bench.assert_found(drift_bench.find(bench.live, expected), Kind.CHANGED, place, "template")
