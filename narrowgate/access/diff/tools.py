"""Compares one tool of one workflow: the agent's own role, and each gated action's.

Comparing is one-sided: it says what `new` has beyond `old`. Swapped, the same says what is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.access import words
from narrowgate.access.diff.approvals import is_as_strict
from narrowgate.access.diff.changes import Change, Kind
from narrowgate.access.diff.phrases import phrase_missing
from narrowgate.access.diff.roles import Missing, Role, find_missing
from narrowgate.plan import Access, ActionAccess, Impact, ToolAccess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class ToolSide:
    """One side of the comparison: a tool's access (None where the workflow has no such tool) and its database."""

    access: ToolAccess | None
    database: str | None

    @property
    def granted(self) -> tuple[ActionAccess, ...]:
        """Return the actions that the agent may call itself."""
        return self.access.granted if self.access else ()

    @property
    def gated(self) -> tuple[ActionAccess, ...]:
        """Return the actions that need an approval."""
        return self.access.gated if self.access else ()

    def agent_role(self) -> Role:
        """Return the role behind the credentials that the agent itself holds."""
        return Role.of(self.granted, self.database)

    def gated_role(self, action: ActionAccess) -> Role:
        """Return the role of one gated action."""
        return Role.of((action,), self.database)


def compare_tool(workflow: str, tool: str, old: ToolSide, new: ToolSide) -> Iterator[Change]:
    """Yield what the tool of the workflow gains and loses."""
    yield from _Pass(workflow, tool, Kind.GAIN).run(new, old)
    yield from _Pass(workflow, tool, Kind.LOSS).run(old, new)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One direction: all that `more` has beyond `less` becomes a change of `kind` (GAIN or LOSS)."""

    workflow: str
    tool: str
    kind: Kind

    def run(self, more: ToolSide, less: ToolSide) -> Iterator[Change]:
        yield from self._times(more, less)
        gated_in_less = {action.name: action for action in less.gated}
        freed = [action for action in more.granted if action.name in gated_in_less]
        for action in freed:
            yield self._freed(action, gated_in_less[action.name])
        yield from self._agent(more, less, {action.name for action in freed})
        for action in more.gated:
            yield from self._gated(action, more, less)

    def _times(self, more: ToolSide, less: ToolSide) -> Iterator[Change]:
        if more.access is None or less.access is None:
            return
        times = (more.access.ttl_seconds, more.access.max_ttl_seconds)
        others = (less.access.ttl_seconds, less.access.max_ttl_seconds)
        if any(time > other for time, other in zip(times, others, strict=True)):
            now, before = (times, others) if self.kind is Kind.GAIN else (others, times)
            text = f"credentials last {words.say_times(*now)} rather than {words.say_times(*before)}"
            yield Change(self.kind, Impact.LOW, self.workflow, self.tool, (), text)

    def _freed(self, action: ActionAccess, gated: ActionAccess) -> Change:
        approval = words.say_approval(gated.approval)
        verb = "no longer needs" if self.kind is Kind.GAIN else "needs from now on"
        return Change(self.kind, Impact.HIGH, self.workflow, self.tool, (action.name,), f"{verb} {approval}")

    def _agent(self, more: ToolSide, less: ToolSide, freed: set[str]) -> Iterator[Change]:
        role = more.agent_role()
        missing = [m for m in find_missing(role, less.agent_role()) if not freed.issuperset(role.items[m.item])]
        yield from self._changes(missing, role, more.granted, "")

    def _gated(self, action: ActionAccess, more: ToolSide, less: ToolSide) -> Iterator[Change]:
        same = next((o for o in less.gated if o.name == action.name), None)
        if same is not None:
            yield from self._execution(action, same)
        role = more.gated_role(action)
        bases = [less.agent_role()]
        bases += [less.gated_role(o) for o in less.gated if is_as_strict(action.approval, o.approval)]
        if any(not find_missing(role, base) for base in bases):
            return
        if same is not None and not is_as_strict(action.approval, same.approval):
            yield self._looser(action, same)
        base = less.gated_role(same) if same is not None else less.agent_role()
        prefix = f"after {words.say_approval(action.approval)}: "
        yield from self._changes(find_missing(role, base), role, (action,), prefix)

    def _execution(self, action: ActionAccess, other: ActionAccess) -> Iterator[Change]:
        """Yield how it is carried out, where that differs: nobody can prove that another way does no more."""
        mine, theirs = action.execution, other.execution
        if mine is None or mine == theirs:
            return
        told = (Impact.HIGH, self.workflow, self.tool, (action.name,))
        if theirs is None:
            verb = "can be" if self.kind is Kind.GAIN else "can no longer be"
            yield Change(self.kind, *told, f"{verb} carried out after its approval, {words.say_execution(mine)}")
        elif self.kind is Kind.GAIN:
            text = f"is carried out {words.say_execution(mine)} rather than {words.say_execution(theirs)}"
            yield Change(Kind.UNDECIDED, *told, text)

    def _looser(self, action: ActionAccess, other: ActionAccess) -> Change:
        now, before = (action, other) if self.kind is Kind.GAIN else (other, action)
        text = f"needs {words.say_approval(now.approval)} rather than {words.say_approval(before.approval)}"
        return Change(self.kind, Impact.HIGH, self.workflow, self.tool, (action.name,), text)

    def _changes(
        self, missing: Iterable[Missing], role: Role, actions: tuple[ActionAccess, ...], prefix: str
    ) -> Iterator[Change]:
        by_name = {action.name: action for action in actions}
        for phrase in phrase_missing(missing, role):
            kind = self.kind if phrase.decided or self.kind is Kind.LOSS else Kind.UNDECIDED
            impact = _impact_of(by_name[name] for name in phrase.actions)
            yield Change(kind, impact, self.workflow, self.tool, phrase.actions, prefix + phrase.text, phrase.witness)


def _impact_of(actions: Iterable[ActionAccess]) -> Impact:
    high = (a.impact is Impact.HIGH or a.access in (Access.DELETE, Access.PERMISSIONS) for a in actions)
    return Impact.HIGH if any(high) else Impact.LOW
