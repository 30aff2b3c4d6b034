"""A trace of what really happened: agents on real servers, a stolen credential, and an approved execution."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import boto3
import pytest
from rich.console import Console

from narrowgate.audit.trace import Question, Source, Sources, Trace, build_trace, search
from narrowgate.audit.trace.render import render_text
from narrowgate.audit.usage import read_usage
from narrowgate.declarations import load_environment, read_declarations
from narrowgate.runtime import login
from rehearsal import bao, demo

if TYPE_CHECKING:
    from pathlib import Path

    from gate_bench import GateBench

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"


def trace(live: LiveRehearsal, ledgers: Path, question: Question) -> Trace:
    sources = Sources((ledgers,), (bao.audit_file(live.layout),), (live.layout.cloudtrail,))
    return build_trace(search(sources, question), dt.datetime.now(dt.UTC))


def test_the_demos_trace_answers_who_which_agent_which_credential_and_which_calls(rehearsal: LiveRehearsal) -> None:
    demo.run_demo(rehearsal.layout, Console(quiet=True))
    started = max(p.stat().st_mtime for p in rehearsal.layout.ledgers.iterdir())
    since = dt.datetime.fromtimestamp(started - 60, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    answer = trace(rehearsal, rehearsal.layout.ledgers, Question(workflow=WORKFLOW, since=since))
    recorded = [s for s in answer.sessions if Source.LEDGER in s.sources]
    assert recorded
    session = recorded[-1]
    assert (session.user, session.workflow) == ("alice", WORKFLOW)
    assert session.sources == {Source.LEDGER, Source.VAULT}
    tools = {credential.tool: credential for credential in session.credentials}
    assert {"logs", "documents", "incidents"} <= tools.keys()
    for tool in ("logs", "documents"):
        assert tools[tool].sources == set(Source)
        assert tools[tool].calls
        assert all(call.sources == ("ledger", "cloudtrail") for call in tools[tool].calls)
    assert tools["incidents"].sources == {Source.LEDGER, Source.VAULT}
    assert {call.event.operation for call in tools["incidents"].calls} == {"sql:SELECT"}
    text = render_text(answer)
    assert "alice asked; agent incident-summarization" in text
    assert "logs:FilterLogEvents (logs.search) allowed" in text
    places = {e.place for s in recorded for c in s.credentials for k in c.calls for e in (k.ledger, k.trail) if e}
    assert not [finding for finding in answer.findings if finding.place in places]


def test_a_call_by_a_stolen_credential_outside_any_tool_call_is_a_finding(
    rehearsal: LiveRehearsal, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW), ledger=ledger) as agent:
        session = agent.aws("logs")
        client = session.client("logs")
        client.filter_log_events(logGroupName="/app/payments")
        stolen = session.get_credentials().get_frozen_credentials()
        clean = trace(rehearsal, ledger, Question(id=stolen.access_key))
        assert clean.findings == []
        assert [call.sources for call in clean.calls] == [("ledger", "cloudtrail")]
        thief = boto3.client(
            "logs",
            region_name=rehearsal.region,
            endpoint_url=client.meta.endpoint_url,
            verify=client._endpoint.http_session._verify,  # noqa: SLF001 - the rehearsal's CA
            aws_access_key_id=stolen.access_key,
            aws_secret_access_key=stolen.secret_key,
            aws_session_token=stolen.token,
        )
        thief.filter_log_events(logGroupName="/app/payments")
    answer = trace(rehearsal, ledger, Question(id=stolen.access_key))
    (finding,) = answer.findings
    assert (finding.code, finding.workflow, finding.user) == ("call-unrecorded", WORKFLOW, "alice")
    assert "logs:FilterLogEvents (allowed)" in finding.what


def test_what_was_used_is_told_by_each_source_alone(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW), ledger=tmp_path) as agent:
        agent.aws("logs").client("logs").filter_log_events(logGroupName="/app/payments")
    plan = read_declarations(rehearsal.layout.stacks).plan(load_environment(rehearsal.layout.stacks, "dev"))
    ledger, audit, trail = (tmp_path,), (bao.audit_file(rehearsal.layout),), (rehearsal.layout.cloudtrail,)
    by_ledger = read_usage(Sources(ledger), plan)
    by_trail = read_usage(Sources(cloudtrail=trail), plan)
    by_vault = read_usage(Sources(vault=audit), plan)
    assert by_ledger.last_use(WORKFLOW, "logs", "search")
    assert by_trail.last_use(WORKFLOW, "logs", "search")
    assert by_vault.tools[WORKFLOW, "logs"]
    assert not by_vault.last_use(WORKFLOW, "logs", "search")  # a credential is not yet a call
    assert not by_ledger.last_use(WORKFLOW, "documents", "read")


@pytest.mark.parametrize("asked", ["request", "lease"])
def test_a_proposals_trace_tells_who_asked_who_approved_and_what_was_executed(
    bench: GateBench, tmp_path: Path, asked: str
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    while bench.executor().work():
        pass  # what others left on the bench is none of this ledger's
    executor = bench.executor(ledger=ledger)
    request = bench.draft(f"Traced by {asked} Oy")
    assert executor.work() == 1
    bench.approve("ann", request)
    assert executor.work() == 1
    executor.log_out()
    outcome = bench.outcome(request)
    assert outcome is not None
    identifier = request if asked == "request" else outcome.lease
    answer = trace(bench.live, ledger, Question(id=identifier))
    (proposal,) = answer.proposals
    assert (proposal.case, proposal.user, f"{proposal.tool}.{proposal.action}") == (request, "vera", "vendors.create")
    assert proposal.approvers == ("ann (Papers checked.)",)
    assert len(proposal.decided) == 1
    assert "ann" in proposal.decided[0][1]
    assert proposal.execution is not None
    assert (proposal.execution.outcome, proposal.drafted != "") == ("allowed", True)
    (credential,) = proposal.credentials
    assert (credential.lease, credential.sources) == (outcome.lease, {Source.LEDGER, Source.VAULT})
    assert answer.findings == []
