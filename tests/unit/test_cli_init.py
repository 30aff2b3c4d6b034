"""`narrowgate init`: what it writes is right as it is, and nothing is ever overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from narrowgate.compile import compile_plan
from narrowgate.compile.backends import BACKENDS
from narrowgate.declarations.checking import check_stacks
from narrowgate.declarations.starting import StartingFileError, start_project, start_tool, start_workflow
from narrowgate.plan import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "narrowgate" / "declarations" / "templates"


def test_a_new_project_passes_the_check(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    written = start_project(folder)
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == written
    report = check_stacks(folder / "stacks")
    assert (report.errors, report.environments) == ((), ("dev",))
    (workflow,) = compile_plan(report.plans[0]).workflows
    assert workflow.access.name == "document-summary"
    assert (folder / "Pulumi.yaml").read_text(encoding="utf-8").startswith("name: agents\n")
    assert (folder / ".gitignore").is_file()


@pytest.mark.parametrize("path", ["stacks/__main__.py", "policies/__main__.py"])
def test_the_projects_programs_are_ours(path: str, golden: Callable[[str, str], None]) -> None:
    golden(str(TEMPLATES / "project" / f"{path}.txt"), (ROOT / path).read_text(encoding="utf-8"))


def test_a_project_over_another_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(StartingFileError, match="there already"):
        start_project(folder)
    assert [p.name for p in folder.iterdir()] == ["README.md"]
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_a_dangling_link_counts_as_there(stacks: Path, tmp_path: Path) -> None:
    (stacks / "workflows" / "mine.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(StartingFileError, match="there already"):
        start_workflow(stacks, "mine")
    assert not (tmp_path / "elsewhere.yaml").exists()


@pytest.mark.parametrize("backend", sorted(Backend))
def test_a_new_tool_passes_the_check(stacks: Path, backend: Backend) -> None:
    (path,) = start_tool(stacks, "fresh", backend)
    assert path == stacks / "tools" / "fresh.yaml"
    assert check_stacks(stacks).errors == ()


def test_every_backend_has_a_starting_file() -> None:
    assert {path.stem for path in (TEMPLATES / "tools").iterdir()} == {backend.value for backend in BACKENDS}


def test_a_new_workflow_passes_the_check(stacks: Path) -> None:
    (path,) = start_workflow(stacks, "fresh")
    assert path == stacks / "workflows" / "fresh.yaml"
    assert check_stacks(stacks).errors == ()


def test_a_workflow_needs_a_tool(tmp_path: Path) -> None:
    with pytest.raises(StartingFileError, match="no tool"):
        start_workflow(tmp_path, "fresh")


@pytest.mark.parametrize("name", ["Fresh", "../fresh", "a/b", "", "x" * 64, "a--b", "a\n"])
def test_a_name_cannot_lead_elsewhere(stacks: Path, name: str) -> None:
    with pytest.raises(StartingFileError, match="no name"):
        start_workflow(stacks, name)
    with pytest.raises(StartingFileError, match="no name"):
        start_tool(stacks, name, Backend.AWS)


def test_the_command_says_what_it_wrote_and_refuses_to_do_it_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "narrowgate", "init", "project", "agents"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert first.returncode == 0, first.stderr
    assert "wrote agents/stacks/workflows/document-summary.yaml\n" in first.stdout
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert second.stderr.startswith("error: ")
    assert "Traceback" not in second.stderr
