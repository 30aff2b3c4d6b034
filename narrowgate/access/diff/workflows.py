"""Compares one workflow: who may log in as it, whom it acts for, for how long, and each of its tools.

This module must not know the workflows beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from narrowgate.access import words
from narrowgate.access.diff.changes import Change, Kind
from narrowgate.access.diff.tools import ToolSide, compare_tool
from narrowgate.plan import Impact, ToolAccess, WorkflowAccess, WorkflowBinding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class WorkflowSide:
    """One side: a workflow's access (None where there is none), who its agent is, and each tool's database."""

    access: WorkflowAccess | None
    agent: WorkflowBinding
    databases: Mapping[str, str] = field(default_factory=dict)

    def is_same(self, other: WorkflowSide) -> bool:
        """Say whether both sides are equal to the letter."""
        one, two = self.access, other.access
        if one is None or two is None or self.agent != other.agent:
            return False
        if any(self.databases.get(t.tool) != other.databases.get(t.tool) for t in (*one.tools, *two.tools)):
            return False
        return one is two or (one == two and repr(one) == repr(two))  # == takes 1 for true, repr does not

    def tool(self, name: str) -> ToolSide:
        """Return this side of one tool."""
        tools = self.access.tools if self.access is not None else ()
        return ToolSide(next((tool for tool in tools if tool.tool == name), None), self.databases.get(name))


NO_WORKFLOW: Final = WorkflowSide(None, WorkflowBinding(""))


def compare_workflow(name: str, old: WorkflowSide, new: WorkflowSide) -> Iterator[Change]:
    """Yield what the workflow gains and loses."""
    before, after = old.access, new.access
    if after is None:
        tools = ", ".join(_list_actions(before)) if before else ""
        yield _of_workflow(Kind.LOSS, name, f"is removed with all its access: {tools or 'none'}")
        return
    if before is None:
        asked = words.say_requesters(after.requesters)
        text = f"is a new workflow of {after.owner}, for {asked}, with sessions of {_session(after)}: {after.purpose}"
        yield _of_workflow(Kind.GAIN, name, text)
    else:
        yield from _compare_headers(before, after)
        yield from _compare_agents(name, old.agent, new.agent)
    tools_before = before.tools if before else ()
    for tool in sorted({entry.tool for entry in (*tools_before, *after.tools)}):
        one, other = old.tool(tool), new.tool(tool)
        found = list(compare_tool(name, tool, one, other))
        yield from found
        if before is not None:
            yield from _note_tool(name, one.access, other.access)
            yield from _note_actions(name, tool, one, other, {action for c in found for action in c.actions})


def _compare_agents(name: str, old: WorkflowBinding, new: WorkflowBinding) -> Iterator[Change]:
    """Compare who may log in as the workflow, where its platform says so: anybody else is new access."""
    for label, before, after in (
        ("service account", _service_account(old), _service_account(new)),
        ("IAM principal", old.principal_arn, new.principal_arn),
    ):
        if before != after:
            text = f"its agent is the {label} {after or 'none'} rather than {before or 'none'}"
            yield Change(Kind.GAIN, Impact.HIGH, name, "", (), text)
    if old.cidrs != new.cidrs:
        kind = Kind.LOSS if _are_networks_within(new.cidrs, old.cidrs) else Kind.GAIN
        text = f"its agent logs in from {words.join_words(new.cidrs or ('anywhere',), 'or')} rather than "
        yield Change(kind, Impact.HIGH, name, "", (), text + words.join_words(old.cidrs or ("anywhere",), "or"))


def _service_account(agent: WorkflowBinding) -> str | None:
    return f"{agent.namespace}/{agent.service_account}" if agent.namespace or agent.service_account else None


def _are_networks_within(narrow: tuple[str, ...], wide: tuple[str, ...]) -> bool:
    """Say whether every address of `narrow` is one of `wide`; no network at all means every address."""
    if not wide or not narrow:
        return not wide
    try:
        inner, outer = [ip_network(n, strict=False) for n in narrow], [ip_network(n, strict=False) for n in wide]
    except ValueError:
        return False
    return all(any(n.version == o.version and n.subnet_of(o) for o in outer) for n in inner)  # type: ignore[arg-type] # of one version, as subnet_of wants


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
