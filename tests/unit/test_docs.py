"""What the documents say exists: links lead somewhere, commands and make targets are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from narrowgate.cli._reference import walk
from narrowgate.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS = {path for path, _ in walk(typer.main.get_command(build_app()), ("narrowgate",))}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_make_targets_exist(page: Path) -> None:
    named = set(re.findall(r"(?:`|\$ )make (?:-\S+ )*([a-z-]+)", page.read_text(encoding="utf-8")))
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_exist(page: Path) -> None:
    unknown = []
    for line in re.findall(r"(?:`|\$ |^ *)(narrowgate [a-z][^`\n]*)", page.read_text(encoding="utf-8"), re.MULTILINE):
        words = tuple(word for word in line.split() if re.fullmatch(r"[a-z][a-z-]*", word))
        if not any(words[:length] in COMMANDS for length in (2, 3)) and not is_group(words):
            unknown.append(line)
    assert unknown == []


def is_group(words: tuple[str, ...]) -> bool:
    return any(command[: len(words)] == words for command in COMMANDS)


def test_the_readme_shows_a_declaration_that_is_deployed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```yaml\n", 1)[1].split("```", 1)[0]
    name = re.search(r"^workflow: (\S+)", shown, re.MULTILINE)
    assert name is not None
    deployed = (ROOT / "stacks" / "workflows" / f"{name[1]}.yaml").read_text(encoding="utf-8")
    assert words(shown) == words(deployed)


def words(text: str) -> list[str]:
    """Return a YAML text's words without comments and layout, in flow or block style alike."""
    bare = "\n".join(line.split(" #")[0] for line in text.splitlines() if not line.startswith("#"))
    return re.findall(r"[\w./-]+", bare)


def test_the_makefile_runs() -> None:
    done = subprocess.run(shlex.split("make help"), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make rehearsal" in done.stdout
