"""When was each declared action last used, as far as ledgers, Vault's audit log and CloudTrail tell? Pure reading.

A source tells of what it covers, from its first record to its last; that nothing is missing in between is its keeper's
promise. An AWS event is one action's use where exactly one declared action of the tool allows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from narrowgate.audit.ledger.operations import iam_action, match_iam
from narrowgate.audit.trace.events import Event, Source, read_event
from narrowgate.audit.trace.search import read_time
from narrowgate.audit.trace.sources import parse_record, read_raw
from narrowgate.compile.names import vault_role_name
from narrowgate.compile.words import describe_grant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from narrowgate.audit.trace.search import Sources
    from narrowgate.plan import AccessPlan

# What stands in every line that may tell of a use.
MARKS: Final = {
    Source.LEDGER: (b'"kind":"call"', b'"kind":"begin"', b'"kind":"lease"'),
    Source.VAULT: (b"/sts/", b"/creds/", b"drafts/data/"),
    Source.CLOUDTRAIL: (b":role/narrowgate/",),
}
K = TypeVar("K")
TOOL = tuple[str, str]
ACTION = tuple[str, str, str]


@dataclass(slots=True)
class Usage:
    """The last use of each (workflow, tool, action) and of each (workflow, tool), by time; the rest was not seen.

    `unplaced` are tools with calls that no single action accounts for, or whose calls are in no ledger; `drafts` are
    gated actions that were proposed. `leases` counts each tool's leases by Vault, `recorded` those that a ledger tells.
    """

    actions: dict[ACTION, str] = field(default_factory=dict)
    tools: dict[TOOL, str] = field(default_factory=dict)
    drafts: dict[ACTION, str] = field(default_factory=dict)
    unplaced: dict[TOOL, str] = field(default_factory=dict)
    leases: dict[str, tuple[TOOL, str]] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    periods: dict[Source, tuple[str, str]] = field(default_factory=dict)

    def last_use(self, workflow: str, tool: str, action: str) -> str:
        """Return when an action was last used or proposed, an empty text where no source tells."""
        key = (workflow, tool, action)
        return max(self.actions.get(key, ""), self.drafts.get(key, ""))

    def covers(self, source: Source, since: str, until: str) -> bool:
        """Tell whether a source has records from before `since`, and from `until` or later."""
        first, last = self.periods.get(source, ("~", ""))
        return first <= since and last >= until


def read_usage(sources: Sources, plan: AccessPlan) -> Usage:
    """Return what `sources` tell about the use of `plan`'s actions. Raises SourceError."""
    usage = Usage()
    granted = {
        (workflow.name, tool.tool): {a.name: [describe_grant(g) for g in a.grants] for a in tool.granted}
        for workflow in plan.workflows
        for tool in workflow.tools
    }
    roles = {vault_role_name(*tool): tool for tool in granted}
    for source in Source:
        for path in sources.files(source):
            for event in _read(source, path, plan.environment.name, usage):
                _take(event, _find_tool(event, roles), granted, usage)
    return usage


def _read(source: Source, path: Path, environment: str, usage: Usage) -> Iterator[Event]:
    """Yield what a file tells of uses in `environment`, and note which time the file covers."""
    marks, line = MARKS[source], b""
    for number, line in read_raw(path):
        if number == 1:
            _extend(usage, source, read_time(line))
        if any(mark in line for mark in marks):
            record = parse_record(line, path, number)
            if source is Source.LEDGER and record.get("environment") != environment:
                continue
            event = read_event(source, record, f"{path}:{number}")
            if event is not None:
                yield event
    if line:
        _extend(usage, source, read_time(line))


def _extend(usage: Usage, source: Source, time: str) -> None:
    if time:
        first, last = usage.periods.get(source, (time, time))
        usage.periods[source] = (min(first, time), max(last, time))


def _find_tool(event: Event, roles: dict[str, TOOL]) -> TOOL:
    """Return whose tool an event is about, by the Vault role in its path or session: a long one is shortened."""
    role = event.operation.rpartition("/")[2] if event.source is Source.VAULT else event.session.partition("@")[0]
    return roles.get(role, (event.workflow, event.tool))


def _take(event: Event, tool: TOOL, granted: dict[TOOL, dict[str, list[str]]], usage: Usage) -> None:
    """Count one event. A gated credential's own calls tell nothing: its execution's record does."""
    if event.kind == "draft" and event.outcome == "allowed":
        _note(usage.drafts, (*tool, event.action), event.time)
    elif event.kind == "lease" and event.outcome == "allowed" and not event.gated:
        _note(usage.tools, tool, event.time)
        if event.source is Source.VAULT and event.lease:
            usage.leases[event.lease] = (tool, event.time)
        elif event.recorded is True:
            usage.recorded.add(event.lease)
        elif event.recorded is False:
            _note(usage.unplaced, tool, event.time)
    elif event.kind == "call" and event.outcome != "refused":
        _take_call(event, tool, granted, usage)


def _take_call(event: Event, tool: TOOL, granted: dict[TOOL, dict[str, list[str]]], usage: Usage) -> None:
    action = event.action
    if event.source is Source.CLOUDTRAIL:
        if event.gated or tool not in granted:
            return
        service, _, operation = event.operation.partition(":")
        action = match_iam(iam_action(service, operation), granted[tool]) or ""
    _note(usage.tools, tool, event.time)
    if action:
        _note(usage.actions, (*tool, action), event.time)
    else:
        _note(usage.unplaced, tool, event.time)


def _note(times: dict[K, str], key: K, time: str) -> None:
    times[key] = max(times.get(key, ""), time)
