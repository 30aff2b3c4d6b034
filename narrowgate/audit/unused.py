"""Which declared actions nobody used since a time, as far as the sources can know; what they can't is never "unused".

That an action was not used is known where no credential for its tool was issued (Vault's log), or where every
credential that was is one whose calls the ledger has, and each of them is some other action's. A gated action was not
used where nobody proposed it. Credentials that leave no lease (bearer, kv, pki) leave nothing to tell by.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from narrowgate.audit.trace.events import Source, format_moment
from narrowgate.plan import Backend

if TYPE_CHECKING:
    from narrowgate.audit.usage import Usage
    from narrowgate.plan import AccessPlan, ActionAccess, ToolAccess

# Logs are often handed over once a day: the last day may be missing at a source's end.
FRESH: Final = dt.timedelta(days=1)
LEASED: Final = frozenset({Backend.AWS, Backend.POSTGRES})


class Verdict(StrEnum):
    """What is known about an action's use in the period."""

    USED = "used"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about one action, why, and when it was last seen in use (empty: never in these sources)."""

    workflow: str
    tool: str
    action: str
    gated: bool
    verdict: Verdict
    why: str
    last_used: str


def find_unused(plan: AccessPlan, usage: Usage, since: dt.datetime, now: dt.datetime) -> list[Answer]:
    """Return an answer for each action of `plan`, for the time from `since` to `now`."""
    return [
        _Judge(usage, tool, since, now).decide(action)
        for workflow in plan.workflows
        for tool in workflow.tools
        for action in tool.actions
    ]


def _spell(moment: dt.datetime) -> str:
    return format_moment(moment.astimezone(dt.UTC).isoformat())


class _Judge:
    """What the sources know about one tool. A credential that was issued before the period may serve in it."""

    def __init__(self, usage: Usage, tool: ToolAccess, since: dt.datetime, now: dt.datetime) -> None:
        self._usage, self._tool = usage, tool
        self._since = _spell(since)
        self._start = _spell(since - dt.timedelta(seconds=tool.max_ttl_seconds))
        self._vault = usage.covers(Source.VAULT, self._start, _spell(now - FRESH))
        self._ledger = usage.covers(Source.LEDGER, self._start, _spell(now - FRESH))

    def decide(self, action: ActionAccess) -> Answer:
        tool = self._tool
        last = self._usage.last_use(tool.workflow, tool.tool, action.name)
        verdict, why = (Verdict.USED, "") if last >= self._since else self._decide_unseen(action)
        return Answer(tool.workflow, tool.tool, action.name, action.gated, verdict, why, last)

    def _decide_unseen(self, action: ActionAccess) -> tuple[Verdict, str]:
        if not self._vault:
            return Verdict.UNKNOWN, "Vault's audit log was not given, or does not cover the period"
        if action.gated:
            return Verdict.UNUSED, "nobody proposed it"
        if self._tool.backend not in LEASED:
            return Verdict.UNKNOWN, f"credentials of {self._tool.backend.value} leave no lease to tell by"
        key = (self._tool.workflow, self._tool.tool)
        if max(self._usage.tools.get(key, ""), self._usage.unplaced.get(key, "")) < self._start:
            return Verdict.UNUSED, "no credential for its tool was issued"
        return self._decide_within(key)

    def _decide_within(self, key: tuple[str, str]) -> tuple[Verdict, str]:
        """Decide for a tool that was used: by what its calls were, if all of them are known."""
        if not self._ledger:
            return Verdict.UNKNOWN, "its tool was used, and no ledger that covers the period tells how"
        if self._usage.unplaced.get(key, "") >= self._start:
            return Verdict.UNKNOWN, "its tool had calls that no single action accounts for, or that no ledger has"
        leases = [lease for lease, (of, time) in self._usage.leases.items() if of == key and time >= self._start]
        if not leases or any(lease not in self._usage.recorded for lease in leases):
            return Verdict.UNKNOWN, "credentials for its tool were issued whose calls no ledger has"
        return Verdict.UNUSED, "its tool's calls, all of them in the ledger, were others"
