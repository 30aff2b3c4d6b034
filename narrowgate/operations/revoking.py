"""Revoke and restore, as one call each: the steps in order, each of them verified, none of them granting anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.operations.entities import UserEntity
from narrowgate.operations.errors import NotRevokedError
from narrowgate.operations.record import RevocationRecords
from narrowgate.operations.steps import Operator, StepResult, list_revocation_steps, preview_step, run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.operations.record import RevocationRecord
    from narrowgate.operations.target import Target
    from narrowgate.operations.vault import VaultOperator


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a revocation or restore: its steps, and what could not be cut at once, in words."""

    results: tuple[StepResult, ...]
    lasting: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Return whether every step was seen to hold."""
        return all(result.held for result in self.results)


def preview_revocation(target: Target, operator: Operator, reason: str) -> Outcome:
    """Return what `revoke` would do; nothing is changed."""
    steps = list_revocation_steps(target, operator, reason)
    return Outcome(tuple(preview_step(step) for step in steps), _tell_lasting(target, operator))


def revoke(target: Target, operator: Operator, reason: str, report: Callable[[StepResult], None]) -> Outcome:
    """Take the access of a workflow, or of one user of it, away; `report` gets each step's result as it comes.

    Steps after one that failed are tried all the same: in an emergency half is better than nothing.
    """
    results = []
    for step in list_revocation_steps(target, operator, reason):
        results.append(run_step(step))
        report(results[-1])
    return Outcome(tuple(results), _tell_lasting(target, operator))


def _tell_lasting(target: Target, operator: Operator) -> tuple[str, ...]:
    if not target.gated or operator.gate is not None:
        return target.lasting
    words = "requests for approval: executors end them when they next look (name the gate in NARROWGATE_GATE to see it)"
    return (*target.lasting, words)


def preview_restore(target: Target, operator: Operator) -> Outcome:
    """Return what `restore` would do; nothing is changed. Raise NotRevokedError or VaultRefusedError."""
    _require_revoked(target, RevocationRecords(operator.vault, target.records))
    place = f"{target.records}/{target.workflow}"
    if target.user is None:
        detail = f"lift the record {place}; the next deploy brings the login back"
        return Outcome((StepResult("record", held=True, detail=detail),))
    enable = StepResult("logins", held=True, detail=f"enable the entity of {target.user} on {target.auth_mount}")
    return Outcome((enable, StepResult("record", held=True, detail=f"lift the record {place}")))


def _require_revoked(target: Target, records: RevocationRecords) -> tuple[RevocationRecord, int]:
    record, version = records.read(target.workflow)
    revoked = record.whole if target.user is None else record.users.get(target.user)
    if revoked is None:
        whom = target.workflow if target.user is None else f"{target.user} at {target.workflow}"
        raise NotRevokedError(f"{whom} is not revoked.")
    return record, version


def restore(target: Target, operator: Operator, report: Callable[[StepResult], None]) -> Outcome:
    """Lift a revocation. A workflow's login comes back by the next deploy, a user's at once; what was cut stays cut.

    Raises:
        NotRevokedError: nothing of the kind is on record.
        VaultRefusedError: Vault refused the operator.

    """
    records = RevocationRecords(operator.vault, target.records)
    record, version = _require_revoked(target, records)
    results = []
    if target.user is not None:
        results.append(_admit(target, operator))
        report(results[-1])
    records.write(record.restore(target.user), version)
    lifted, _ = records.read(target.workflow)
    left = lifted.whole if target.user is None else lifted.users.get(target.user)
    if target.user is None:
        detail = "lifted: deploy the workflows (`pulumi up`) and its login is there again"
    else:
        detail = "lifted: the user may log in again"
    results.append(StepResult("record", held=left is None, detail=detail))
    report(results[-1])
    return Outcome(tuple(results))


def _admit(target: Target, operator: Operator) -> StepResult:
    entity = UserEntity(operator.vault, target.auth_mount, str(target.user))
    found = entity.find()
    if found is not None:
        entity.enable(str(found["id"]))
        found = entity.find()
    return StepResult(
        "logins", held=found is None or not found["disabled"], detail=f"the entity of {target.user} is enabled"
    )


def name_operator(vault: VaultOperator) -> str:
    """Return the name that Vault knows the operator by; it goes on record with what they do."""
    answer = vault.read("auth/token/lookup-self")
    data = answer["data"] if answer else {}
    return str(data.get("display_name") or data.get("entity_id") or "unknown")
