"""The access review: who has what, through which tool, gated or not, last used, whose, and accepted by which commit.

It reads the plan, the committed lock's history and what was used; it must not judge whether access is right.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.access.words import say_approval, say_grant
from narrowgate.declarations.source import read_source
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.audit.usage import Usage
    from narrowgate.plan import AccessPlan, ActionAccess, ToolAccess, WorkflowAccess

UNKNOWN: Final = "unknown"
NOT_COMMITTED: Final = "not committed"
NOT_ACCEPTED: Final = "not in the lock"
GIT_SECONDS: Final = 60
_HEADER: Final = re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)")


class HistoryError(NarrowgateError):
    """Git cannot tell who accepted what; never an answer about access."""

    code = "history-unreadable"
    hint = "Run it in a full clone: a shallow one names the wrong commits (git fetch --unshallow)."
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that last changed some lines: `id`, who wrote it, when (Unix seconds), its first line.

    `age` counts the commits of the file after it: times can lie, and two commits can have the same.
    """

    id: str
    author: str
    time: int
    summary: str
    age: int


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One action that one workflow has."""

    environment: str
    workflow: str
    owner: str
    purpose: str
    requesters: tuple[str, ...]
    tool: str
    backend: str
    action: str
    access: str
    impact: str
    gated: bool
    approval: str
    grants: tuple[str, ...]
    last_used: str
    commit: str
    accepted: str


def review_access(plan: AccessPlan, lock: Path, usage: Usage | None) -> list[ReviewRow]:
    """Return every action of `plan`, with the commit that last changed it in the file `lock`.

    `usage` None: no source was given, so no last use is known. Raises HistoryError, DeclarationError.
    """
    blocks = find_blocks(lock)
    commits = read_blame(lock)
    rows = []
    for workflow in plan.workflows:
        for tool in workflow.tools:
            for action in tool.actions:
                block = blocks.get((workflow.name, tool.tool, action.name))
                rows.append(_make_row(plan, workflow, tool, action, usage, _find_commit(block, commits)))
    return rows


def _make_row(  # noqa: PLR0913, PLR0917 - a row's parts
    plan: AccessPlan,
    workflow: WorkflowAccess,
    tool: ToolAccess,
    action: ActionAccess,
    usage: Usage | None,
    commit: Commit | str,
) -> ReviewRow:
    database = plan.environment.binding(tool.tool).get("database")
    used = usage.last_use(workflow.name, tool.tool, action.name) if usage is not None else ""
    return ReviewRow(
        environment=plan.environment.name,
        workflow=workflow.name,
        owner=workflow.owner,
        purpose=workflow.purpose,
        requesters=workflow.requesters,
        tool=tool.tool,
        backend=tool.backend.value,
        action=action.name,
        access=action.access.value,
        impact=action.impact.value,
        gated=action.gated,
        approval=say_approval(action.approval) if action.gated else "",
        grants=tuple(say_grant(grant, None if database is None else str(database)) for grant in action.grants),
        last_used=used or UNKNOWN,
        commit=commit if isinstance(commit, str) else commit.id,
        accepted="" if isinstance(commit, str) else _say_commit(commit),
    )


def _say_commit(commit: Commit) -> str:
    import datetime as dt

    day = dt.datetime.fromtimestamp(commit.time, dt.UTC).strftime("%Y-%m-%d")
    return f"{day} {commit.author}: {commit.summary}"


def _find_commit(block: range | None, commits: dict[int, Commit]) -> Commit | str:
    """Return the newest commit of a block's lines, or why there is none."""
    if block is None:
        return NOT_ACCEPTED
    found = [commits[line] for line in block if line in commits]
    if len(found) < len(block) or any(set(commit.id) == {"0"} for commit in found):
        return NOT_COMMITTED
    return min(found, key=lambda commit: commit.age)


def find_blocks(lock: Path) -> dict[tuple[str, str, str], range]:
    """Return the lines of each action in a lock's file, from its name to the end of its grants."""
    source = read_source(lock)
    lines = source.text.splitlines()
    blocks = {}
    workflows = source.value.get("workflows") or {}
    for workflow, body in workflows.items():
        for tool, held in (body.get("tools") or {}).items():
            for action in held.get("actions") or {}:
                place = source.locate(("workflows", workflow, "tools", tool, "actions", action), key=True)
                end = place.line
                while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) >= place.column):
                    end += 1
                blocks[workflow, tool, action] = range(place.line, end + 1)
    return blocks


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def read_blame(path: Path) -> dict[int, Commit]:
    """Return the commit that last changed each line of a file; raise HistoryError where git cannot tell."""
    if _git(path, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise HistoryError("This is a shallow clone, which does not know who accepted what.")
    order = {commit: age for age, commit in enumerate(_git(path, "rev-list", "HEAD", "--", path.name).split())}
    commits: dict[str, Commit] = {}
    lines: dict[int, str] = {}
    fields: dict[str, str] = {}
    current = ""
    for text in _git(path, "blame", "--porcelain", "--", path.name).splitlines():
        header = _HEADER.match(text)
        if text.startswith("\t"):
            commits.setdefault(
                current,
                Commit(
                    current,
                    fields.get("author", ""),
                    int(fields.get("author-time") or 0),
                    fields.get("summary", ""),
                    order.get(current, len(order)),
                ),
            )
        elif header:
            current, fields = header[1], {}
            lines[int(header[2])] = current
        else:
            name, _, value = text.partition(" ")
            fields[name] = value
    return {line: commits[commit] for line, commit in lines.items()}


def _git(path: Path, *arguments: str) -> str:
    command = ["git", "--no-pager", "-C", str(path.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=GIT_SECONDS)  # noqa: S603 - a list
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryError(f"git cannot be run: {error}") from error
    if done.returncode:
        raise HistoryError(f"git: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")
