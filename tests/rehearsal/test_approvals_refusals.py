"""What must be impossible at the gate, tried past the library: with everybody's own logins, against the servers."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import hvac.exceptions
import pytest
from gate_bench import MOUNTS, READER, WORKFLOW

from narrowgate.approvals import CaseAlteredError, DecidedError, NotAllowedError, NotShownError, State
from narrowgate.approvals.case import Claim, Decision, Outcome, Verdict, now
from narrowgate.approvals.errors import (
    ApprovalsError,
    BadRequestError,
    LoginError,
    NoGateError,
    VaultDownError,
    VaultRefusedError,
)
from narrowgate.approvals.execution import Execution
from narrowgate.approvals.intake import hold_request
from narrowgate.approvals.store import Store
from rehearsal import bao, postgres

if TYPE_CHECKING:
    from gate_bench import GateBench

    from narrowgate.approvals.settings import GatedAction
    from narrowgate.approvals.vault import Vault

GATED = f"narrowgate-database-gated/creds/{WORKFLOW}.vendors.create"


def refuse(vault: Vault, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    with pytest.raises(VaultRefusedError):
        vault.ask(method, path, body)


def refuse_patch(bench: GateBench, vault: Vault, path: str) -> None:
    headers = {"X-Vault-Token": vault.token, "Content-Type": "application/merge-patch+json"}
    with bao.open_session(bench.live.layout) as session:
        body = json.dumps({"data": {}, "options": {"cas": 1}})
        answer = session.patch(f"{vault.address}/v1/{path}", data=body, headers=headers, timeout=10)
    assert answer.status_code == 403, answer.text


# -- the agent


def test_an_agent_writes_a_draft_once_and_can_do_nothing_else(bench: GateBench) -> None:
    request = bench.draft("Once Only Oy")
    agent, entity = bench.agent()
    other, other_entity = bench.agent("quentin")
    mine = f"{MOUNTS['drafts']}/data/{WORKFLOW}/{entity}"
    (key, *_) = bench.root.list(mine.replace("/data/", "/metadata/"))["data"]["keys"]
    entry: dict[str, Any] = {"data": {"version": 1}, "options": {"cas": 1}}
    refuse(agent, "post", f"{mine}/{key}", entry)
    refuse(agent, "post", f"{mine}/{key}", {"data": {}, "options": {"cas": 0}})
    refuse_patch(bench, agent, f"{mine}/{key}")
    refuse(agent, "get", f"{mine}/{key}")
    refuse(agent, "delete", f"{mine}/{key}")
    refuse(agent, "delete", f"{mine}/{key}".replace("/data/", "/metadata/"))
    refuse(agent, "post", f"{MOUNTS['drafts']}/destroy/{WORKFLOW}/{entity}/{key}", {"versions": [1]})
    refuse(agent, "list", mine.replace("/data/", "/metadata/"))
    refuse(other, "get", f"{mine}/{key}")
    refuse(other, "post", f"{mine}/vendors.create.x", {"data": {}, "options": {"cas": 0}})
    for path in (f"{WORKFLOW}/{other_entity}/x", f"ticket-drafting/{entity}/x"):
        refuse(agent, "post", f"{MOUNTS['drafts']}/data/{path}", {"data": {}, "options": {"cas": 0}})
    with pytest.raises(BadRequestError, match="check-and-set"):
        agent.ask("post", f"{mine}/vendors.create.without-cas", {"data": {}})
    bench.executor().work()
    short = request.replace(".", "/")
    with bench.approver("ann") as ann:
        accessor = ann.read_case(request).hold.accessor
    refuse(agent, "get", f"{MOUNTS['cases']}/data/{short}")
    refuse(agent, "post", f"{MOUNTS['decisions']}/data/{short}/{entity}", {"data": {}, "options": {"cas": 0}})
    refuse(agent, "post", f"{MOUNTS['records']}/data/{short}/outcome", {"data": {}, "options": {"cas": 0}})
    refuse(agent, "get", f"{MOUNTS['held']}/data/{WORKFLOW}/vendors/{short.partition('/')[2]}")
    refuse(agent, "post", "sys/control-group/authorize", {"accessor": accessor})
    refuse(agent, "get", GATED)
    bench.deny("ann", request)


@pytest.mark.parametrize("kind", ["approvers", "executors:vendors"])
def test_an_agents_token_logs_in_nowhere_else(bench: GateBench, kind: str) -> None:
    token = bench.sign("vera", WORKFLOW, "procurement", "vendor-approvers", workflow=WORKFLOW)
    place = bench.gate.approvers if kind == "approvers" else bench.gate.executors["vendors"]
    with pytest.raises(LoginError):
        bench.connect().log_in(place.mount, place.role, token)


# -- the approver


def test_an_approver_holds_no_credentials_and_writes_only_as_themselves(bench: GateBench) -> None:
    request = bench.draft("Hands Off Oy")
    bench.executor().work()
    short = request.replace(".", "/")
    empty: dict[str, Any] = {"data": {}, "options": {"cas": 0}}
    with bench.approver("bob") as bob:
        other = bob.who().person.entity
    with bench.approver("ann") as ann:
        entity = ann.who().person.entity
        vault = ann.vault
        refuse(vault, "get", GATED)
        refuse(vault, "get", f"{MOUNTS['held']}/data/{WORKFLOW}/vendors/{short.partition('/')[2]}")
        refuse(vault, "get", READER)
        refuse(vault, "post", f"{MOUNTS['drafts']}/data/{WORKFLOW}/{entity}/vendors.create.x", empty)
        refuse(vault, "post", f"{MOUNTS['cases']}/data/{short}", empty)
        refuse(vault, "post", f"{MOUNTS['records']}/data/{short}/outcome", empty)
        refuse(vault, "post", f"{MOUNTS['decisions']}/data/{short}/{other}", empty)
        refuse(vault, "post", f"{MOUNTS['decisions']}/data/_stops/{other}", empty)
        refuse(vault, "post", "identity/group/name/approvers.vendor-approvers", {"member_entity_ids": [entity]})
        with pytest.raises(BadRequestError):
            vault.ask("post", "sys/wrapping/unwrap", {"token": "s.guess"})
    place = bench.gate.executors["vendors"]
    with pytest.raises(LoginError):
        bench.connect().log_in(place.mount, place.role, bench.sign("ann", "executors:vendors", "vendor-approvers"))
    with pytest.raises(LoginError):
        bench.connect().log_in("approvers", "approver", bench.sign("mallory", "approvers"))
    bench.deny("ann", request)


def approve_past_the_library(bench: GateBench, user: str, request: str, *, record: bool = True) -> bool:
    """Write the decision and authorize by Vault's own API; return whether Vault counts the request as approved."""
    with bench.approver(user) as approver:
        view = approver.read_case(request)
        entity = approver.who().person.entity
        at = now().isoformat()
        if record:
            decision = Decision(entity, Verdict.APPROVE, view.digest, "I say so.", at, at)
            assert Store(bench.gate, approver.vault).create_decision(request, decision)
        answer = approver.vault.ask("post", "sys/control-group/authorize", {"accessor": view.hold.accessor})
        return bool(answer["data"]["approved"])


def test_the_user_behind_the_agent_cannot_approve(bench: GateBench) -> None:
    request = bench.draft("Own Draft Oy", user="vera")
    executor = bench.executor()
    executor.work()
    with pytest.raises(NotAllowedError, match="on whose behalf"):
        bench.approve("vera", request)
    assert approve_past_the_library(bench, "vera", request)  # Vault knows two entities, and no person
    executor.work()
    assert bench.outcome(request) is None
    assert not bench.vendors("Own Draft Oy")
    bench.deny("ann", request)
    executor.work()


def test_who_is_in_no_group_of_the_rule_cannot_approve_or_deny(bench: GateBench) -> None:
    request = bench.draft("Outsider Oy")
    executor = bench.executor()
    executor.work()
    with pytest.raises(NotAllowedError, match="in none of the groups"):
        bench.approve("carl", request)
    with pytest.raises(NotAllowedError, match="in none of the groups"):
        bench.deny("carl", request)
    assert not approve_past_the_library(bench, "carl", request)
    executor.work()
    assert bench.outcome(request) is None
    bench.deny("ann", request)
    executor.work()


def test_one_person_cannot_fill_two_approvals(bench: GateBench) -> None:
    request = bench.draft("Two Hats Oy", "create-with-security")
    executor = bench.executor()
    executor.work()
    assert approve_past_the_library(bench, "eve", request)  # Vault lets one entity satisfy both factors
    executor.work()
    assert bench.outcome(request) is None
    assert not bench.vendors("Two Hats Oy")
    bench.approve("dora", request)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.EXECUTED
    assert sorted(person["name"] for person in outcome.approvers) == ["dora", "eve"]


def test_two_of_two_are_needed(bench: GateBench) -> None:
    request = bench.draft("Four Eyes Oy", "create-by-two")
    executor = bench.executor()
    executor.work()
    bench.approve("ann", request)
    bench.approve("ann", request)  # saying it twice is saying it once
    executor.work()
    assert not bench.vendors("Four Eyes Oy")
    with bench.approver("ann") as ann:
        assert ann.read_case(request).missing == 1
    bench.approve("bob", request)
    executor.work()
    assert bench.vendors("Four Eyes Oy") == [("FI", "active")]


def test_an_authorization_without_a_recorded_decision_does_not_count(bench: GateBench) -> None:
    request = bench.draft("Silent Approval Oy")
    executor = bench.executor()
    executor.work()
    assert approve_past_the_library(bench, "ann", request, record=False)
    executor.work()
    assert bench.outcome(request) is None
    bench.deny("bob", request)
    executor.work()


def test_nothing_is_unwrapped_before_an_approval(bench: GateBench) -> None:
    request = bench.draft("Impatient Oy")
    executor = bench.executor()
    executor.work()
    with pytest.raises(ApprovalsError):
        bench.connect(bench.held(request)["wrapping"]).ask("post", "sys/wrapping/unwrap", {})
    assert bench.outcome(request) is None
    bench.deny("ann", request)
    executor.work()


# -- once


def test_one_approval_gives_credentials_once_however_many_unwrap_at_once(bench: GateBench) -> None:
    request = bench.draft("Many Hands Oy")
    bench.executor().work()
    bench.approve("ann", request)
    token = bench.held(request)["wrapping"]
    given: list[str] = []

    def unwrap() -> None:
        with contextlib.suppress(ApprovalsError):
            answer = bench.connect(token).ask("post", "sys/wrapping/unwrap", {})
            given.append(answer["data"]["username"])

    threads = [threading.Thread(target=unwrap) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) <= 1
    with pytest.raises(ApprovalsError):
        bench.connect(token).ask("post", "sys/wrapping/unwrap", {})
    # Somebody else has had the credentials: whether they used them cannot be known.
    bench.executor().work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.IN_DOUBT


def test_an_unwrap_cannot_be_replayed_after_the_execution(bench: GateBench) -> None:
    request = bench.draft("Replay Oy")
    executor = bench.executor()
    executor.work()
    held = bench.held(request)
    bench.approve("ann", request)
    executor.work()
    assert bench.vendors("Replay Oy") == [("FI", "active")]
    for token in (held["wrapping"], held["login"]):
        with pytest.raises(ApprovalsError):
            bench.connect(token).ask("post", "sys/wrapping/unwrap", {})
        with pytest.raises(VaultRefusedError):
            bench.connect(token).ask("get", GATED)


def test_two_executors_at_once_make_one_case_and_execute_once(bench: GateBench) -> None:
    names = [f"Twins {number} Oy" for number in range(6)]
    requests = [bench.draft(name) for name in names]
    executors = [bench.executor() for _ in range(3)]
    work_together(executors)
    for request in requests:
        bench.approve("ann", request)
    work_together(executors)
    work_together(executors)
    for name, request in zip(names, requests, strict=True):
        outcome = bench.outcome(request)
        assert outcome is not None
        assert outcome.state is State.EXECUTED, outcome
        assert bench.vendors(name) == [("FI", "active")]


def test_a_replica_that_judges_late_says_nothing_of_what_another_executes(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = bench.draft("Late Judge Oy")
    first, late = bench.executor(), bench.executor()
    first.work()
    bench.approve("ann", request)
    look = Execution._check_target  # noqa: SLF001 - the moment between looking and saying
    claim = Claim(first.name, now().isoformat())

    def look_while_another_begins(self: Execution, action: GatedAction) -> Outcome | None:
        assert Store(bench.gate, first.vault).create_claim(request, claim)
        look(self, action)
        return Outcome(State.REFUSED, "the target has changed", "", late.name, now().isoformat())

    monkeypatch.setattr(Execution, "_check_target", look_while_another_begins)
    assert late.work() == 0
    assert bench.outcome(request) is None
    monkeypatch.undo()
    assert first.work() == 1
    assert bench.vendors("Late Judge Oy") == [("FI", "active")]


def work_together(executors: list[Any]) -> None:
    threads = [threading.Thread(target=executor.work) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


KILLED = """
    import json, os, signal, sys
    from narrowgate.approvals import read_gate
    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.store import Store

    document, token, verify, method = json.load(sys.stdin)

    def die(*_: object) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)

    if method == "create_outcome":
        Store.create_outcome = die
    else:
        Executor.die = die
        import narrowgate.approvals.execution as execution
        execution.Execution._unwrap = die
    Executor(read_gate(document), "vendors", lambda: token, verify=verify).work()
"""


def work_and_be_killed(bench: GateBench, method: str) -> None:
    """Let an executor of its own process work, which SIGKILL ends where it calls `method`."""
    settings = json.dumps([bench.document, bench.sign("executor:vendors", "executors:vendors"), bench.verify, method])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED)], input=settings, text=True, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_crash_between_execution_and_record_leaves_it_in_doubt_and_executed_once(bench: GateBench) -> None:
    request = bench.draft("Crash After Oy")
    bench.executor().work()
    bench.approve("ann", request)
    work_and_be_killed(bench, "create_outcome")
    assert bench.vendors("Crash After Oy") == [("FI", "active")]
    bench.executor().work()
    assert bench.outcome(request) is None  # the claim's time is not over: the other one might still live
    bench.executor(claim_seconds=0).work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.IN_DOUBT
    assert bench.vendors("Crash After Oy") == [("FI", "active")]


def test_a_crash_before_the_credentials_is_taken_over_and_executed_once(bench: GateBench) -> None:
    request = bench.draft("Crash Before Oy")
    bench.executor().work()
    bench.approve("ann", request)
    work_and_be_killed(bench, "unwrap")
    assert not bench.vendors("Crash Before Oy")
    bench.executor(claim_seconds=0).work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.EXECUTED
    assert bench.vendors("Crash Before Oy") == [("FI", "active")]


@pytest.mark.parametrize("lost", ["claim", "outcome"])
def test_a_vault_that_falls_right_after_an_execution_does_not_make_it_a_refusal(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    request = bench.draft(f"Right After {lost} Oy")
    executor = bench.executor()
    executor.work()
    bench.approve("ann", request)
    ask, taken = executor.vault.ask, []

    def fall(method: str, path: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        if taken and path.endswith(f"/{lost}"):
            raise VaultDownError("It was killed.")
        answer = ask(method, path, *arguments, **named)
        taken.extend([path] if path == "sys/wrapping/unwrap" else [])
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(executor.vault, "ask", fall)
        with contextlib.suppress(VaultDownError):
            executor.work()
    assert taken
    executor.work()
    assert bench.record(request)["state"] == State.EXECUTED
    assert bench.vendors(f"Right After {lost} Oy") == [("FI", "active")]


# -- what is executed is what was shown


def test_a_changed_target_is_not_touched(bench: GateBench) -> None:
    request = bench.draft("Moving Target Oy")
    executor = bench.executor()
    executor.work()
    bench.approve("ann", request)
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        connection.execute("INSERT INTO vendors (tenant, name, country) VALUES ('emea', 'Moving Target Oy', 'SE')")
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert (outcome.state, outcome.lease) == (State.REFUSED, "")
    assert bench.vendors("Moving Target Oy") == [("SE", "pending")]


def test_only_the_digest_that_was_shown_can_be_approved(bench: GateBench) -> None:
    request, other = bench.draft("Shown Oy"), bench.draft("Other Oy")
    executor = bench.executor()
    executor.work()
    with bench.approver("ann") as ann:
        shown = ann.read_case(other)
        with pytest.raises(NotShownError):
            ann.approve(request, digest=shown.digest, reason="Fine.", seen_at=shown.read_at)
    for name in (request, other):
        bench.deny("ann", name)
    executor.work()


@pytest.mark.parametrize("what", ["text", "held request", "second version"])
def test_an_altered_case_is_neither_shown_nor_executed(bench: GateBench, what: str) -> None:
    """Even whoever can write everything in Vault but its audit log: digests and what Vault holds do not fit."""
    request, other = bench.draft(f"Altered {what} Oy"), bench.draft(f"Other {what} Oy")
    executor = bench.executor()
    executor.work()
    path = f"{MOUNTS['cases']}/data/{request.replace('.', '/')}"
    entry = bench.root.read(path)["data"]["data"]
    if what == "text":
        entry["case"] = entry["case"].replace('"FI"', '"KP"')
    if what == "held request":
        with bench.approver("ann") as ann:
            entry["hold"]["accessor"] = ann.read_case(other).hold.accessor
    bench.root.delete(path.replace("/data/", "/metadata/"))
    bench.root.write_data(path, data={"data": entry, "options": {"cas": 0}})
    if what == "second version":
        bench.root.write_data(path, data={"data": entry, "options": {"cas": 1}})
    with pytest.raises(CaseAlteredError):
        bench.approve("ann", request)
    if what != "held request":  # such a case reads well; only what Vault holds tells that it is another's
        with bench.approver("ann") as ann:
            assert request not in {view.case.request for view in ann.list_cases()}
            assert request in ann.altered
    bench.executor().work()
    assert not bench.vendors(f"Altered {what} Oy")
    record = bench.record(request)
    if what == "held request":
        bench.deny("ann", request)
    else:
        assert record["state"] == "refused"
    bench.deny("ann", other)
    executor.work()


def test_a_case_altered_while_another_executes_it_is_in_doubt_not_refused(bench: GateBench) -> None:
    request = bench.draft("Altered Late Oy")
    first = bench.executor()
    first.work()
    claim = Claim(first.name, now().isoformat())
    assert Store(bench.gate, first.vault).create_claim(request, claim)
    path = f"{MOUNTS['cases']}/data/{request.replace('.', '/')}"
    entry = bench.root.read(path)["data"]["data"]
    bench.root.write_data(path, data={"data": entry, "options": {"cas": 1}})  # a second version
    bench.executor().work()
    assert Store(bench.gate, first.vault).read_outcome(request) is None
    bench.executor(claim_seconds=0).work()
    assert bench.record(request)["state"] == "in-doubt"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"inputs": {"name": "x", "country": "Finland", "bank_account": "y"}}, "country: does not fit pattern"),
        ({"inputs": {"name": "x", "country": "FI", "bank_account": "y", "admin": True}}, "additionalProperties"),
        ({"rationale": " "}, "no rationale"),
        ({"action": "vendors.delete"}, "no gated action"),
        ({"version": 2}, "no draft"),
    ],
)
def test_a_draft_that_does_not_fit_is_refused_for_the_record(
    bench: GateBench, changed: dict[str, Any], words: str
) -> None:
    request = bench.draft("Misfit Oy", **changed)
    bench.executor().work()
    record = bench.record(request)
    assert record["state"] == "refused"
    assert words in record["words"]


# -- the gate itself


def list_leases(bench: GateBench) -> set[str]:
    try:
        return set(bench.root.sys.list_leases(GATED)["data"]["keys"])
    except hvac.exceptions.InvalidPath:
        return set()


def test_an_open_gate_is_noticed_and_what_it_gave_is_revoked(bench: GateBench) -> None:
    action = bench.gate.find(WORKFLOW, "vendors.create")
    assert action is not None
    name = f"gated.{WORKFLOW}.vendors.create"
    before = list_leases(bench)
    # what a server without control groups would make of it
    open_rule = f'path "{GATED}" {{ capabilities = ["read"] }}\n'
    own = 'path "auth/token/revoke-self" { capabilities = ["update"] }'
    token = bench.sign("executor:vendors", "executors:vendors")
    bench.root.sys.create_or_update_policy(name, open_rule + own)
    try:
        with pytest.raises(NoGateError, match="without any approval"):
            hold_request(bench.connect(), bench.gate, action, token, "sha256:0")
    finally:
        bench.root.sys.create_or_update_policy(name, bench.policy(name))
    deadline = time.monotonic() + 30  # Vault revokes in the background
    while not list_leases(bench) <= before:
        assert time.monotonic() < deadline, "what the open gate gave is still there"
        time.sleep(0.1)


# -- time, denial, emergency


def test_an_approval_that_comes_too_late_is_worth_nothing(bench: GateBench) -> None:
    request, late = bench.draft("In Time Oy", "create-in-haste"), bench.draft("Too Late Oy", "create-in-haste")
    executor = bench.executor()
    executor.work()
    bench.approve("ann", late)
    with bench.approver("ann") as ann:
        ends = ann.read_case(late).case
    while not ends.expired:
        time.sleep(0.2)
    with pytest.raises(DecidedError):
        bench.approve("ann", request)
    executor.work()
    for name in (request, late):
        outcome = bench.outcome(name)
        assert outcome is not None
        assert outcome.state is State.EXPIRED
    assert not bench.vendors("In Time Oy")
    assert not bench.vendors("Too Late Oy")


def test_a_denial_is_final(bench: GateBench) -> None:
    request = bench.draft("Denied Oy")
    executor = bench.executor()
    executor.work()
    held = bench.held(request)
    bench.deny("ann", request, "The account is another company's.")
    with pytest.raises(DecidedError):
        bench.approve("bob", request)
    assert approve_past_the_library(bench, "bob", request)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.DENIED
    assert "another company's" in outcome.words
    assert not bench.vendors("Denied Oy")
    with pytest.raises(ApprovalsError):
        bench.connect(held["wrapping"]).ask("post", "sys/wrapping/unwrap", {})
    with pytest.raises(DecidedError):
        bench.approve("ann", request)


def test_an_emergency_stop_ends_what_is_open_and_lets_nothing_in(bench: GateBench) -> None:
    request = bench.draft("Stopped Oy")
    executor = bench.executor()
    executor.work()
    held = bench.held(request)
    bench.approve("ann", request)
    with bench.approver("carl") as carl:
        carl.stop_all("The agent has gone mad.")
        entity = carl.who().person.entity
        assert [(person.name, stop.reason) for person, stop in carl.list_stops()] == [
            ("carl", "The agent has gone mad.")
        ]
        refuse(carl.vault, "delete", f"{MOUNTS['decisions']}/metadata/_stops/{entity}")
    after = bench.draft("Stopped Later Oy")
    try:
        executor.work()
        outcome = bench.outcome(request)
        assert outcome is not None
        assert outcome.state is State.STOPPED
        assert not bench.vendors("Stopped Oy")
        with pytest.raises(ApprovalsError):
            bench.connect(held["wrapping"]).ask("post", "sys/wrapping/unwrap", {})
        with bench.approver("ann") as ann:
            assert after not in {view.case.request for view in ann.list_cases(closed=True)}
    finally:
        bench.root.delete(f"{MOUNTS['decisions']}/metadata/_stops/{entity}")
    executor.work()
    bench.deny("ann", after)
    executor.work()
    assert bench.outcome(after) is not None
