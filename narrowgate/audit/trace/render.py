"""A trace as text and as JSON. What an agent or a caller chose can't move a terminal's cursor."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from narrowgate.audit.pages import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.audit.trace.chain import Call, Credential, Proposal, Session, Trace

WITNESSES = {"ledger": "ledger", "vault": "Vault", "cloudtrail": "CloudTrail"}


def render_text(trace: Trace) -> str:
    """Return the trace as text: for each login who asked, the credentials, their calls; then proposals and findings."""
    lines: list[str] = []
    for session in trace.sessions:
        lines += _say_session(session)
    for proposal in trace.proposals:
        lines += _say_proposal(proposal)
    if not lines:
        lines.append("nothing in these sources belongs to it")
    lines += [f"note: {note}" for note in trace.notes]
    lines += [f"FINDING {f.time[:19]} {f.what} [{f.code}] ({f.place})" for f in trace.findings]
    lines.append(f"{len(trace.findings)} findings in {trace.events} records")
    return "".join(f"{plain(line)}\n" for line in lines)


def say_who(session: Session) -> str:
    """Return whose login a session is, in words."""
    if not session.workflow:
        return "credentials whose login is in no source"
    asked = f"{session.user} asked; " if session.user else ""
    when = f" logged in {session.started[:19]}" if session.started else ""
    return f"{asked}agent {session.workflow}{when}"


def _say_session(session: Session) -> Iterator[str]:
    sources = _say_sources({source.value for source in session.sources})
    accessor = f", accessor {session.accessor}" if session.accessor else ""
    yield f"{say_who(session)}{accessor}{sources}"
    for credential in session.credentials:
        yield from _say_credential(credential)
    for call in session.calls:
        yield f"    {say_call(call)}"


def say_credential(credential: Credential) -> str:
    """Return what a credential is called, everywhere."""
    gated = "gated " if credential.gated else ""
    names = (
        ("lease", credential.lease),
        ("session", credential.session),
        ("key", credential.access_key),
        ("login", credential.login),
    )
    shown = ", ".join(f"{kind} {name}" for kind, name in names if name)
    return f"{gated}credential for {credential.tool or 'a tool'}: {shown}"


def _say_credential(credential: Credential) -> Iterator[str]:
    note = "; its calls are in no ledger by design" if credential.recorded is False else ""
    yield f"  {credential.issued[:19]} {say_credential(credential)}{note}" + _say_sources(
        {source.value for source in credential.sources}
    )
    for call in credential.calls:
        yield f"    {say_call(call)}"


def say_call(call: Call) -> str:
    """Return one call on one line: when, which action, what, how it ended, who tells of it."""
    event = call.event
    action = f" ({event.tool}.{event.action})" if event.action else ""
    detail = f" {event.detail[:160]}" if event.detail else ""
    return (
        f"{event.time[:23]} {event.operation or event.tool or 'a call'}{action} {event.outcome or event.kind}{detail}"
        + _say_sources(set(call.sources))
    )


def _say_sources(names: set[str]) -> str:
    shown = " + ".join(WITNESSES[name] for name in WITNESSES if name in names)
    return f"  [{shown}]" if shown else ""


def list_steps(proposal: Proposal) -> list[tuple[str, str]]:
    """Return what became of a proposal, as (time, words)."""
    what = f"{proposal.tool}.{proposal.action}".strip(".") or "a gated action"
    steps = [(proposal.drafted, f"{proposal.workflow} for {proposal.user or 'nobody'} proposed {what}")]
    steps += [(time, f"{who} decided") for time, who in proposal.decided]
    if proposal.approvers:
        at = proposal.execution.time if proposal.execution else ""
        steps.append((at, f"approved by {', '.join(proposal.approvers)}"))
    if proposal.execution is not None:
        event = proposal.execution
        ended = "was begun, and no record says how it ended" if event.kind == "begin" else f"ended: {event.outcome}"
        steps.append((event.time, f"the executor's execution of {what} {ended} {event.detail[:160]}".rstrip()))
    else:
        steps.append(("", "no executor's record says that it was executed"))
    return steps


def _say_proposal(proposal: Proposal) -> Iterator[str]:
    yield f"proposal {proposal.case}"
    for time, words in list_steps(proposal):
        yield f"  {time[:19]} {words}"
    for credential in proposal.credentials:
        yield from _say_credential(credential)


def render_json(trace: Trace) -> str:
    """Return the trace as JSON, version 1."""
    question = asdict(trace.question)
    value: dict[str, Any] = {
        "version": 1,
        "question": {name: text for name, text in question.items() if text},
        "sessions": [_describe_session(session) for session in trace.sessions],
        "proposals": [_describe_proposal(proposal) for proposal in trace.proposals],
        "findings": [asdict(finding) for finding in trace.findings],
        "notes": trace.notes,
        "records": trace.events,
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _describe_session(session: Session) -> dict[str, Any]:
    return {
        "accessor": session.accessor,
        "workflow": session.workflow,
        "user": session.user or None,
        "started": session.started or None,
        "sources": sorted(source.value for source in session.sources),
        "credentials": [_describe_credential(credential) for credential in session.credentials],
        "calls": [_describe_call(call) for call in session.calls],
    }


def _describe_credential(credential: Credential) -> dict[str, Any]:
    names = ("workflow", "user", "tool", "lease", "access_key", "session", "login", "issued", "case")
    return {
        **{name: getattr(credential, name) or None for name in names},
        "recorded": credential.recorded,
        "gated": credential.gated,
        "sources": sorted(source.value for source in credential.sources),
        "calls": [_describe_call(call) for call in credential.calls],
    }


def _describe_call(call: Call) -> dict[str, Any]:
    event = call.event
    return {
        "time": event.time,
        "tool": event.tool or None,
        "action": event.action or None,
        "operation": event.operation,
        "outcome": event.outcome or None,
        "detail": event.detail or None,
        "sources": list(call.sources),
        "records": [record.place for record in (call.ledger, call.trail) if record],
    }


def _describe_proposal(proposal: Proposal) -> dict[str, Any]:
    execution = proposal.execution
    return {
        "id": proposal.case,
        "workflow": proposal.workflow,
        "user": proposal.user or None,
        "action": f"{proposal.tool}.{proposal.action}".strip(".") or None,
        "drafted": proposal.drafted or None,
        "decided": [{"time": time, "by": who} for time, who in proposal.decided],
        "approvers": list(proposal.approvers),
        "executed": None
        if execution is None
        else {"time": execution.time, "outcome": execution.outcome or "unknown", "record": execution.place},
        "credentials": [_describe_credential(credential) for credential in proposal.credentials],
    }
