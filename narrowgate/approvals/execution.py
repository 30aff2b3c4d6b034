"""One open request as it stands: over, waiting, or ready; and if it is ready, its one execution.

Checks come before the unwrapping, so that what is refused never has credentials. Each check that cannot decide
refuses. It must not approve anything, nor execute what is not the case's own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate.approvals.canonical import digest_value
from narrowgate.approvals.case import Claim, Outcome, Person, State, Verdict, now
from narrowgate.approvals.errors import (
    BadRequestError,
    DraftError,
    NotExecutedError,
    VaultDownError,
    VaultRefusedError,
)
from narrowgate.approvals.handlers import Credentials, Plan, find_handler
from narrowgate.approvals.people import choose_approvers, is_same_person, may_approve, read_person
from narrowgate.approvals.recording import Carried, record_execution
from narrowgate.approvals.store import Holder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from narrowgate.approvals.case import Case, Decision
    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.settings import GatedAction


class Execution:
    """One request in the hands of one executor; `held` is its held entry's data."""

    def __init__(self, executor: Executor, case: Case, held: Mapping[str, Any]) -> None:
        self._executor, self._case, self._held = executor, case, held
        self._store = executor.store

    def proceed(self, *, stopped: bool) -> Outcome | None:
        """Return how the request ended, or None while it is open. Raises VaultDownError where nothing is known."""
        holder, claim = self._find_holder()
        if holder is Holder.ANOTHER:
            return None  # it may still work on it
        if self._case.request in self._executor.begun:
            return self._end(State.IN_DOUBT, "this executor began to execute it and lost how that ended")
        if claim is None or holder is Holder.OURS:
            # A claim of one's own that began nothing led to no unwrapping.
            outcome = self._judge(stopped=stopped, claimed=claim is not None)
            # What was begun is ours: nothing that Vault answers now, or does not, may lose how it ended.
            ours = claim is not None or self._case.request in self._executor.begun
            return outcome if ours or self._may_end(outcome) else None
        if claim.ends is not None:  # it had nothing to execute, and ended before it said so
            return self._end(claim.ends, claim.words)
        return self._take_over(claim, stopped=stopped)

    def _find_holder(self) -> tuple[Holder, Claim | None]:
        return self._store.find_holder(self._case.request, self._executor.name, self._executor.claim_seconds)

    def _may_end(self, outcome: Outcome | None) -> bool:
        executor = self._executor
        return outcome is None or self._store.take_end(
            self._case.request, executor.name, executor.claim_seconds, outcome
        )

    def _judge(self, *, stopped: bool, claimed: bool) -> Outcome | None:
        case = self._case
        action = self._executor.gate.find(case.workflow, case.name)
        if case.text != self._held["case"] or action is None or case.factors != action.factors:
            return self._end(State.REFUSED, "the case is not the one that was held, or its rule has changed")
        if stopped:
            return self._end(State.STOPPED, "an emergency stop ended it")
        if words := self._store.tell_revocation(case.workflow, case.requester.name):
            return self._end(State.STOPPED, words)
        decisions = [d for d in self._store.read_decisions(case.request) if d.digest == case.digest]
        denial = self._find_denial(decisions)
        if denial is not None:
            return denial
        if case.expired:
            return self._end(State.EXPIRED, "its time was over before it was approved and executed")
        approvers = self._find_approvers(decisions, action)
        return None if approvers is None else self._execute(action, approvers, claimed=claimed)

    def _take_over(self, claim: Claim, *, stopped: bool) -> Outcome:
        """Finish what another replica began and did not end.

        Vault gives the credentials once: if they can still be taken, nothing was executed yet, and it can be now.
        Whatever else is found leaves in doubt whether the other one had executed it.
        """
        outcome = self._judge(stopped=stopped, claimed=True)
        if outcome is not None and outcome.state in {State.EXECUTED, State.IN_DOUBT}:
            return outcome
        words = f"the executor {claim.executor} began to execute it and did not say how that ended"
        return self._end(State.IN_DOUBT, words, claim.approvers)

    # -- who decided

    def _find_denial(self, decisions: Sequence[Decision]) -> Outcome | None:
        for decision in decisions:
            if decision.verdict is Verdict.DENY:
                person = self._person(decision.entity)
                if person is not None and may_approve(person, self._case.factors):
                    return self._end(State.DENIED, f"{person.name} denied it: {decision.reason}")
        return None

    def _find_approvers(self, decisions: Sequence[Decision], action: GatedAction) -> list[dict[str, str]] | None:
        """Return the people whose approvals fill every place, by Vault's account and their own; None while none do."""
        held = self._ask_control_group()
        if held is None or not held.get("approved"):
            return None
        told = (held.get("request_data") or {}).get("digest")
        if told != self._case.digest or str(held.get("request_path", "")).strip("/") != action.path:
            return None
        authorized = {str(entry.get("entity_id")) for entry in held.get("authorizations") or ()}
        reasons: dict[str, Decision] = {}
        people: list[Person] = []
        for decision in decisions:
            if decision.verdict is not Verdict.APPROVE or decision.entity not in authorized:
                continue
            person = self._person(decision.entity)
            if person is None or is_same_person(person.name, self._case.requester.name):
                continue
            people.append(person)
            reasons[person.entity] = decision
        chosen = choose_approvers(people, self._case.factors)
        if chosen is None:
            return None
        return [
            {
                "entity": person.entity,
                "name": person.name,
                "reason": reasons[person.entity].reason,
                "seen_at": reasons[person.entity].seen_at,
                "decided_at": reasons[person.entity].decided_at,
            }
            for person in chosen
        ]

    def _ask_control_group(self) -> Mapping[str, Any] | None:
        try:
            body = {"accessor": self._held["accessor"]}
            answer: Mapping[str, Any] = self._executor.vault.ask(
                "post", "sys/control-group/request", body, repeat=True
            )["data"]
        except BadRequestError:
            return None  # Vault has forgotten it: its time is over, or its login was revoked
        return answer

    def _person(self, entity: str) -> Person | None:
        gate = self._executor.gate
        return read_person(self._executor.vault, entity, gate.approvers.mount, group_prefix=gate.group_prefix)

    # -- carrying it out

    def _execute(self, action: GatedAction, approvers: list[dict[str, str]], *, claimed: bool) -> Outcome | None:
        refusal = self._check_target(action)
        if refusal is not None:
            return refusal
        return record_execution(
            self._executor.ledger,
            self._case,
            approvers,
            action,
            lambda: self._claim_and_carry_out(action, approvers, claimed=claimed),
        )

    def _claim_and_carry_out(self, action: GatedAction, approvers: list[dict[str, str]], *, claimed: bool) -> Carried:
        """Take the request, after its first record: a replica that can't record leaves it to others."""
        claim = Claim(self._executor.name, now().isoformat(), tuple(approvers))
        if not claimed and not self._store.create_claim(self._case.request, claim):
            return Carried(None)  # another replica has it
        return self._carry_out(action, approvers)

    def _check_target(self, action: GatedAction) -> Outcome | None:
        try:
            plan = self._executor.plan(action, self._case.inputs)
        except DraftError as error:
            return self._end(State.REFUSED, f"the target cannot be read any more: {error}")
        shown = Plan(self._case.calls, self._case.target, self._case.changes, None).shown
        version = None if plan.watched is None else digest_value(plan.watched)
        if version != self._case.target_version or digest_value(plan.shown) != digest_value(shown):
            return self._end(State.REFUSED, "the target or the action's declaration has changed since: propose it anew")
        return None

    def _carry_out(self, action: GatedAction, approvers: list[dict[str, str]]) -> Carried:
        self._executor.begun.add(self._case.request)
        try:
            gated = self._unwrap()
        except (VaultRefusedError, BadRequestError):
            return Carried(self._end(State.IN_DOUBT, "the credentials were taken already, or revoked", approvers))
        except VaultDownError:
            words = "Vault's answer with the credentials was lost on the way"
            return Carried(self._end(State.IN_DOUBT, words, approvers))
        late = {
            "digest": self._case.digest,
            "request": self._case.request,
            "requester": self._case.requester.name,
            "approvers": ", ".join(entry["name"] for entry in approvers),
        }
        handler = find_handler(str(action.execute["handler"]))
        try:
            result = handler.execute(action.execute, self._case.inputs, late, action.connection, gated)
        except NotExecutedError as error:
            return Carried(self._end(State.FAILED, f"nothing was executed: {error}", approvers, gated), gated)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may have been executed
            words = f"it may have been executed: {type(error).__name__} while it was"
            return Carried(self._end(State.IN_DOUBT, words, approvers, gated), gated)
        verified = self._verify(action)
        end = self._end(State.EXECUTED, "executed", approvers, gated, result=result, verified=verified)
        return Carried(end, gated)

    def _unwrap(self) -> Credentials:
        """Take the gated credentials; Vault gives them once."""
        token = str(self._held["wrapping"])
        answer = self._executor.vault.ask("post", "sys/wrapping/unwrap", {}, token=token)
        data = answer.get("data")
        if not data:
            raise BadRequestError("Vault unwrapped nothing")
        return Credentials(str(answer.get("lease_id") or ""), data)

    def _verify(self, action: GatedAction) -> bool | None:
        """Return whether the target now is as the case said it would be; None where that cannot be told."""
        if self._case.target_version is None or not self._case.changes:
            return None
        try:
            plan = self._executor.plan(action, self._case.inputs)
        except Exception:  # noqa: BLE001 - it was executed: what cannot be looked at is not known, and no more
            return None
        return all(change.before == change.after for change in plan.changes)

    def _end(  # noqa: PLR0913 - an outcome has this many sides
        self,
        state: State,
        words: str,
        approvers: Sequence[Mapping[str, str]] = (),
        gated: Credentials | None = None,
        *,
        result: Any = None,  # noqa: ANN401 - what the handler returned
        verified: bool | None = None,
    ) -> Outcome:
        return Outcome(
            state=state,
            words=words,
            digest=self._case.digest,
            executor=self._executor.name,
            at=now().isoformat(),
            result=result,
            approvers=tuple(approvers),
            accessor=str(self._held["accessor"]),
            lease="" if gated is None else gated.lease,
            verified=verified,
        )
