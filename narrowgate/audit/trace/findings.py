"""What does not fit together in a trace, and what cannot be told yet. Pure.

A finding is something that the sources show, not something that they lack: a source that was not given, or does not
cover the time, makes a note. CloudTrail delivers within about 15 minutes (AWS CloudTrail User Guide), so what is
younger is no gap.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.audit.trace.chain import parse_moment
from narrowgate.audit.trace.events import Source

if TYPE_CHECKING:
    from narrowgate.audit.trace.chain import Call, Credential, Proposal, Trace
    from narrowgate.audit.trace.search import Found

LATENESS: Final = dt.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit: `what` in words, the credential's name, and the record that shows it."""

    code: str
    time: str
    workflow: str
    user: str
    what: str
    place: str


def judge(trace: Trace, found: Found, now: dt.datetime) -> None:
    """Write findings and notes into `trace`."""
    trace.notes += _note_sources(found)
    for credential in trace.credentials:
        if credential.gated:
            _judge_gated(trace, credential, found)
        else:
            _judge_calls(trace, credential, found)
    for session in trace.sessions:
        for call in session.calls:
            _judge_loose(trace, call)
        for call in [*session.calls, *(c for credential in session.credentials for c in credential.calls)]:
            _judge_lease(trace, call, found)
    for proposal in trace.proposals:
        _judge_proposal(trace, proposal)
    _judge_lateness(trace, found, now)
    trace.findings.sort(key=lambda finding: (finding.time, finding.place))


def _note_sources(found: Found) -> list[str]:
    missing = [source.value for source in Source if source not in found.given]
    names = {"ledger": "the ledger", "vault": "Vault's audit log", "cloudtrail": "CloudTrail"}
    return [f"{names[name]} was not given: what only it tells is not here" for name in missing]


def _judge_calls(trace: Trace, credential: Credential, found: Found) -> None:
    """Find AWS calls that no record of the ledger tells, unless it says that this credential's calls are not kept."""
    if Source.LEDGER not in found.given or credential.recorded is False:
        return
    known = "its ledger has other calls of this credential" if credential.recorded else "no ledger knows the credential"
    for call in credential.calls:
        if call.ledger is None and call.trail is not None and credential.workflow:
            event = call.trail
            what = f"{event.operation} ({event.outcome}) by {event.session or event.access_key} without a ledger entry"
            trace.findings.append(_find("call-unrecorded", call, credential, f"{what}: {known}"))


def _judge_gated(trace: Trace, credential: Credential, found: Found) -> None:
    """Find uses of gated credentials that no approval stands behind."""
    if Source.LEDGER not in found.given:
        return
    proposal = next((p for p in trace.proposals if p.case == credential.case and p.case), None)
    if proposal is not None and proposal.approvers:
        return
    name = credential.session or credential.login or credential.access_key or credential.lease
    used = f"{len(credential.calls)} calls" if credential.calls else "it was issued"
    trace.findings.append(
        Finding(
            "gated-unapproved",
            credential.calls[0].event.time if credential.calls else credential.issued,
            credential.workflow,
            credential.user,
            f"the gated credential {name} was used without an approval that an executor recorded: {used}",
            credential.calls[0].event.place if credential.calls else credential.lease,
        )
    )


def _judge_loose(trace: Trace, call: Call) -> None:
    """Find records of calls that name no credential."""
    event = call.ledger
    if event is not None and event.kind == "call":
        trace.findings.append(
            Finding(
                "entry-without-lease",
                event.time,
                event.workflow,
                event.user,
                f"the ledger's {event.operation or event.tool} names no lease: by which credential was it made?",
                event.place,
            )
        )


def _judge_lease(trace: Trace, call: Call, found: Found) -> None:
    """Find records of calls by a lease that Vault, in the time that its log covers, never issued."""
    event = call.ledger
    if event is None or not event.lease or Source.VAULT not in found.given:
        return
    credential = next((c for c in trace.credentials if c.lease == event.lease), None)
    first = found.periods.get(Source.VAULT, ("~", ""))[0]
    if credential is not None and Source.VAULT not in credential.sources and first <= (credential.issued or event.time):
        trace.findings.append(
            _find("lease-unknown", call, credential, f"Vault's audit log has no lease {event.lease} of this entry")
        )


def _judge_proposal(trace: Trace, proposal: Proposal) -> None:
    """Find executions that name nobody who approved them."""
    event = proposal.execution
    if event is not None and not proposal.approvers:
        what = f"{proposal.case} was executed, and its record names nobody who approved it"
        trace.findings.append(
            Finding("execution-unapproved", event.time, event.workflow, event.user, what, event.place)
        )


def _judge_lateness(trace: Trace, found: Found, now: dt.datetime) -> None:
    """Tell which AWS calls of the ledger CloudTrail does not have, and which of them may still come."""
    if Source.CLOUDTRAIL not in found.given:
        return
    alone = [
        call
        for call in trace.calls
        if call.trail is None and call.ledger is not None and call.ledger.access_key and call.ledger.kind == "call"
    ]
    late = [call for call in alone if now - parse_moment(call.event.time) <= LATENESS]
    if late:
        trace.notes.append(
            f"{len(late)} AWS calls are younger than 15 minutes and not in CloudTrail yet: they may still come"
        )
    rest = len(alone) - len(late)
    if rest:
        trace.notes.append(
            f"{rest} AWS calls of the ledger are not in CloudTrail: are data events of their resources recorded?"
        )


def _find(code: str, call: Call, credential: Credential, what: str) -> Finding:
    event = call.event
    return Finding(code, event.time, credential.workflow or event.workflow, credential.user, what, event.place)
