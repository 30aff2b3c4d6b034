"""What is called unused, what is not, and the edit that removes it: over the committed declarations."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from trace_records import Logs

from narrowgate.audit.edits import Edit, remove_actions
from narrowgate.audit.unused import Answer, Verdict, find_unused
from narrowgate.audit.usage import read_usage
from narrowgate.cli import main
from narrowgate.declarations import load_environment, read_declarations
from narrowgate.declarations.source import parse_source

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = "ticket-drafting"
NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
SINCE = NOW - dt.timedelta(days=90)
LEASE = "narrowgate-database/creds/ticket-drafting.tickets/abc"


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Give logs that cover the last hundred days, and in which nothing of an agent stands."""
    found = Logs(tmp_path)
    found.entry("opened", 1, time="2025-10-01T00:00:00.000000Z")
    found.answer("sys/health", 1)
    found.vault[0]["time"] = "2025-10-01T00:00:00Z"
    return found


def close(logs: Logs) -> Logs:
    logs.entry("note", 59)
    logs.answer("sys/health", 59)
    return logs


def answers(stacks: Path, logs: Logs, *without: str) -> dict[tuple[str, str, str], Answer]:
    plan = read_declarations(stacks).plan(load_environment(stacks, "dev"))
    usage = read_usage(close(logs).write(without=("trail", *without)), plan)
    return {(a.workflow, a.tool, a.action): a for a in find_unused(plan, usage, SINCE, NOW)}


def issue(logs: Logs, second: int = 2, *, recorded: bool | None = True) -> None:
    """Have Vault issue a credential for tickets, and the ledger tell of it unless `recorded` is None."""
    response = {"secret": {"lease_id": LEASE}, "data": {"username": "login-1"}}
    policies = ["agent.ticket-drafting"]
    logs.answer(
        "narrowgate-database/creds/ticket-drafting.tickets",
        second,
        response=response,
        policies=policies,
        display="agents-ticket-drafting-sam",
    )
    if recorded is not None:
        own: dict[str, Any] = {"workflow": WORKFLOW, "tool": "tickets", "outcome": "allowed"}
        logs.entry("lease", second, **own, lease={"id": LEASE}, recorded=recorded)


def use(logs: Logs, action: str | None, second: int = 3) -> None:
    more = {"action": action} if action else {}
    logs.entry("call", second, workflow=WORKFLOW, tool="tickets", outcome="allowed", lease={"id": LEASE}, **more)


def test_without_any_credential_a_tool_was_not_used(stacks: Path, logs: Logs) -> None:
    found = answers(stacks, logs)
    assert found[WORKFLOW, "tickets", "draft"].verdict is Verdict.UNUSED
    assert found["vendor-onboarding", "vendors", "create"].why == "nobody proposed it"
    assert found["nightly-reconciliation", "payments", "read"].verdict is Verdict.UNKNOWN


def test_beside_a_used_action_another_one_is_unused_where_all_calls_are_known(stacks: Path, logs: Logs) -> None:
    issue(logs)
    use(logs, "draft")
    found = answers(stacks, logs)
    assert found[WORKFLOW, "tickets", "draft"].verdict is Verdict.USED
    assert found[WORKFLOW, "tickets", "read"].verdict is Verdict.UNUSED


@pytest.mark.parametrize("case", ["exported", "no ledger entry", "unplaced call", "no ledger at all"])
def test_where_a_call_may_be_unknown_nothing_is_called_unused(stacks: Path, logs: Logs, case: str) -> None:
    issue(logs, recorded={"exported": False, "no ledger entry": None}.get(case, True))
    use(logs, "draft")
    if case == "unplaced call":
        use(logs, None, 4)
    found = answers(stacks, logs, *(["ledger"] if case == "no ledger at all" else []))
    assert found[WORKFLOW, "tickets", "read"].verdict is Verdict.UNKNOWN, found[WORKFLOW, "tickets", "read"]


@pytest.mark.parametrize("first", [True, False])
def test_a_log_that_begins_late_or_ends_early_makes_nothing_unused(stacks: Path, logs: Logs, *, first: bool) -> None:
    logs.vault[0]["time"] = "2025-12-01T00:00:00Z" if first else "2025-10-01T00:00:00Z"
    plan = read_declarations(stacks).plan(load_environment(stacks, "dev"))
    sources = (close(logs) if first else logs).write(without=("trail",))
    found = find_unused(plan, read_usage(sources, plan), SINCE, NOW)
    assert {answer.verdict for answer in found} == {Verdict.UNKNOWN}


def test_a_credential_from_just_before_the_period_may_still_serve_in_it(stacks: Path, logs: Logs) -> None:
    issue(logs, recorded=None)
    logs.vault[-1]["time"] = (SINCE - dt.timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    assert answers(stacks, logs)[WORKFLOW, "tickets", "draft"].verdict is Verdict.UNKNOWN


def test_a_shortened_role_name_is_still_its_tools(stacks: Path, logs: Logs) -> None:
    from narrowgate.compile.names import vault_role_name

    path = stacks / "workflows" / f"{WORKFLOW}.yaml"
    long = "ticket-drafting-for-the-whole-service-desk"
    path.write_text(path.read_text().replace(f"workflow: {WORKFLOW}", f"workflow: {long}"))
    path.rename(path.with_name(f"{long}.yaml"))
    role = vault_role_name(long, "tickets")
    assert "_" in role
    logs.answer(f"narrowgate-database/creds/{role}", 2, policies=[f"agent.{long}"], display=f"agents-{long}-sam")
    found = answers(stacks, logs)
    assert found[long, "tickets", "read"].verdict is Verdict.UNKNOWN
    assert found[long, "incidents", "read"].verdict is Verdict.UNUSED


FLOW = "tools:\n  logs: {actions: [search, read, list], scope: {a: b}}\n  other: {actions: [x]}\n"
BLOCK = "tools:\n  logs:\n    actions:\n      - search\n      - read\n    scope: {a: b}\n  other:\n    actions: [x]\n"
GATED = "tools:\n  t: {actions: [a, b]}\napprovals:\n  t.b: {approvers: [g],\n    required: 1}\nlast: 1\n"
EDITS = [
    (FLOW, [("logs", "read")], [Edit(2, 2, "  logs: {actions: [search, list], scope: {a: b}}")]),
    (FLOW, [("logs", "list"), ("logs", "search")], [Edit(2, 2, "  logs: {actions: [read], scope: {a: b}}")]),
    (FLOW, [("other", "x")], [Edit(3, 3, "")]),
    (BLOCK, [("logs", "search")], [Edit(4, 4, "")]),
    (BLOCK, [("logs", "search"), ("logs", "read")], [Edit(2, 6, "")]),
    (GATED, [("t", "b")], [Edit(2, 2, "  t: {actions: [a]}"), Edit(3, 5, "")]),
    ("tools:\n  t: {actions: [\n    a, 'b']}\n", [("t", "b")], [Edit(3, 3, None)]),
]


@pytest.mark.parametrize(("text", "gone", "edits"), EDITS)
def test_the_edit_removes_exactly_what_was_not_used(
    tmp_path: Path, text: str, gone: list[tuple[str, str]], edits: list[Edit]
) -> None:
    assert remove_actions(parse_source(text, tmp_path / "w.yaml"), gone) == edits


def test_the_command_prints_place_and_text_and_the_edited_file_is_right(
    stacks: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(logs)
    use(logs, "draft")
    sources = close(logs).write(without=("trail",))
    for records in (logs.ledger, logs.vault):
        records[-1]["time"] = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    sources = logs.write(without=("trail",))
    monkeypatch.chdir(stacks.parent)
    given = ["-l", str(sources.ledgers[0]), "--vault-audit", str(sources.vault[0])]
    command = ["narrowgate", "unused", "-e", "dev", "--since", "2026-01-15T00:00:00Z", *given]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr().out
    assert stop.value.code == 1
    assert "unused   ticket-drafting tickets.read" in shown
    monkeypatch.setattr(sys, "argv", [*command, "-f", "json"])
    with pytest.raises(SystemExit):
        main()
    value = json.loads(capsys.readouterr().out)
    (mine,) = [edit for edit in value["edits"] if edit["workflow"] == WORKFLOW]
    path = stacks / "workflows" / f"{WORKFLOW}.yaml"
    lines = path.read_text().splitlines()
    for edit in reversed(mine["edits"]):
        lines[edit["first"] - 1 : edit["last"]] = [edit["text"]] if edit["text"] else []
    path.write_text("\n".join(lines) + "\n")
    plan = read_declarations(stacks).plan(load_environment(stacks, "dev"))
    workflow = plan.workflow(WORKFLOW)
    assert workflow is not None
    assert [(tool.tool, action.name) for tool in workflow.tools for action in tool.actions] == [("tickets", "draft")]


def test_without_a_source_the_command_refuses(
    stacks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stacks.parent)
    monkeypatch.setattr(sys, "argv", ["narrowgate", "unused", "-e", "dev"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code, "no source" in capsys.readouterr().err) == (2, True)
