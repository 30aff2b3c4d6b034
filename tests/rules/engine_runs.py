"""Runs a program of `bad/` in the real engine, with the pack on or judged by the program itself alone.

The providers accept everything.

Not a test module: what the tests of rules share.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rehearsal.pulumi_home import pulumi_environment, write_pulumi_home

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "bad"
PROVIDER = Path(__file__).resolve().parent / "accepting_provider.py"
STACKS = Path(__file__).resolve().parent / "stacks"
PACK = """\
from pathlib import Path

from narrowgate_policies.service import serve

serve(Path({stacks!r}))
"""

JUDGED = """\
import runpy
from pathlib import Path

from narrowgate.access.lock import lock_file
from narrowgate.declarations import require_separation, load_environment
from narrowgate_policies.transform import judge_every_resource

STACKS = Path({stacks!r})
dev = load_environment(STACKS, "dev")
judge_every_resource(dev, lock_file(STACKS, "dev"), require_separation(dev, STACKS))
runpy.run_path({program!r})
"""


@dataclass(frozen=True)
class Run:
    status: int
    output: str
    created: tuple[str, ...]


class Bench:
    """One project folder, home and backend for many runs; each run has a stack of its own."""

    def __init__(  # noqa: PLR0913 - what a test chooses, by name
        self,
        folder: Path,
        engine: Path,
        engine_version: str,
        *,
        pack: Path | None = None,
        stacks: Path = STACKS,
        seconds: float = 180,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._pack = pack or write_pack(folder / "policies", stacks)
        self._engine = engine
        self.engine = (engine, engine_version)
        self._created = folder / "created"
        home = write_pulumi_home(folder / "home", python=Path(sys.executable), engine_version=engine_version)
        providers = {"aws": version("pulumi-aws"), "vault": version("pulumi-vault"), "pulumi-python": engine_version}
        for package, number in providers.items():
            plugin = home / "plugins" / f"resource-{package}-v{number}" / f"pulumi-resource-{package}"
            command = shlex.join([sys.executable, "-u", str(PROVIDER), number, str(self._created)])
            plugin.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        state = folder / "state"
        state.mkdir()
        passphrase = folder / "passphrase"
        passphrase.write_text("not a secret: a state that lives as long as one test")
        self._environment = {
            **pulumi_environment(home, state=state, passphrase_file=passphrase),
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def run(self, program: str, verb: str = "preview", *options: str) -> Run:
        """Run `pulumi VERB` for `bad/PROGRAM` in a fresh stack."""
        stack = program.replace("_", "-")
        return self.run_program(
            PROGRAMS / program,
            stack,
            {f"Pulumi.{stack}.yaml": (STACKS / "Pulumi.dev.yaml").read_text()},
            verb,
            *options,
        )

    def run_judged(self, program: str, verb: str = "preview", *options: str) -> Run:
        """Run `pulumi VERB` for `bad/PROGRAM` without the pack, in a program that judges every resource itself."""
        stack = f"{program.replace('_', '-')}-judged"
        folder = self._folder / f"{stack}-{verb}-program"
        folder.mkdir()
        main = PROGRAMS / program / "__main__.py"
        (folder / "__main__.py").write_text(JUDGED.format(stacks=str(STACKS), program=str(main)))
        files = {f"Pulumi.{stack}.yaml": (STACKS / "Pulumi.dev.yaml").read_text()}
        return self.run_program(folder, stack, files, verb, *options, pack=False)

    def run_program(
        self, program: Path, stack: str, files: dict[str, str], verb: str, *options: str, pack: bool = True
    ) -> Run:
        """Run `pulumi VERB` for the program in the folder `program`; `files` are its stacks' configuration."""
        project = self._folder / f"{stack}-{verb}"
        project.mkdir()
        self._created.write_text("")
        (project / "Pulumi.yaml").write_text(
            f"name: narrowgate\nmain: {program}\nstackConfigDir: .\n"
            f"runtime:\n  name: python\n  options:\n    virtualenv: {Path(sys.executable).parent.parent}\n"
        )
        for name, text in files.items():
            (project / name).write_text(text)
        self._pulumi(project, "stack", "init", stack)
        packs = ("--policy-pack", str(self._pack)) if pack else ()
        done = self._pulumi(project, verb, "--stack", stack, *packs, "--color=never", *options)
        return Run(done.returncode, done.stdout + done.stderr, tuple(self._created.read_text().split()))

    def _pulumi(self, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._engine), *arguments, "--non-interactive"],
            cwd=cwd,
            env={**_environment_without_pulumi(), **self._environment},
            capture_output=True,
            text=True,
            timeout=self._seconds,
            check=False,
        )


def write_pack(folder: Path, stacks: Path, *, first: str = "") -> Path:
    """Write a pack that is ours but for where the locks stand; `first` is code that it runs before."""
    folder.mkdir()
    description = (ROOT / "policies" / "PulumiPolicy.yaml").read_text()
    virtualenv = str(Path(sys.executable).parent.parent)
    (folder / "PulumiPolicy.yaml").write_text(description.replace("../.venv", virtualenv))
    (folder / "__main__.py").write_text(first + PACK.format(stacks=str(stacks)))
    return folder


def _environment_without_pulumi() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
