"""The values of one request: draft, case, decision, outcome. Frozen, JSON-ready, and checked when they are read.

A case is kept as one canonical text with its digest: whoever shows, approves or executes it does so by that text. This
module must not talk to any system.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from narrowgate.approvals.canonical import canonical_json, digest_text
from narrowgate.approvals.errors import CaseAlteredError, DraftError
from narrowgate.approvals.settings import FactorRule
from narrowgate.runtime.proposals import MAX_INPUTS_BYTES, MAX_RATIONALE, VERSION

MAX_REASON: Final = 2_000


class State(StrEnum):
    """Where a request stands. All but the first three are final."""

    WAITING = "waiting"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"
    DENIED = "denied"
    EXPIRED = "expired"
    REFUSED = "refused"
    STOPPED = "stopped"


OPEN: Final = frozenset({State.WAITING, State.APPROVED, State.EXECUTING})


class Verdict(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    DENY = "deny"


def now() -> datetime:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent wrote: an `action` (`<tool>.<action>`), its `inputs`, and why. All of it is data, never markup."""

    action: str
    inputs: Mapping[str, Any]
    rationale: str


def parse_draft(data: Mapping[str, Any]) -> Draft:
    """Return the draft in an entry; raise DraftError for what is none."""
    action, inputs, rationale = data.get("action"), data.get("inputs"), data.get("rationale")
    if data.get("version") != VERSION or not isinstance(action, str) or not isinstance(inputs, Mapping):
        raise DraftError("The entry is no draft: it needs version 1, an action and inputs.")
    if not isinstance(rationale, str) or not rationale.strip():
        raise DraftError("The draft gives no rationale.")
    if len(rationale) > MAX_RATIONALE:
        raise DraftError(f"The rationale is longer than {MAX_RATIONALE} characters.")
    try:
        size = len(canonical_json(inputs).encode())
    except (ValueError, UnicodeEncodeError):
        raise DraftError("The inputs cannot be written as JSON in UTF-8.") from None
    if size > MAX_INPUTS_BYTES:
        raise DraftError(f"The inputs take {size} bytes; {MAX_INPUTS_BYTES} are allowed.")
    return Draft(action, inputs, rationale)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the diff: `what` changes, from `before` (None: not there, or not readable) to `after`."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as Vault knows them: `entity`, and the `name` (the token's `sub`) that their login's mount gives."""

    entity: str
    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What people decide on. `text` is the canonical JSON of all fields, `digest` its digest.

    `calls` is what the executor will do, in the terms of its handler; `changes` is what that will change, and
    `target_version` the digest of what stood there when it was read (None where nothing is read).
    """

    request: str
    environment: str
    workflow: str
    tool: str
    action: str
    description: str
    requester: Person
    draft: str
    drafted_at: str
    inputs: Mapping[str, Any]
    rationale: str
    calls: Mapping[str, Any]
    target: str
    changes: tuple[Change, ...]
    target_version: str | None
    reversible: str
    factors: tuple[FactorRule, ...]
    created_at: str
    expires_at: str

    @property
    def name(self) -> str:
        """Return `<tool>.<action>`."""
        return f"{self.tool}.{self.action}"

    @property
    def text(self) -> str:
        """Return the canonical text."""
        return canonical_json({"version": VERSION, **asdict(self)})

    @property
    def digest(self) -> str:
        """Return the digest of the text."""
        return digest_text(self.text)

    @property
    def expired(self) -> bool:
        """Return whether its time is over."""
        return now() >= datetime.fromisoformat(self.expires_at)


def parse_case(text: str, digest: str) -> Case:
    """Return the case in `text`; raise CaseAlteredError where it is not what `digest` says, or is no case."""
    if digest_text(text) != digest:
        raise CaseAlteredError("The case's text is not what its digest says.")
    try:
        fields = json.loads(text)
        if fields.pop("version") != VERSION:
            raise CaseAlteredError("The case has a version that this library does not read.")
        requester = fields["requester"]
        case = Case(
            **{
                **fields,
                "requester": Person(requester["entity"], requester["name"], tuple(requester["groups"])),
                "changes": tuple(Change(**change) for change in fields["changes"]),
                "factors": tuple(FactorRule(tuple(f["groups"]), f["required"]) for f in fields["factors"]),
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CaseAlteredError("The case's text is no case.") from None
    if case.text != text:
        raise CaseAlteredError("The case's text is not canonical.")
    return case


@dataclass(frozen=True, slots=True)
class Hold:
    """The request that Vault holds: its `accessor`, by which people authorize it, and the `path` it is for."""

    accessor: str
    path: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided: on which `digest`, why, when they saw the case and when they decided."""

    entity: str
    verdict: Verdict
    digest: str
    reason: str
    seen_at: str
    decided_at: str


def parse_decision(entity: str, data: Mapping[str, Any]) -> Decision | None:
    """Return the decision in an entry of `entity`, or None for what is none."""
    try:
        return Decision(
            entity,
            Verdict(data["verdict"]),
            str(data["digest"]),
            str(data["reason"]),
            str(data["seen_at"]),
            str(data["decided_at"]),
        )
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: `state`, in words, with whom and what it was done.

    `approvers` are the people whose approval counted; `executor` names the replica; `lease` is the gated credential's,
    `accessor` the held request's: Vault's audit log tells the rest by them.
    """

    state: State
    words: str
    digest: str
    executor: str
    at: str
    result: Any = None
    approvers: tuple[Mapping[str, str], ...] = ()
    accessor: str = ""
    lease: str = ""
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One replica's word that it takes a request: to carry it out, or, where `ends` is set, to say how it is over.

    `executor` names the replica; `at` is when it was written (by Vault's clock, once it stands there).
    """

    executor: str
    at: str
    approvers: tuple[Mapping[str, str], ...] = ()
    ends: State | None = None
    words: str = ""


def parse_claim(data: Mapping[str, Any], created: str) -> Claim:
    """Return the claim in an entry that was written at `created`."""
    ends = data.get("ends")
    return Claim(
        executor=str(data["executor"]),
        at=created,
        approvers=tuple(data.get("approvers") or ()),
        ends=None if ends is None else State(ends),
        words=str(data.get("words") or ""),
    )


def parse_outcome(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome in an entry."""
    return Outcome(
        state=State(data["state"]),
        words=str(data["words"]),
        digest=str(data["digest"]),
        executor=str(data["executor"]),
        at=str(data["at"]),
        result=data.get("result"),
        approvers=tuple(data.get("approvers") or ()),
        accessor=str(data.get("accessor") or ""),
        lease=str(data.get("lease") or ""),
        verified=data.get("verified"),
    )
