"""The verbs of `narrowgate access`: what they print, and exit codes that scripts can trust."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from narrowgate.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]
    Edit = Callable[[str, str, str], None]


@pytest.fixture
def run(
    stacks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `narrowgate access …` beside the copied stacks: exit code, output, errors."""
    monkeypatch.chdir(stacks.parent)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["narrowgate", "access", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


WIDER = ("tools/incidents.yaml", "[id, tenant, title,", "[id, tenant, reporter_email, title,")


def test_diff_without_a_change(run: Run) -> None:
    code, out, _ = run("diff", "--env", "dev")
    assert code == 0
    assert "No new access: proven" in out


def test_diff_of_new_access(run: Run, edit: Edit) -> None:
    edit(*WIDER)
    code, out, _ = run("diff", "--env", "dev")
    assert code == 1
    assert "reporter_email" in out


def test_diff_of_something_undecided(run: Run, edit: Edit) -> None:
    edit("Pulumi.dev.yaml", "limits:", "  groups_claim: /roles\n    limits:")
    code, out, _ = run("diff", "--env", "dev")
    assert code == 3
    assert "not decided" in out


def test_diff_as_json(run: Run, edit: Edit) -> None:
    edit(*WIDER)
    code, out, _ = run("diff", "--env", "dev", "--format", "json")
    answer = json.loads(out)
    assert code == 1
    assert answer["no_new_access"] is False
    assert {gain["workflow"] for gain in answer["gains"]} == {"incident-summarization", "ticket-drafting"}
    assert answer["unchanged"] == ["nightly-reconciliation", "vendor-onboarding"]


def test_diff_of_all_environments_as_json(run: Run) -> None:
    code, out, _ = run("diff", "--env", "all", "--format", "json")
    assert code == 0
    assert [answer["new"] for answer in json.loads(out)["environments"]] == ["dev"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stacks: (stacks / "locks" / "dev.yaml").unlink(),
        lambda stacks: (stacks / "locks" / "dev.yaml").write_text("version: 9\n"),
        lambda stacks: (stacks / "workflows" / "ticket-drafting.yaml").write_text("version: 1\nworkflo: x\n"),
        lambda stacks: (stacks / "Pulumi.dev.yaml").write_text("config: {}\n"),
    ],
)
def test_what_cannot_be_read_is_exit_2_and_never_new_access(
    run: Run, stacks: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(stacks)
    code, _, err = run("diff", "--env", "dev")
    assert code == 2
    assert "error" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "--env", "prod"),
        ("diff", "--env", "dev", "--stacks", "nowhere"),
        ("diff", "--env", "dev", "--base", "main", "--lock", "x"),
        ("diff", "--env", "dev", "--lock", "missing.yaml"),
        ("explain", "nobody"),
        ("show", "nobody"),
        ("who-can", "own", "everything"),
        ("compare", "a.json", "b.json"),
        ("compare", "a.txt", "b.txt"),
        ("evaluate", "s3:GetObject", "arn:aws:s3:::b/x", "--policy", "missing.json"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_a_message_and_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "error" in err


def test_diff_with_a_folder_of_locks(run: Run, stacks: Path, edit: Edit) -> None:
    base = stacks.parent / "base"
    shutil.copytree(stacks / "locks", base)
    edit(*WIDER)
    assert run("lock", "--env", "dev")[0] == 0
    code, out, _ = run("diff", "--env", "all", "--lock", base, "--format", "markdown")
    assert code == 1
    assert "reporter_email" in out
    assert run("diff", "--env", "all", "--lock", base / "dev.yaml")[0] == 1
    (base / "dev.yaml").unlink()
    code, out, _ = run("diff", "--env", "all", "--lock", base)
    assert code == 1
    assert out.count("is a new workflow") == 4


# Git ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def git(stacks: Path) -> Callable[..., str]:
    """Return git in a new repository that holds the stacks, committed once on `main`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }

    def call(*arguments: str) -> str:
        command = ["git", "-C", str(stacks.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    call("init", "-q", "-b", "main")
    call("add", "stacks")
    call("commit", "-qm", "first")
    return call


def test_diff_with_a_commit(run: Run, git: Callable[..., str], edit: Edit) -> None:
    edit(*WIDER)
    assert run("lock", "--env", "dev")[0] == 0
    assert run("diff", "--env", "dev")[0] == 0
    git("add", "stacks")
    git("commit", "-qm", "wider")
    assert run("diff", "--env", "dev", "--base", "HEAD")[0] == 0
    code, out, _ = run("diff", "--env", "dev", "--base", "HEAD~1")
    assert code == 1
    assert "reporter_email" in out


def test_a_new_environment_gains_everything(run: Run, git: Callable[..., str]) -> None:
    git("rm", "-q", "--cached", "stacks/locks/dev.yaml")
    git("commit", "-qm", "no lock")
    code, out, _ = run("diff", "--env", "dev", "--base", "main")
    assert code == 1
    assert out.count("is a new workflow") == 4


@pytest.mark.parametrize("ref", ["nowhere", "--output=x", "-h", "main:stacks", "", "main..main"])
def test_a_ref_that_is_none(run: Run, git: Callable[..., str], stacks: Path, ref: str) -> None:
    assert git("status", "--porcelain") == ""
    code, out, err = run("diff", "--env", "dev", f"--base={ref}")
    assert (code, out) == (2, "")
    assert "error" in err
    assert git("status", "--porcelain") == ""
    assert not list(stacks.glob("x"))


def test_outside_of_git(run: Run) -> None:
    code, _, err = run("diff", "--env", "dev", "--base", "main")
    assert code == 2
    assert "git" in err


# Lock -----------------------------------------------------------------------------------------------------------------


def test_lock_is_written_once_and_checked(run: Run, stacks: Path, edit: Edit) -> None:
    path = stacks / "locks" / "dev.yaml"
    before = path.read_bytes()
    assert run("lock", "--env", "dev", "--check")[0] == 0
    edit(*WIDER)
    code, out, _ = run("lock", "--env", "dev", "--check")
    assert code == 1
    assert "reporter_email" in out
    assert path.read_bytes() == before
    code, out, _ = run("lock", "--env", "dev")
    assert code == 0
    assert "reporter_email" in out
    assert run("lock", "--env", "dev", "--check")[0] == 0
    assert [p.name for p in path.parent.iterdir()] == ["dev.yaml"]
    after = path.read_bytes()
    assert run("lock", "--env", "all")[0] == 0
    assert path.read_bytes() == after


def test_check_fails_where_the_lock_has_more(run: Run, stacks: Path) -> None:
    (stacks / "workflows" / "vendor-onboarding.yaml").unlink()
    assert run("diff", "--env", "dev")[0] == 0
    assert run("lock", "--env", "dev", "--check")[0] == 1


def test_a_missing_lock_is_written(run: Run, stacks: Path) -> None:
    path = stacks / "locks" / "dev.yaml"
    before = path.read_bytes()
    path.unlink()
    path.parent.rmdir()
    assert run("lock", "--env", "dev", "--check")[0] == 1
    assert run("lock", "--env", "dev")[0] == 0
    assert path.read_bytes() == before


def test_stacks_are_found_from_a_folder_below(run: Run, stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stacks / "workflows")
    assert run("show")[0] == 0


# Answers --------------------------------------------------------------------------------------------------------------


def test_who_can_as_json(run: Run) -> None:
    code, out, _ = run("who-can", "execute", "create_vendor", "--format", "json")
    (holder,) = json.loads(out)["holders"]
    assert code == 0
    assert holder["gated"] is True
    assert holder["approval"]["factors"] == [{"groups": ["vendor-approvers"], "required": 1}]


def test_nobody(run: Run) -> None:
    assert run("who-can", "s3:DeleteBucket", "*") == (0, "Nobody.\n", "")


def test_explain_and_show_as_json(run: Run) -> None:
    assert json.loads(run("show", "--format", "json")[1])["workflows"][0]["workflow"] == "incident-summarization"
    assert json.loads(run("show", "ticket-drafting", "--format", "json")[1])["tools"][0]["tool"] == "incidents"
    assert json.loads(run("explain", "ticket-drafting", "--format", "json")[1])["lines"]


@pytest.mark.parametrize("verb", ["diff", "lock", "show", "explain", "who-can", "compare", "evaluate"])
def test_help_has_examples(run: Run, verb: str) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert f"narrowgate access {verb}" in out.split("Examples:")[1]
