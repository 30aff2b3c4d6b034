"""What an agent's code does: it proposes, goes on, and learns what became of that; against the real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from gate_bench import MOUNTS, WORKFLOW
from loops import run_alone

from narrowgate.approvals import VaultRefusedError
from narrowgate.approvals.store import Store
from narrowgate.runtime import AccessRefusedError, NotDeclaredError, ProposalError, VaultUnavailableError, aio, login
from narrowgate.runtime.vault import VaultConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate_bench import GateBench

WHY = "Its papers are complete."


def inputs(name: str, **changed: object) -> dict[str, object]:
    return {"name": name, "country": "FI", "bank_account": "FI00 1234", **changed}


def test_a_proposal_is_approved_executed_and_answered(bench: GateBench) -> None:
    executor = bench.executor()
    with login(bench.manifest(), bench.agent_token()) as agent:
        request = agent.propose("vendors.create", inputs=inputs("Iolite Oy"), rationale=WHY)
        assert (agent.proposal(request).state, agent.proposal(request).final) == ("open", False)
        executor.work()
        assert not agent.proposal(request).final
        bench.approve("ann", request)
        executor.work()
        found = agent.proposal(request)
        assert (found.state, found.words, found.final) == ("executed", "executed", True)
        assert found.result is not None
    assert bench.vendors("Iolite Oy") == [("FI", "active")]


def test_a_denial_and_its_reason_reach_the_agent(bench: GateBench) -> None:
    executor = bench.executor()
    with login(bench.manifest(), bench.agent_token()) as agent:
        request = agent.propose("vendors.create", inputs=inputs("Jasper Oy"), rationale=WHY)
        executor.work()
        bench.deny("ann", request, "Not in our country.")
        executor.work()
        assert agent.proposal(request).state == "denied"
        assert "Not in our country." in agent.proposal(request).words


def test_the_same_key_and_proposal_are_one_request(bench: GateBench) -> None:
    proposal: dict[str, Any] = {"inputs": inputs("Kyanite Oy"), "rationale": WHY, "key": "order-17"}
    with login(bench.manifest(), bench.agent_token()) as agent:
        first = agent.propose("vendors.create", **proposal)
    with login(bench.manifest(), bench.agent_token()) as agent:
        assert agent.propose("vendors.create", **proposal) == first
        other = agent.propose("vendors.create", **{**proposal, "inputs": inputs("Lazuli Oy")})
        assert other != first
        assert agent.propose("vendors.create", inputs=inputs("Kyanite Oy"), rationale=WHY) not in {first, other}
    executor = bench.executor()
    executor.work()
    with bench.approver("ann") as ann:
        names = [v.case.inputs["name"] for v in ann.list_cases() if v.case.request in {first, other}]
    assert sorted(names) == ["Kyanite Oy", "Lazuli Oy"]


def test_an_answer_lost_on_the_way_makes_no_second_request(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> None:
    send = VaultConnection._send_once  # noqa: SLF001 - the wire is cut here
    cut: list[str] = []

    def lose(self: VaultConnection, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        answer = send(self, method, path, body)
        if path.startswith(MOUNTS["drafts"]) and not cut:
            cut.append(path)
            answer.status_code, answer._content = 502, b"{}"  # noqa: SLF001 - as a proxy in between would
        return answer

    with login(bench.manifest(), bench.agent_token()) as agent:
        monkeypatch.setattr(VaultConnection, "_send_once", lose)
        request = agent.propose("vendors.create", inputs=inputs("Malachite Oy"), rationale=WHY)
    assert cut
    bench.executor().work()
    with bench.approver("ann") as ann:
        found = [v.case.request for v in ann.list_cases() if v.case.inputs["name"] == "Malachite Oy"]
    assert found == [request]


@pytest.mark.parametrize(
    ("action", "given", "rationale", "error"),
    [
        ("vendors.create", inputs("N", country="Finland"), WHY, ProposalError),
        ("vendors.create", {"name": "N"}, WHY, ProposalError),
        ("vendors.create", inputs("N", more=1), WHY, ProposalError),
        ("vendors.create", inputs("N"), "  ", ProposalError),
        ("vendors.create", inputs("N"), "x" * 4_001, ProposalError),
        ("vendors.create", inputs("N", bank_account=float("nan")), WHY, ProposalError),
        ("vendors.create", inputs("N", bank_account="x" * 70_000), WHY, ProposalError),
        ("vendors.read", {}, WHY, ProposalError),
        ("vendors.delete", {}, WHY, NotDeclaredError),
        ("vendors", {}, WHY, NotDeclaredError),
    ],
)
def test_what_cannot_become_a_case_is_refused_at_once(
    bench: GateBench, action: str, given: dict[str, object], rationale: str, error: type[Exception]
) -> None:
    with login(bench.manifest(), bench.agent_token()) as agent, pytest.raises(error) as refused:
        agent.propose(action, inputs=given, rationale=rationale)
    assert "Finland" not in str(refused.value)
    assert "xxx" not in str(refused.value)


def test_no_agent_reads_an_answer_of_another_user(bench: GateBench) -> None:
    executor = bench.executor()
    with login(bench.manifest(), bench.agent_token("vera")) as agent:
        request = agent.propose("vendors.create", inputs=inputs("Opal Oy"), rationale=WHY)
        executor.work()
        bench.deny("ann", request)
        executor.work()
        assert agent.proposal(request).final
        vera = bench.agent("vera")[1]
    other, _ = bench.agent("quentin")
    path = f"{MOUNTS['records']}/data/_answers/{WORKFLOW}/{vera}/{request.partition('.')[2]}"
    assert bench.root.read(path) is not None
    with pytest.raises(VaultRefusedError):
        other.ask("get", path)
    with pytest.raises(VaultRefusedError):
        bench.agent("vera")[0].ask("post", path, {"data": {}, "options": {"cas": 1}})
    with login(bench.manifest(), bench.agent_token("quentin")) as agent:
        assert agent.proposal(request).state == "open"  # it is told nothing


def test_an_agent_whose_policy_opens_no_drafts_is_told_so(bench: GateBench) -> None:
    manifest = bench.manifest()
    manifest["proposals"]["drafts"] = f"{MOUNTS['drafts']}/data/ticket-drafting"
    with login(manifest, bench.agent_token()) as agent, pytest.raises(AccessRefusedError):
        agent.propose("vendors.create", inputs=inputs("Pyrite Oy"), rationale=WHY)
    del manifest["proposals"]
    with login(manifest, bench.agent_token()) as agent, pytest.raises(ProposalError, match="names no place"):
        agent.propose("vendors.create", inputs=inputs("Pyrite Oy"), rationale=WHY)


def test_an_executor_that_died_before_it_answered_answers_later(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = bench.executor()
    with login(bench.manifest(), bench.agent_token()) as agent:
        request = agent.propose("vendors.create", inputs=inputs("Quartz Oy"), rationale=WHY)
        executor.work()
        bench.deny("ann", request)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "create_answer", _die)
            with pytest.raises(KeyboardInterrupt):
                executor.work()
        assert agent.proposal(request).state == "open"
        bench.executor().work()
        assert agent.proposal(request).state == "denied"


def _die(*_: object) -> bool:
    raise KeyboardInterrupt


def test_it_works_in_asyncio_too(bench: GateBench) -> None:
    async def propose() -> str:
        async with aio.login(bench.manifest(), bench.agent_token()) as agent:
            request = await agent.propose("vendors.create", inputs=inputs("Ruby Oy"), rationale=WHY)
            return (await agent.proposal(request)).state

    assert run_alone(propose()) == "open"


def test_a_vault_that_is_away_is_told(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> requests.Response:
        raise requests.ConnectionError

    with login(bench.manifest(), bench.agent_token()) as agent:
        with monkeypatch.context() as patch:
            patch.setattr("requests.Session.request", fail)
            with pytest.raises(VaultUnavailableError):
                agent.propose("vendors.create", inputs=inputs("Spinel Oy"), rationale=WHY)
        agent.propose("vendors.create", inputs=inputs("Spinel Oy"), rationale=WHY)
