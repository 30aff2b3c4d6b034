"""`narrowgate check`: exit codes, and what each format says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INCIDENT = "workflows/incident-summarization.yaml"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narrowgate", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def broken(stacks: Path, edit: Callable[[str, str, str], None]) -> Path:
    edit(INCIDENT, "[search]", "[serach]")
    return stacks


def test_right_declarations_pass(stacks: Path) -> None:
    result = run("check", cwd=stacks.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "no errors"


def test_a_mistake_fails_with_its_place(broken: Path) -> None:
    result = run("check", cwd=broken.parent)
    assert result.returncode == 1
    assert "stacks/workflows/incident-summarization.yaml:12:15: " in result.stdout
    assert "did you mean `search`?" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_json_is_for_programs(broken: Path) -> None:
    result = run("check", "--format", "json", cwd=broken.parent)
    report = json.loads(result.stdout)
    assert (result.returncode, report["version"], report["ok"]) == (1, 1, False)
    (finding,) = report["findings"]
    assert finding["path"] == "stacks/workflows/incident-summarization.yaml"
    assert (finding["line"], finding["column"], finding["code"]) == (12, 15, "unknown-action")
    assert finding["severity"] == "error"


def test_github_annotations_hold_place_and_hint_on_one_line(broken: Path) -> None:
    result = run("check", "-f", "github", cwd=broken.parent)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith(
        "::error file=stacks/workflows/incident-summarization.yaml,line=12,col=15,title=unknown-action::"
    )
    assert "%0A" in line


def test_a_value_cannot_end_an_annotation(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(INCIDENT, "[search]", '["x\\n::warning::y"]')
    result = run("check", "-f", "github", cwd=stacks.parent)
    assert result.returncode == 1
    assert all(line.startswith("::error file=stacks/") for line in result.stdout.splitlines())


def test_one_environment_can_be_chosen(stacks: Path) -> None:
    assert run("check", "--env", "dev", cwd=stacks.parent).returncode == 0


def test_an_environment_that_is_not_there_is_an_error(stacks: Path) -> None:
    result = run("check", "--env", "prod", cwd=stacks.parent)
    assert result.returncode == 1
    assert "Pulumi.prod.yaml:1:1: cannot be read" in result.stdout


def test_an_environment_that_only_a_workflow_names_is_an_error(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(INCIDENT, "[dev]", "[dev, prd]")
    result = run("check", cwd=stacks.parent)
    assert result.returncode == 1
    assert "no environment `prd`" in result.stdout


def test_a_binding_of_no_tool_is_an_error(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("Pulumi.dev.yaml", "      documents: ", "      dokuments: {bucket: acme-x}\n      documents: ")
    result = run("check", cwd=stacks.parent)
    assert result.returncode == 1
    assert "did you mean `documents`?" in result.stdout


def test_the_floor_of_sts_is_said_not_hidden(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(INCIDENT, "ttl: 15m,", "ttl: 5m,")
    result = run("check", cwd=stacks.parent)
    assert result.returncode == 0
    assert "credentials for `logs` live 15m, not 5m: AWS STS issues no session shorter than 15m" in result.stdout


def test_grants_that_cannot_be_held_apart_are_an_error_at_the_tool(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    grant = "- {table: tickets, columns: [customer_email], rows: {status: draft}}"
    edit(
        "tools/tickets.yaml",
        "  draft:\n",
        f"  mail:\n    access: read\n    impact: low\n    grants: [{grant[2:]}]\n  draft:\n",
    )
    edit("workflows/ticket-drafting.yaml", "[read, draft]", "[read, draft, mail]")
    result = run("check", cwd=stacks.parent)
    assert result.returncode == 1
    assert "stacks/workflows/ticket-drafting.yaml:15:14: " in result.stdout
    assert "would give" in result.stdout


def test_grants_that_iam_cannot_hold_are_an_error_at_the_tool(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    groups = ", ".join(f"/app/{'x' * 400}{number}" for number in range(30))
    edit(INCIDENT, "[/app/payments, /app/checkout]", f"[{groups}]")
    result = run("check", cwd=stacks.parent)
    assert result.returncode == 1
    assert "inline policies hold 10240" in result.stdout


def test_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    result = run("check", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: there is no folder stacks")
    assert "hint: " in result.stderr


@pytest.mark.parametrize("arguments", [["chek"], ["check", "--format", "xml"], ["check", "extra"]])
def test_a_wrong_call_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert run("--version", cwd=tmp_path).stdout == f"narrowgate {version('narrowgate')}\n"


def test_a_broken_rule_has_the_place_of_the_declaration_at_fault(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    everything = (
        '      - iam: ["dynamodb:Query"]\n'
        '        on: "arn:${env.partition}:dynamodb:${env.region}:${env.account}:table/*"\n'
    )
    tool = "tools/documents.yaml"
    edit(tool, "    grants:\n", f"    grants:\n{everything}")
    line = 1 + (stacks / tool).read_text().splitlines().index('      - iam: ["dynamodb:Query"]')
    result = run("check", "--format", "json", "--env", "dev", cwd=stacks.parent)
    assert result.returncode == 1, result.stdout + result.stderr
    findings = json.loads(result.stdout)["findings"]
    assert {finding["code"] for finding in findings if finding["severity"] == "error"} == {"iam-no-wildcard-resource"}
    for finding in findings:
        assert (finding["path"], finding["line"]) == (f"stacks/{tool}", line)
        assert "dynamodb:Query on arn:aws:dynamodb:" in finding["hint"]
        assert "fix: " in finding["hint"]
