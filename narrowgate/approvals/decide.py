"""What a person can do at the gate, with their own Vault token and nothing else: read, approve, deny, stop all.

Everything that is refused here in words is refused by Vault or by the executor too; this module checks first so that
nobody approves what they did not see: the case against its digest, the digest against the request that Vault holds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.approvals.case import (
    MAX_REASON,
    OPEN,
    Case,
    Decision,
    Hold,
    Outcome,
    Person,
    State,
    Verdict,
    now,
)
from narrowgate.approvals.errors import (
    ApprovalsError,
    BadRequestError,
    CaseAlteredError,
    DecidedError,
    NotAllowedError,
    NotFoundError,
    NotShownError,
)
from narrowgate.approvals.people import count_missing, is_same_person, may_approve, read_person
from narrowgate.approvals.store import Stop, Store
from narrowgate.approvals.vault import Vault
from narrowgate.runtime.vault import ca_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.approvals.settings import Gate

_ALREADY: Final = "already authorized"


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in: their `person`, and how many seconds their token still serves."""

    person: Person
    seconds_left: int


@dataclass(frozen=True, slots=True)
class PersonalDecision:
    """A decision with the person who made it; `counts` tells whether they are in a group that may approve it."""

    person: Person
    verdict: Verdict
    reason: str
    decided_at: str
    counts: bool


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as a person sees it. Texts in it are an agent's: show them by `narrowgate.approvals.text`.

    `missing` is how many approvals it still needs; `refusal` says why this person may not decide on it, None where
    they may; `read_at` is what `approve` and `deny` take as `seen_at`.
    """

    case: Case
    digest: str
    hold: Hold
    state: State
    decisions: tuple[PersonalDecision, ...]
    missing: int
    refusal: str | None
    outcome: Outcome | None
    read_at: str


class Approver:
    """One person at the gate. Made by `log_in_approver` or `resume_approver`."""

    def __init__(self, gate: Gate, vault: Vault) -> None:
        self.gate = gate
        self.vault = vault
        self._store = Store(gate, vault)
        self._people: dict[str, Person | None] = {}
        self._me: str | None = None
        self.altered: tuple[str, ...] = ()

    def who(self) -> Session:
        """Return who is logged in.

        Raises:
            VaultRefusedError: the token is over.
            NotAllowedError: it is no approver's.
            VaultDownError: Vault cannot answer.

        """
        data = self.vault.ask("get", "auth/token/lookup-self", repeat=True)["data"]
        self._me = str(data.get("entity_id") or "")
        person = self._person(self._me) if self._me else None
        if person is None:
            raise NotAllowedError(
                f"This login is none of {self.gate.approvers.mount}: it can approve nothing.",
                hint="Log in with a token of the identity provider, as yourself and not as an agent.",
            )
        return Session(person, int(data.get("ttl") or 0))

    def list_cases(self, *, closed: bool = False) -> list[CaseView]:
        """Return the open cases, the oldest first; with `closed`, those that are over too.

        A case that is not what its digest says is left out, and its id stands in `altered` afterwards.
        """
        requests: set[str] = set()
        for workflow, tool in self.gate.places:
            requests |= set(self._store.list_open(workflow, tool))
        if closed:
            for workflow in sorted({workflow for workflow, _ in self.gate.places}):
                requests |= set(self._store.list_cases(workflow))
        views, altered = [], []
        for request in sorted(requests):
            try:
                views.append(self.read_case(request))
            except NotFoundError:
                continue  # it is being written, or was closed this moment
            except CaseAlteredError:
                altered.append(request)
        self.altered = tuple(altered)
        shown = [view for view in views if closed or view.state in OPEN]
        return sorted(shown, key=lambda view: (view.case.created_at, view.case.request))

    def read_case(self, request: str) -> CaseView:
        """Return one case with all decisions and its outcome.

        Raises NotFoundError, CaseAlteredError, VaultRefusedError or VaultDownError.
        """
        stored = self._store.read_case(request)
        case = stored.case
        outcome = self._store.read_outcome(request)
        decisions = tuple(self._personal(decision, case) for decision in self._store.read_decisions(request))
        approved = [d.person for d in decisions if d.verdict is Verdict.APPROVE and d.counts]
        missing = count_missing(approved, case.factors)
        state = self._tell_state(case, outcome, decisions, missing)
        return CaseView(
            case=case,
            digest=case.digest,
            hold=stored.hold,
            state=state,
            decisions=decisions,
            missing=missing,
            refusal=self._refusal(case, state, decisions),
            outcome=outcome,
            read_at=now().isoformat(),
        )

    def approve(self, request: str, *, digest: str, reason: str, seen_at: str) -> CaseView:
        """Approve exactly the case whose `digest` was shown, and return how it stands then.

        Raises:
            NotShownError: the case has another digest. CaseAlteredError: Vault holds another request than it says.
            NotAllowedError: this person may not. DecidedError: they decided already, or it is over.

        """
        view = self._check(request, digest)
        self._check_held(view)
        self._decide(view, Verdict.APPROVE, reason, seen_at)
        try:
            self.vault.ask("post", "sys/control-group/authorize", {"accessor": view.hold.accessor}, repeat=True)
        except BadRequestError as error:
            if _ALREADY not in str(error):
                raise DecidedError("Vault no longer holds this request: it is over.") from error
        return self.read_case(request)

    def deny(self, request: str, *, digest: str, reason: str, seen_at: str) -> CaseView:
        """Deny the case for good, with a reason, and return how it stands then. Raises as `approve` does."""
        view = self._check(request, digest)
        self._decide(view, Verdict.DENY, reason, seen_at)
        return self.read_case(request)

    def stop_all(self, reason: str) -> None:
        """Stop the gate: executors end every open request, and take no new one until an administrator ends the stop.

        Raises NotAllowedError, VaultRefusedError or VaultDownError.
        """
        person = self.who().person
        self._store.create_stop(person.entity, _check_reason(reason), now().isoformat())

    def list_stops(self) -> list[tuple[Person, Stop]]:
        """Return the emergency stops that stand, with who made each."""
        return [(self._named(stop.entity), stop) for stop in self._store.read_stops()]

    def log_out(self) -> None:
        """Revoke the token."""
        self.vault.revoke_self()

    # -- what the above is made of

    def _check(self, request: str, digest: str) -> CaseView:
        view = self.read_case(request)
        if view.digest != digest:
            raise NotShownError(f"The case {request} is not the one whose digest was given.")
        if view.refusal is not None:
            over = view.state not in OPEN or "already" in view.refusal
            raise (DecidedError if over else NotAllowedError)(f"{request}: {view.refusal}")
        return view

    def _check_held(self, view: CaseView) -> None:
        """Compare the case with the request that Vault holds: only that is what an approval opens."""
        action = self.gate.find(view.case.workflow, view.case.name)
        try:
            held = self.vault.ask("post", "sys/control-group/request", {"accessor": view.hold.accessor}, repeat=True)[
                "data"
            ]
        except BadRequestError:
            raise DecidedError(f"{view.case.request}: Vault no longer holds this request.") from None
        path = str(held.get("request_path", "")).strip("/")
        told = (held.get("request_data") or {}).get("digest")
        if action is None or path != action.path or path != view.hold.path or told != view.digest:
            raise CaseAlteredError(f"{view.case.request}: Vault holds another request than this case describes.")

    def _decide(self, view: CaseView, verdict: Verdict, reason: str, seen_at: str) -> None:
        person = self.who().person
        standing = {d.person.entity: d for d in view.decisions}.get(person.entity)
        if standing is not None and standing.verdict is verdict:
            return
        decision = Decision(person.entity, verdict, view.digest, _check_reason(reason), seen_at, now().isoformat())
        if not self._store.create_decision(view.case.request, decision):
            raise DecidedError(f"{view.case.request}: you decided already.")

    def _personal(self, decision: Decision, case: Case) -> PersonalDecision:
        person = self._named(decision.entity)
        counts = (
            decision.digest == case.digest
            and may_approve(person, case.factors)
            and not (decision.verdict is Verdict.APPROVE and is_same_person(person.name, case.requester.name))
        )
        return PersonalDecision(person, decision.verdict, decision.reason, decision.decided_at, counts)

    def _tell_state(
        self, case: Case, outcome: Outcome | None, decisions: tuple[PersonalDecision, ...], missing: int
    ) -> State:
        if outcome is not None:
            return outcome.state
        if any(d.verdict is Verdict.DENY and d.counts for d in decisions):
            return State.DENIED
        if self._store.read_claim(case.request) is not None:
            return State.EXECUTING
        if case.expired:
            return State.EXPIRED
        return State.WAITING if missing else State.APPROVED

    def _refusal(self, case: Case, state: State, decisions: tuple[PersonalDecision, ...]) -> str | None:
        me = self._person(self._me) if self._me else self.who().person
        mine = None if me is None else next((d for d in decisions if d.person.entity == me.entity), None)
        groups = ", ".join(sorted({group for factor in case.factors for group in factor.groups}))
        reasons = (
            (state not in OPEN, f"it is over: {state.value}"),
            (state is State.EXECUTING, "it is being executed"),
            (me is None, "this login is no approver's"),
            (
                me is not None and is_same_person(me.name, case.requester.name),
                "you are the user on whose behalf it was drafted",
            ),
            (
                me is not None and not may_approve(me, case.factors),
                f"you are in none of the groups that decide on it ({groups})",
            ),
            (
                mine is not None and not self._unfinished(mine, state),
                f"you decided already: {mine.verdict.value if mine else ''}",
            ),
        )
        return next((words for holds, words in reasons if holds), None)

    def _unfinished(self, mine: PersonalDecision, state: State) -> bool:
        """Return whether an approval may be given again: it stands in the records, and perhaps not yet in Vault."""
        return mine.verdict is Verdict.APPROVE and state in {State.WAITING, State.APPROVED}

    def _person(self, entity: str) -> Person | None:
        if entity not in self._people:
            found = read_person(self.vault, entity, self.gate.approvers.mount, group_prefix=self.gate.group_prefix)
            self._people[entity] = found
        return self._people[entity]

    def _named(self, entity: str) -> Person:
        return self._person(entity) or Person(entity, "(unknown)")


@contextlib.contextmanager
def log_in_approver(gate: Gate, jwt: str) -> Iterator[Approver]:
    """Log in as a person by the identity provider's token; at the block's end the login is revoked.

    Raises LoginError or VaultDownError.
    """
    with ca_file(gate.ca_pem) as verify, Vault(gate.address, namespace=gate.namespace, verify=verify) as vault:
        vault.log_in(gate.approvers.mount, gate.approvers.role, jwt)
        approver = Approver(gate, vault)
        try:
            yield approver
        finally:
            with contextlib.suppress(ApprovalsError):
                approver.log_out()


@contextlib.contextmanager
def resume_approver(gate: Gate, token: str) -> Iterator[Approver]:
    """Give the approver of a Vault token that was had before; it is not revoked at the block's end.

    Raises VaultRefusedError (the token is over), NotAllowedError (it is no approver's) or VaultDownError.
    """
    with (
        ca_file(gate.ca_pem) as verify,
        Vault(gate.address, namespace=gate.namespace, verify=verify, token=token) as vault,
    ):
        approver = Approver(gate, vault)
        approver.who()
        yield approver


def _check_reason(reason: str) -> str:
    if not reason.strip():
        raise NotAllowedError("A decision needs a reason.", hint="Say in a few words why.")
    if len(reason) > MAX_REASON:
        raise NotAllowedError(f"The reason is longer than {MAX_REASON} characters.")
    return reason
