"""Compares two plans, or a plan with a lock, by what they mean: what the new one allows beyond the old one.

`compare_plans` never says wrongly that there is no new access: what it cannot decide, it reports as undecided, and
callers take that as new access. This module must not read files and must not print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.access.diff.changes import Change, Kind, PlanComparison
from narrowgate.access.diff.workflows import NO_WORKFLOW, WorkflowSide, compare_workflow
from narrowgate.access.lock.facts import FACTS
from narrowgate.access.lock.values import AccessLock, lock_of
from narrowgate.plan import AccessPlan, Impact, RuleException, WorkflowBinding

if TYPE_CHECKING:
    from collections.abc import Iterator


def compare_plans(old: AccessPlan | AccessLock, new: AccessPlan | AccessLock) -> PlanComparison:
    """Return what `new` gains and loses over `old`, workflow by workflow, high impact first."""
    before, after = _lock(old), _lock(new)
    changes = [*_compare_environments(before, after), *_compare_exceptions(before.exceptions, after.exceptions)]
    unchanged: list[str] = []
    sides, others = _sides_of(before), _sides_of(after)
    for name in sorted(sides.keys() | others.keys()):
        one, other = sides.get(name, NO_WORKFLOW), others.get(name, NO_WORKFLOW)
        found = [] if one.is_same(other) else list(compare_workflow(name, one, other))
        changes += found
        if not found:
            unchanged.append(name)
    return PlanComparison(before.environment, after.environment, tuple(sorted(changes, key=_rank)), tuple(unchanged))


def _sides_of(lock: AccessLock) -> dict[str, WorkflowSide]:
    databases = dict(lock.databases)
    agents = {agent.workflow: agent for agent in lock.agents}
    return {w.name: WorkflowSide(w, agents.get(w.name, WorkflowBinding(w.name)), databases) for w in lock.workflows}


def _lock(side: AccessPlan | AccessLock) -> AccessLock:
    return side if isinstance(side, AccessLock) else lock_of(side)


def _rank(change: Change) -> tuple[object, ...]:
    order = (Kind.GAIN, Kind.UNDECIDED, Kind.LOSS, Kind.NOTE)
    return (change.impact is not Impact.HIGH, change.workflow, order.index(change.kind), change.tool, change.actions)


def _compare_environments(old: AccessLock, new: AccessLock) -> Iterator[Change]:
    """Compare what holds for every workflow: any change of it is new access, since nobody can prove that it is none."""
    if old.environment != new.environment:
        yield _of_all(Kind.NOTE, Impact.LOW, f"environment {new.environment} is compared with {old.environment}")
    for fact, (_, before), (_, after) in zip(FACTS, old.facts, new.facts, strict=True):
        if before != after:
            text = f"{fact.words} {after or 'none'} rather than {before or 'none'}"
            yield _of_all(Kind.GAIN if fact.gains and after else Kind.UNDECIDED, Impact.HIGH, text)


def _compare_exceptions(old: tuple[RuleException, ...], new: tuple[RuleException, ...]) -> Iterator[Change]:
    """Compare exceptions from rules: a further one, or one that lasts longer, may let anything through."""
    before, after = ({(e.rule, e.resource): e for e in side} for side in (old, new))
    for key, exception in after.items():
        known = before.get(key)
        what = f"{exception.resource} need not keep {exception.rule} until {exception.expires}"
        why = f"{exception.owner} answers for it: {exception.reason}"
        if known is None:
            yield _of_all(Kind.GAIN, Impact.HIGH, f"{what}; {why}")
        elif known.expires != exception.expires:
            longer = exception.expires > known.expires
            kind = Kind.GAIN if longer else Kind.LOSS
            yield _of_all(kind, Impact.HIGH, f"{what} rather than {known.expires}; {why}")
        elif known != exception:
            yield _of_all(Kind.NOTE, Impact.LOW, f"{what}: {why} (was: {known.owner}: {known.reason})")
    for key, exception in before.items():
        if key not in after:
            text = f"{exception.resource} must keep {exception.rule} again"
            yield _of_all(Kind.LOSS, Impact.HIGH, text)


def _of_all(kind: Kind, impact: Impact, text: str) -> Change:
    return Change(kind, impact, "", "", (), text)
