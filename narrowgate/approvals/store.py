"""Where everything about a request stands in Vault, and nothing about who may touch it: that is Vault's policies'.

    <drafts>/data/<workflow>/<entity>/<draft>         the agent's, create only; the path tells workflow and user
    <cases>/data/<workflow>/<key>                     the executor's, create only
    <decisions>/data/<workflow>/<key>/<entity>        each approver's, create only
    <decisions>/data/_stops/<entity>                  an approver's emergency stop, create only
    <records>/data/<workflow>/<key>/claim, …/outcome  the executor's, create only
    <records>/data/_answers/<workflow>/<entity>/<key> the executor's, create only; what the agent that drafted it reads
    <held>/data/<workflow>/<tool>/<key>               the executors' alone: the held request's tokens, while it is open

`key` is the second part of a request id. A request is open while its held entry stands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from narrowgate.approvals.case import (
    Case,
    Claim,
    Decision,
    Hold,
    Outcome,
    now,
    parse_case,
    parse_claim,
    parse_decision,
    parse_outcome,
)
from narrowgate.approvals.errors import CaseAlteredError, NotFoundError, SettingsError
from narrowgate.approvals.settings import split_request_id
from narrowgate.operations.errors import RevocationRecordError
from narrowgate.operations.record import parse_record
from narrowgate.runtime.proposals import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.approvals.settings import Gate
    from narrowgate.approvals.vault import Entry, Vault
    from narrowgate.operations.record import RevocationRecord

STOPS: Final = "_stops"
ANSWERS: Final = "_answers"


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A case as it stands in Vault, and the request that Vault holds for it."""

    case: Case
    hold: Hold
    created: str


@dataclass(frozen=True, slots=True)
class Stop:
    """An emergency stop: whose, when (by Vault's clock), why."""

    entity: str
    at: str
    reason: str


class Holder(Enum):
    """Whose an open request is, as one replica sees it: it may take it, has it, must leave it, or takes it over."""

    NOBODY = auto()
    OURS = auto()
    ANOTHER = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Store:
    """Reads and writes the entries of one gate as whoever `vault`'s token is."""

    gate: Gate
    vault: Vault

    # -- drafts

    def list_drafts(self, workflow: str, tool: str) -> list[tuple[str, str]]:
        """Return (entity, draft) of every draft of a tool."""
        mount = self.gate.mounts.drafts
        entities = [name.rstrip("/") for name in self.vault.list_keys(mount, workflow)]
        return [
            (entity, draft)
            for entity in entities
            for draft in self.vault.list_keys(mount, f"{workflow}/{entity}")
            if draft.startswith(f"{tool}.")
        ]

    def read_draft(self, workflow: str, entity: str, draft: str) -> Entry | None:
        """Return a draft's entry."""
        return self.vault.read_entry(self.gate.mounts.drafts, f"{workflow}/{entity}/{draft}")

    # -- cases

    def create_case(self, case: Case, hold: Hold) -> bool:
        """Write a case once; return whether this very case stands there."""
        data = {"version": VERSION, "case": case.text, "digest": case.digest, "hold": asdict(hold)}
        return self.vault.create_entry(self.gate.mounts.cases, _path(case.request), data)

    def read_case(self, request: str) -> StoredCase:
        """Return a case, checked against its digest and its path.

        Raises NotFoundError, CaseAlteredError, or as `Vault.ask` does.
        """
        entry = self.vault.read_entry(self.gate.mounts.cases, _path(request))
        if entry is None:
            raise NotFoundError(f"There is no case {request}.")
        try:
            case = parse_case(str(entry.data["case"]), str(entry.data["digest"]))
            hold = Hold(str(entry.data["hold"]["accessor"]), str(entry.data["hold"]["path"]))
        except (KeyError, TypeError):
            raise CaseAlteredError(f"What stands in the place of the case {request} is no case.") from None
        if case.request != request or entry.version != 1:
            raise CaseAlteredError(f"The case {request} was written twice, or is another's.")
        return StoredCase(case, hold, entry.created)

    def list_open(self, workflow: str, tool: str) -> list[str]:
        """Return the ids of the requests that are open."""
        keys = self.vault.list_keys(self.gate.mounts.held, f"{workflow}/{tool}")
        return [f"{workflow}.{key}" for key in keys]

    def list_cases(self, workflow: str) -> list[str]:
        """Return the ids of all cases of a workflow, open or not."""
        return [f"{workflow}.{key}" for key in self.vault.list_keys(self.gate.mounts.cases, workflow)]

    # -- decisions

    def create_decision(self, request: str, decision: Decision) -> bool:
        """Write a person's decision once; return whether this very decision stands there."""
        data = {"version": VERSION, **asdict(decision)}
        return self.vault.create_entry(self.gate.mounts.decisions, f"{_path(request)}/{decision.entity}", data)

    def list_decided(self, workflow: str) -> frozenset[str]:
        """Return the ids of the requests of a workflow on which somebody has decided, open or not."""
        keys = self.vault.list_keys(self.gate.mounts.decisions, workflow)
        return frozenset(f"{workflow}.{key.rstrip('/')}" for key in keys)

    def read_decisions(self, request: str) -> list[Decision]:
        """Return all decisions; the path tells whose each is, whatever its text says."""
        mount, path = self.gate.mounts.decisions, _path(request)
        found = []
        for entity in self.vault.list_keys(mount, path):
            entry = self.vault.read_entry(mount, f"{path}/{entity}")
            if entry is not None and entry.version == 1 and (decision := parse_decision(entity, entry.data)):
                found.append(decision)
        return found

    def create_stop(self, entity: str, reason: str, at: str) -> bool:
        """Write an emergency stop; return whether it stands there now."""
        data = {"version": VERSION, "reason": reason, "at": at}
        path = f"{STOPS}/{entity}"
        return self.vault.create_entry(self.gate.mounts.decisions, path, data) or self.read_stop(entity) is not None

    def read_stop(self, entity: str) -> Stop | None:
        """Return a person's emergency stop."""
        entry = self.vault.read_entry(self.gate.mounts.decisions, f"{STOPS}/{entity}")
        return None if entry is None else Stop(entity, entry.created, str(entry.data.get("reason", "")))

    def read_stops(self) -> list[Stop]:
        """Return the emergency stops that stand."""
        entities = self.vault.list_keys(self.gate.mounts.decisions, STOPS)
        return [stop for entity in entities if (stop := self.read_stop(entity)) is not None]

    def read_revocations(self, workflow: str) -> RevocationRecord | None:
        """Return what operators have revoked of a workflow, or None where they never did.

        Raises SettingsError for a record that cannot be understood, or as `Vault.ask` does: then nothing may go on.
        """
        entry = None if self.gate.revocations is None else self.vault.read_entry(self.gate.revocations, workflow)
        if entry is None:
            return None
        try:
            return parse_record(entry.data, workflow)
        except RevocationRecordError as error:
            raise SettingsError(str(error), hint=error.hint) from None

    def tell_revocation(self, workflow: str, user: str) -> str:
        """Return in words that an operator has revoked the workflow, or `user` of it; empty where nobody has.

        Raises as `read_revocations` does.
        """
        return put_revocation(self.read_revocations(workflow), user)

    # -- records

    def create_claim(self, request: str, claim: Claim) -> bool:
        """Claim a request for one executor; return whether the claim is this one."""
        data = {name: value for name, value in asdict(claim).items() if value is not None}
        return self.vault.create_entry(
            self.gate.mounts.records, f"{_path(request)}/claim", {"version": VERSION, **data}
        )

    def read_claim(self, request: str) -> Claim | None:
        """Return the claim, or None."""
        entry = self.vault.read_entry(self.gate.mounts.records, f"{_path(request)}/claim")
        return None if entry is None else parse_claim(entry.data, entry.created)

    def find_holder(self, request: str, executor: str, claim_seconds: int) -> tuple[Holder, Claim | None]:
        """Return whose a request is for the replica `executor`, and the claim: the one judge of how old that may be.

        Another's claim holds for `claim_seconds`; one that led to no outcome in that time is taken for a dead one's.
        """
        claim = self.read_claim(request)
        if claim is None:
            return Holder.NOBODY, None
        if claim.executor == executor:
            return Holder.OURS, claim
        age = (datetime.now(UTC) - datetime.fromisoformat(claim.at)).total_seconds()
        return Holder.ANOTHER if age < claim_seconds else Holder.GONE, claim

    def take_end(self, request: str, executor: str, claim_seconds: int, outcome: Outcome) -> bool:
        """Tell whether `executor` may say that a request is over: it has the claim, or takes it for that.

        While it judged, another may have taken the request and be executing it: what looks changed, expired or denied
        then may be what that one just did, or came too late for it. Where another took it to end it, and died, both
        say the same: that nothing was executed.
        """
        holder, claim = self.find_holder(request, executor, claim_seconds)
        if claim is not None:
            return holder is Holder.OURS or (holder is Holder.GONE and claim.ends is not None)
        mine = Claim(executor, now().isoformat(), ends=outcome.state, words=outcome.words)
        return self.create_claim(request, mine)

    def create_outcome(self, request: str, outcome: Outcome) -> bool:
        """Write how a request ended, once; return whether this very outcome stands there."""
        data = {"version": VERSION, **asdict(outcome), "state": outcome.state.value}
        return self.vault.create_entry(self.gate.mounts.records, f"{_path(request)}/outcome", data)

    def read_outcome(self, request: str) -> Outcome | None:
        """Return how a request ended, or None."""
        entry = self.vault.read_entry(self.gate.mounts.records, f"{_path(request)}/outcome")
        return None if entry is None else parse_outcome(entry.data)

    def create_answer(self, request: str, entity: str, outcome: Outcome) -> bool:
        """Write for the agent how its request ended; return whether this very answer stands there."""
        workflow, key = split_request_id(request)
        data = {
            "version": VERSION,
            "state": outcome.state.value,
            "words": outcome.words,
            "at": outcome.at,
            "result": outcome.result,
        }
        return self.vault.create_entry(self.gate.mounts.records, f"{ANSWERS}/{workflow}/{entity}/{key}", data)

    def list_answered(self, workflow: str, entity: str) -> frozenset[str]:
        """Return the ids of an entity's requests that have ended and whose agent was told so: nothing is left to do."""
        keys = self.vault.list_keys(self.gate.mounts.records, f"{ANSWERS}/{workflow}/{entity}")
        return frozenset(f"{workflow}.{key}" for key in keys)

    # -- what only executors read

    def create_held(self, request: str, tool: str, data: Mapping[str, Any]) -> bool:
        """Keep a held request's tokens; return whether these are the ones that are kept."""
        return self.vault.create_entry(self.gate.mounts.held, _held(request, tool), data)

    def read_held(self, request: str, tool: str) -> Entry | None:
        """Return a held request's tokens, or None where it is not open."""
        return self.vault.read_entry(self.gate.mounts.held, _held(request, tool))

    def destroy_held(self, request: str, tool: str) -> None:
        """Forget a held request's tokens: the request is closed."""
        self.vault.destroy_entry(self.gate.mounts.held, _held(request, tool))


def put_revocation(record: RevocationRecord | None, user: str) -> str:
    """Say in words that `record` revokes its workflow, or `user` of it; nothing where it does neither."""
    if record is None:
        return ""
    if record.is_whole:
        return "an operator revoked the workflow"
    return f"an operator revoked {user} at the workflow" if user in record.users else ""


def _path(request: str) -> str:
    return "/".join(split_request_id(request))


def _held(request: str, tool: str) -> str:
    workflow, key = split_request_id(request)
    return f"{workflow}/{tool}/{key}"
