"""Compares two plans, or a plan with a lock, by what they mean: what the new one allows beyond the old one.

`compare_plans` never says wrongly that there is no new access: what it cannot decide, it reports as undecided, and
callers take that as new access. This module must not read files and must not print.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from narrowgate.access import words
from narrowgate.access.diff.changes import Change, Kind, PlanComparison
from narrowgate.access.diff.tools import ToolSide, compare_tool
from narrowgate.access.lock.values import AccessLock, Logins, VaultPlaces, lock_of
from narrowgate.plan import AccessPlan, Impact, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterator


def compare_plans(old: AccessPlan | AccessLock, new: AccessPlan | AccessLock) -> PlanComparison:
    """Return what `new` gains and loses over `old`, workflow by workflow, high impact first."""
    before, after = _lock(old), _lock(new)
    changes = list(_compare_environments(before, after))
    unchanged: list[str] = []
    old_workflows = {workflow.name: workflow for workflow in before.workflows}
    new_workflows = {workflow.name: workflow for workflow in after.workflows}
    old_databases, new_databases = dict(before.databases), dict(after.databases)
    moved = {t for t in old_databases.keys() | new_databases.keys() if old_databases.get(t) != new_databases.get(t)}
    for name in sorted(old_workflows.keys() | new_workflows.keys()):
        one, other = old_workflows.get(name), new_workflows.get(name)
        if one is not None and other is not None and _is_same(one, other, moved):
            unchanged.append(name)
            continue
        found = list(_compare_workflows(name, one, other, old_databases, new_databases))
        changes += found
        if not found:
            unchanged.append(name)
    return PlanComparison(before.environment, after.environment, tuple(sorted(changes, key=_rank)), tuple(unchanged))


def _lock(side: AccessPlan | AccessLock) -> AccessLock:
    return side if isinstance(side, AccessLock) else lock_of(side)


def _is_same(one: WorkflowAccess, other: WorkflowAccess, moved: set[str]) -> bool:
    if moved and any(tool.tool in moved for tool in (*one.tools, *other.tools)):
        return False
    return one is other or (one == other and repr(one) == repr(other))  # == takes 1 for true, repr does not


def _rank(change: Change) -> tuple[object, ...]:
    order = (Kind.GAIN, Kind.UNDECIDED, Kind.LOSS, Kind.NOTE)
    return (change.impact is not Impact.HIGH, change.workflow, order.index(change.kind), change.tool, change.actions)


# Environment ----------------------------------------------------------------------------------------------------------

_LOGIN_WORDS = {
    "issuer": "logins are signed by",
    "user_claim": "the user stands in the login at",
    "agent_claim": "the agent stands in the login at",
    "groups_claim": "the user's groups stand in the login at",
    "agent_prefix": "agents' names in logins begin with",
    "audience_prefix": "logins' audiences begin with",
}


def _compare_environments(old: AccessLock, new: AccessLock) -> Iterator[Change]:
    """Whoever signs logins or assumes roles holds every workflow's access: any change of it is new access."""
    if old.environment != new.environment:
        yield _of_all(Kind.NOTE, Impact.LOW, f"environment {new.environment} is compared with {old.environment}")
    if old.account != new.account:
        yield _of_all(Kind.GAIN, Impact.HIGH, f"roles stand in AWS account {new.account} rather than {old.account}")
    if old.broker != new.broker:
        yield _of_all(
            Kind.GAIN, Impact.HIGH, f"every role may be assumed by {new.broker or 'nobody'} rather than {old.broker}"
        )
    for field in fields(Logins):
        before, after = getattr(old.logins, field.name), getattr(new.logins, field.name)
        if before != after:
            text = f"{_LOGIN_WORDS[field.name]} {after} rather than {before}"
            yield _of_all(Kind.GAIN if field.name == "issuer" else Kind.UNDECIDED, Impact.HIGH, text)
    for field in fields(VaultPlaces):
        before, after = getattr(old.vault, field.name), getattr(new.vault, field.name)
        if before != after:
            place = field.name.replace("_", " ")
            text = f"Vault's {place} is {after or 'the root'} rather than {before or 'the root'}"
            yield _of_all(Kind.UNDECIDED, Impact.HIGH, text)


def _of_all(kind: Kind, impact: Impact, text: str) -> Change:
    return Change(kind, impact, "", "", (), text)


# Workflows ------------------------------------------------------------------------------------------------------------


def _compare_workflows(
    name: str,
    old: WorkflowAccess | None,
    new: WorkflowAccess | None,
    old_databases: dict[str, str],
    new_databases: dict[str, str],
) -> Iterator[Change]:
    if new is None:
        tools = ", ".join(_list_actions(old)) if old else ""
        yield _of_workflow(Kind.LOSS, name, f"is removed with all its access: {tools or 'none'}")
        return
    if old is None:
        asked = words.say_requesters(new.requesters)
        text = f"is a new workflow of {new.owner}, for {asked}, with sessions of {_session(new)}: {new.purpose}"
        yield _of_workflow(Kind.GAIN, name, text)
    else:
        yield from _compare_headers(old, new)
    old_tools: dict[str, ToolAccess] = {tool.tool: tool for tool in old.tools} if old else {}
    new_tools = {tool.tool: tool for tool in new.tools}
    for tool in sorted(old_tools.keys() | new_tools.keys()):
        before = ToolSide(old_tools.get(tool), old_databases.get(tool))
        after = ToolSide(new_tools.get(tool), new_databases.get(tool))
        found = list(compare_tool(name, tool, before, after))
        yield from found
        if old is not None:
            yield from _note_tool(name, before.access, after.access)
            yield from _note_actions(name, tool, before, after, {action for c in found for action in c.actions})


def _session(workflow: WorkflowAccess) -> str:
    return words.say_times(workflow.ttl_seconds, workflow.max_ttl_seconds)


def _list_actions(workflow: WorkflowAccess) -> list[str]:
    return [f"{tool.tool}.{action.name}" for tool in workflow.tools for action in tool.actions]


def _of_workflow(kind: Kind, workflow: str, text: str) -> Change:
    return Change(kind, Impact.LOW, workflow, "", (), text)


def _compare_headers(old: WorkflowAccess, new: WorkflowAccess) -> Iterator[Change]:
    name = new.name
    yield from _compare_requesters(name, old.requesters, new.requesters)
    for kind, more, less in ((Kind.GAIN, new, old), (Kind.LOSS, old, new)):
        if more.ttl_seconds > less.ttl_seconds or more.max_ttl_seconds > less.max_ttl_seconds:
            yield _of_workflow(kind, name, f"sessions last {_session(new)} rather than {_session(old)}")
    if old.identity != new.identity:
        text = f"logs in by {new.identity} rather than by {old.identity}"
        yield Change(Kind.UNDECIDED, Impact.HIGH, name, "", (), text)
    for label, before, after in (("owner", old.owner, new.owner), ("purpose", old.purpose, new.purpose)):
        if before != after:
            yield _of_workflow(Kind.NOTE, name, f"its {label} is now: {after} (was: {before})")


def _compare_requesters(name: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    for kind, more, less, verb in ((Kind.GAIN, new, old, "may"), (Kind.LOSS, old, new, "may no longer")):
        if added := sorted(set(more) - set(less)):
            yield _of_workflow(kind, name, f"{verb} be asked by {words.say_requesters(added)}")
        if less and not more:
            yield _of_workflow(kind, name, f"{verb} act for no user, on its own")


def _note_actions(workflow: str, tool: str, old: ToolSide, new: ToolSide, said: set[str]) -> Iterator[Change]:
    """Name actions that come or go without a change of what the tool's credentials can do."""
    before, after = (_action_names(side.access) for side in (old, new))
    for names, text in (
        (after - before, "is a new action that grants nothing more"),
        (before - after, "is removed; all that it granted is granted by other actions too"),
    ):
        if left := tuple(sorted(names - said)):
            yield Change(Kind.NOTE, Impact.LOW, workflow, tool, left, text)


def _action_names(tool: ToolAccess | None) -> set[str]:
    return {action.name for action in tool.actions} if tool is not None else set()


def _note_tool(workflow: str, old: ToolAccess | None, new: ToolAccess | None) -> Iterator[Change]:
    if old is None or new is None:
        return
    if old.backend is not new.backend:
        text = f"its credentials come from {new.backend} rather than from {old.backend}"
        yield Change(Kind.NOTE, Impact.LOW, workflow, new.tool, (), text)
    if old.scope != new.scope:
        text = f"its declared scope is now {new.scope} (was {old.scope})"
        yield Change(Kind.NOTE, Impact.LOW, workflow, new.tool, (), text)
    known = {action.name: action for action in old.actions}
    for action in new.actions:
        before = known.get(action.name)
        if before is not None and (before.access, before.impact) != (action.access, action.impact):
            text = f"is described as {action.access}, {action.impact} impact (was {before.access}, {before.impact})"
            yield Change(Kind.NOTE, Impact.LOW, workflow, new.tool, (action.name,), text)
