"""The access review: its rows, its commits, its last uses, and that no cell of it is a formula or markup."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trace_records import Logs

from narrowgate.audit.review import HistoryError, ReviewRow, find_blocks, read_blame, review_access
from narrowgate.audit.tables import render_csv, render_html, render_json, render_markdown
from narrowgate.audit.usage import read_usage
from narrowgate.cli import main
from narrowgate.declarations import load_environment, read_declarations

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.audit.trace import Sources
    from narrowgate.plan import AccessPlan

WORKFLOW = "incident-summarization"


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=Ann Example", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def committed(stacks: Path) -> Path:
    git(stacks, "init", "-q")
    git(stacks, "add", "-A")
    git(stacks, "commit", "-qm", "Accept the first access")
    return stacks


def load(stacks: Path) -> AccessPlan:
    return read_declarations(stacks).plan(load_environment(stacks, "dev"))


def rows(stacks: Path, sources: Sources | None = None) -> dict[tuple[str, str, str], ReviewRow]:
    plan = load(stacks)
    usage = None if sources is None else read_usage(sources, plan)
    found = review_access(plan, stacks / "locks" / "dev.yaml", usage)
    return {(row.workflow, row.tool, row.action): row for row in found}


def test_every_action_of_every_workflow_is_a_row(committed: Path) -> None:
    found = rows(committed)
    plan = load(committed)
    assert set(found) == {(w.name, t.tool, a.name) for w in plan.workflows for t in w.tools for a in t.actions}
    row = found["vendor-onboarding", "vendors", "create"]
    assert (row.owner, row.gated, row.last_used) == ("procurement", True, "unknown")
    assert "vendor-approvers" in row.approval


def test_the_commit_is_the_last_that_changed_the_action_in_the_lock(committed: Path) -> None:
    first = git(committed, "rev-parse", "HEAD")
    lock = committed / "locks" / "dev.yaml"
    lines = lock.read_text().splitlines()
    lines[find_blocks(lock)[WORKFLOW, "incidents", "read"].stop - 2] += "  # as agreed"
    lock.write_text("\n".join(lines) + "\n")
    assert rows(committed)[WORKFLOW, "incidents", "read"].commit == "not committed"
    git(committed, "commit", "-qam", "Accept another column")
    second = git(committed, "rev-parse", "HEAD")
    found = rows(committed)
    assert found[WORKFLOW, "incidents", "read"].commit == second
    assert "Ann Example: Accept another column" in found[WORKFLOW, "incidents", "read"].accepted
    others = {row.commit for key, row in found.items() if key != (WORKFLOW, "incidents", "read")}
    assert others == {first}


def test_what_is_not_in_the_lock_was_accepted_by_nobody(committed: Path) -> None:
    lock = committed / "locks" / "dev.yaml"
    text = lock.read_text().replace("          search:\n", "          renamed:\n", 1)
    lock.write_text(text)
    git(committed, "commit", "-qam", "Rename")
    assert rows(committed)[WORKFLOW, "logs", "search"].commit == "not in the lock"


def test_the_last_use_comes_from_each_source_and_is_unknown_elsewhere(committed: Path, tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.entry("call", 5, workflow=WORKFLOW, tool="incidents", action="read", outcome="allowed")
    logs.entry("call", 59, workflow=WORKFLOW, tool="incidents", action="read", outcome="allowed", environment="prod")
    logs.event(7)
    logs.trail[-1]["userIdentity"]["arn"] = f"arn:aws:sts::1:assumed-role/r/{WORKFLOW}.logs@alice"
    logs.answer(
        "narrowgate-drafts/data/vendor-onboarding/entity-1/vendors.create.1",
        9,
        operation="create",
        policies=["agent.vendor-onboarding"],
        display="agents-vendor-onboarding-vera",
    )
    found = rows(committed, logs.write())
    assert found[WORKFLOW, "incidents", "read"].last_used == "2026-01-31T08:00:05.500000Z"
    assert found[WORKFLOW, "logs", "search"].last_used == "2026-01-31T08:00:07.000000Z"
    assert found["vendor-onboarding", "vendors", "create"].last_used == "2026-01-31T08:00:09.123456Z"
    assert found[WORKFLOW, "documents", "read"].last_used == "unknown"


def test_a_shallow_clone_is_refused(committed: Path, tmp_path: Path) -> None:
    git(committed, "commit", "-q", "--allow-empty", "-m", "Another")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", committed.as_uri(), str(clone))
    with pytest.raises(HistoryError, match="shallow"):
        read_blame(clone / "locks" / "dev.yaml")


EVIL = ['=HYPERLINK("http://x")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\uff1d1"]


@pytest.mark.parametrize("text", EVIL)
def test_no_cell_of_the_csv_is_a_formula(committed: Path, text: str) -> None:
    row = replace(next(iter(rows(committed).values())), owner=text, accepted=text, grants=(text,))
    _, cells = csv.reader(io.StringIO(render_csv([row]), newline=""))
    for cell in cells:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")), cell
    assert cells[2].startswith("'")


def test_no_markup_of_others_is_in_the_page_or_the_table(committed: Path) -> None:
    evil = "<script>x</script> | [a](http://b) @team `tick`"
    row = replace(next(iter(rows(committed).values())), owner=evil, accepted=evil)
    page = render_html([row], "dev")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    *_, line = render_markdown([row]).splitlines()
    assert line.count("|") == render_markdown([]).splitlines()[0].count("|")
    assert json.loads(render_json([row], "dev"))["access"][0]["owner"] == evil


@pytest.mark.parametrize("form", ["text", "csv", "markdown", "html", "json"])
def test_the_command_writes_each_format(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    monkeypatch.chdir(committed.parent)
    monkeypatch.setattr(sys, "argv", ["narrowgate", "access", "review", "-e", "dev", "-f", form])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert WORKFLOW in capsys.readouterr().out


def test_without_a_history_the_command_says_so(
    stacks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stacks.parent)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(stacks.parent))
    monkeypatch.setattr(sys, "argv", ["narrowgate", "access", "review", "-e", "dev"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code, "git:" in capsys.readouterr().err) == (2, True)
