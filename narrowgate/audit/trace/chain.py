"""Puts events into their order of cause: login, credential, call; and draft, decision, execution. Pure.

A call that both the ledger and CloudTrail tell is one call with two sources: they are joined by AWS's request id, and
where one has none (a refused call often has none) by access key, operation and time, each record at most once.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from narrowgate.audit.ledger.operations import iam_action
from narrowgate.audit.trace.events import Event, Source

if TYPE_CHECKING:
    from narrowgate.audit.trace.findings import Finding
    from narrowgate.audit.trace.search import Found, Question

NEAR: Final = dt.timedelta(seconds=5)  # CloudTrail tells whole seconds, and clocks differ
_VERSION_OF_API: Final = re.compile(r"\d{8}(?:v\d+)?$")  # Lambda's events are called Invoke20150331 and the like


@dataclass(slots=True)
class Call:
    """One call of a tool, by whom it is told. `ledger` and `trail` are its records; `began` is a high-impact one's."""

    ledger: Event | None = None
    trail: Event | None = None

    @property
    def event(self) -> Event:
        """Return the record that says most."""
        event = self.ledger or self.trail
        assert event is not None  # noqa: S101 - a call is made of one
        return event

    @property
    def sources(self) -> tuple[str, ...]:
        """Return who tells of it."""
        return tuple(event.source.value for event in (self.ledger, self.trail) if event)


@dataclass(slots=True)
class Credential:
    """What Vault issued: by its lease, and as AWS or PostgreSQL call it. `recorded` None: no ledger tells of it."""

    workflow: str = ""
    user: str = ""
    tool: str = ""
    lease: str = ""
    access_key: str = ""
    session: str = ""
    login: str = ""
    accessor: str = ""
    issued: str = ""
    recorded: bool | None = None
    gated: bool = False
    case: str = ""
    sources: set[Source] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Session:
    """One login of an agent, and the credentials that it took."""

    accessor: str
    workflow: str = ""
    user: str = ""
    started: str = ""
    sources: set[Source] = field(default_factory=set)
    credentials: list[Credential] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Proposal:
    """One request for a gated action: who asked, who decided, and what was executed."""

    case: str
    workflow: str = ""
    user: str = ""
    tool: str = ""
    action: str = ""
    drafted: str = ""
    decided: list[tuple[str, str]] = field(default_factory=list)
    approvers: tuple[str, ...] = ()
    execution: Event | None = None
    credentials: list[Credential] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """The answer: sessions and proposals in their order, findings, and what could not be told (`notes`)."""

    question: Question
    sessions: list[Session] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: int = 0

    @property
    def credentials(self) -> list[Credential]:
        """Return every credential, those of executions too."""
        own = [credential for session in self.sessions for credential in session.credentials]
        return own + [credential for proposal in self.proposals for credential in proposal.credentials]

    @property
    def calls(self) -> list[Call]:
        """Return every call of an agent."""
        return [call for s in self.sessions for call in s.calls + [c for cr in s.credentials for c in cr.calls]]


def build_trace(found: Found, now: dt.datetime) -> Trace:
    """Return the trace of what was found, as it is known at `now`."""
    from narrowgate.audit.trace.findings import judge

    since = found.question.since
    events = [event for event in found.events if event.time >= since or event.kind in {"login", "lease", "draft"}]
    trace = _Build(found.question).build(events)
    judge(trace, found, now)
    return trace


class _Build:
    def __init__(self, question: Question) -> None:
        self._trace = Trace(question)
        self._credentials: dict[str, Credential] = {}
        self._sessions: dict[str, Session] = {}
        self._proposals: dict[str, Proposal] = {}
        self._last_login: dict[tuple[str, str, str], str] = {}

    def build(self, events: list[Event]) -> Trace:
        self._trace.events = len(events)
        for event in events:
            self._take(event)
        # The executor's own record is of the execution; what the gated credential did stands in CloudTrail only.
        self._join([e for e in events if e.kind == "call" and not (e.gated and e.source is Source.LEDGER)])
        for credential in {id(c): c for c in self._credentials.values()}.values():
            self._place(credential)
        for session in self._sessions.values():
            session.credentials.sort(key=lambda credential: credential.issued or "~")
        self._trace.sessions = sorted(
            (s for s in self._sessions.values() if s.credentials or s.calls or s.sources), key=lambda s: s.started
        )
        self._trace.proposals = sorted(self._proposals.values(), key=lambda p: p.drafted)
        return self._trace

    def _take(self, event: Event) -> None:
        if event.kind == "login" and event.workflow:
            session = self._session(event.accessor)
            session.sources.add(event.source)
            session.workflow, session.user = session.workflow or event.workflow, session.user or event.user
            session.started = min(filter(None, (session.started, event.time)))
            if event.source is Source.LEDGER:
                self._last_login[_file(event), event.workflow, event.user] = event.accessor
        if event.case:
            self._take_proposal(event)
        if event.lease or event.access_key:
            self._take_credential(event)

    def _session(self, accessor: str) -> Session:
        return self._sessions.setdefault(accessor, Session(accessor))

    def _take_proposal(self, event: Event) -> None:
        proposal = self._proposals.setdefault(event.case, Proposal(event.case, event.workflow))
        if event.kind == "draft" and event.outcome == "allowed":
            proposal.drafted = proposal.drafted or event.time
            proposal.user = proposal.user or event.user
        if event.kind == "decision" and event.outcome == "allowed":
            proposal.decided.append((event.time, event.user))
        if event.source is Source.LEDGER and event.gated:
            proposal.user = proposal.user or event.user
            proposal.approvers = event.approvers or proposal.approvers
            if event.kind == "call" or proposal.execution is None:
                proposal.execution = event
        proposal.tool, proposal.action = proposal.tool or event.tool, proposal.action or event.action

    def _take_credential(self, event: Event) -> None:
        keys = [key for key in (event.lease, event.access_key) if key]
        held = next((self._credentials[key] for key in keys if key in self._credentials), None)
        credential = held or Credential()
        for key in keys:
            self._credentials[key] = credential
        for name in ("workflow", "user", "tool", "lease", "access_key", "session", "login", "case"):
            if not getattr(credential, name) and getattr(event, name):
                setattr(credential, name, getattr(event, name))
        credential.sources.add(event.source)
        credential.gated = credential.gated or event.gated
        if event.source is Source.VAULT:
            credential.accessor = event.accessor
        elif event.source is Source.LEDGER and not event.gated and not credential.accessor:
            credential.accessor = self._last_login.get((_file(event), event.workflow, event.user), "")
        if event.kind == "lease":
            credential.issued = min(filter(None, (credential.issued, event.time)))
            if event.recorded is not None:
                credential.recorded = event.recorded and credential.recorded is not False
        elif event.source is Source.LEDGER and credential.recorded is None:
            credential.recorded = True

    def _place(self, credential: Credential) -> None:
        """Hang a credential where it was taken: on its proposal, or on the login that took it."""
        credential.calls.sort(key=lambda call: call.event.time)
        proposal = self._proposals.get(credential.case)
        if proposal is not None and credential.gated:
            proposal.credentials.append(credential)
            return
        session = self._session("" if credential.gated else credential.accessor)
        session.workflow, session.user = session.workflow or credential.workflow, session.user or credential.user
        session.started = min(filter(None, (session.started, credential.issued)), default="")
        session.credentials.append(credential)

    # -- calls

    def _join(self, events: list[Event]) -> None:
        """Make calls of the ledger's and CloudTrail's records, and hang each on its credential."""
        told = [Call(ledger=event) for event in events if event.source is Source.LEDGER]
        seen = [event for event in events if event.source is Source.CLOUDTRAIL]
        by_request = {request: call for call in told for request in (call.ledger.requests if call.ledger else ())}
        rest: list[Event] = []
        retries: list[Call] = []
        for event in seen:
            call = next((by_request[r] for r in event.requests if r in by_request), None)
            if call is None:
                rest.append(event)
            elif call.trail is None:
                call.trail = event
            else:  # a call that was sent again: its own request, told by the same record
                retries.append(Call(call.ledger, event))
        waiting: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for call in told:
            if call.trail is None:
                waiting[call.event.access_key, _spell(call.event)].append(call)
        unmatched = [event for event in rest if not _match(event, waiting[event.access_key, _spell(event)])]
        for call in [*told, *retries, *(Call(trail=event) for event in unmatched)]:
            self._hang(call)

    def _hang(self, call: Call) -> None:
        event = call.event
        credential = self._credentials.get(event.lease) or self._credentials.get(event.access_key)
        if credential is not None:
            credential.calls.append(call)
            return
        accessor = self._last_login.get((_file(event), event.workflow, event.user), "")
        session = self._session(accessor)
        session.workflow, session.user = session.workflow or event.workflow, session.user or event.user
        session.calls.append(call)


def _match(event: Event, candidates: list[Call]) -> bool:
    """Give `event` to the nearest call that has none yet, and that may be it."""
    moment = parse_moment(event.time)
    near = [
        (abs(parse_moment(call.event.time) - moment), number)
        for number, call in enumerate(candidates)
        if call.trail is None and not (call.event.requests and event.requests) and _same(call.event, event)
    ]
    best = min(near, default=None)
    if best is None or best[0] > NEAR:
        return False
    candidates[best[1]].trail = event
    return True


def _same(one: Event, other: Event) -> bool:
    return (one.outcome == "allowed") == (other.outcome == "allowed")


def _spell(event: Event) -> str:
    """Return the IAM action behind an operation: S3's events and its operations have different names."""
    service, _, operation = event.operation.partition(":")
    return iam_action(service, _VERSION_OF_API.sub("", operation)).lower()


def parse_moment(text: str) -> dt.datetime:
    """Return the time in a record; the beginning of time for none."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _file(event: Event) -> str:
    return event.place.rpartition(":")[0]
