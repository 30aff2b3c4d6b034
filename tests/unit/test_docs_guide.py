"""The guide's commands are commands: ours parse, Pulumi's are taken by the real engine, files are where it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from narrowgate.cli.app import build_app
from rehearsal.engine import ensure_engine

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
OURS = sorted(
    {line for line in [*COMMANDS, *re.findall(r"`(narrowgate [^`]+)`", GUIDE)] if line.startswith("narrowgate")}
)
PULUMI = sorted({line for line in COMMANDS if line.startswith("pulumi")})
ALIASES = {"stack new": "stack init"}  # as the engine calls it, and as everybody does
PLAIN = {"cd agents", "git init", "python -m venv .venv", ".venv/bin/pip install -e ."}


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) <= {*OURS, *PULUMI, *PLAIN}
    assert len(OURS) > 5
    assert len(PULUMI) > 8


def parse(words: list[str]) -> str:
    """Return the name of our innermost command, once its options and arguments are taken; nothing is run."""
    command: Any = typer.main.get_command(build_app())
    context = command.make_context("narrowgate", words)
    while hasattr(command, "resolve_command"):  # typer brings a click of its own
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])  # noqa: SLF001 - as click does
        context = command.make_context(name, rest, parent=context)
    return str(command.name)


@pytest.mark.parametrize("line", OURS)
def test_our_commands_parse(line: str) -> None:
    words = shlex.split(line)[1:]
    if len(words) > 1:
        assert parse(words) in words
    else:
        assert words[0] in {"check", "revoke"}


def test_a_wrong_option_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["access", "lock", "--environment", "dev"])


@pytest.mark.rehearsal
@pytest.mark.parametrize("line", PULUMI)
def test_pulumis_commands_are_taken_by_the_engine(line: str) -> None:
    engine = ensure_engine(print).path
    words = shlex.split(line)[1:]
    done = subprocess.run([engine, *words, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "unknown" not in done.stderr
    (usage,) = re.findall(r"^ +pulumi (.+?)(?: \[|$)", done.stdout, re.MULTILINE)[:1]
    assert " ".join(words).startswith(ALIASES.get(usage, usage))


@pytest.mark.rehearsal
def test_a_wrong_flag_of_pulumi_would_be_found() -> None:
    engine = ensure_engine(print).path
    words = ["up", "--stack", "dev", "--policy-packs", "policies", "--help"]
    assert subprocess.run([engine, *words], capture_output=True, check=False, timeout=60).returncode != 0


def test_the_project_has_the_files_that_are_named(tmp_path: Path) -> None:
    from narrowgate.declarations.starting import start_project

    start_project(tmp_path / "agents")
    for name in ("stacks/Pulumi.dev.yaml", "stacks/Pulumi.dev-foundation.yaml", "policies/PulumiPolicy.yaml"):
        assert (tmp_path / "agents" / name).is_file()
