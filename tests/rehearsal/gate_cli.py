"""Runs `narrowgate` as a person at the gate would. Not a test module: what the tests of the gate's commands share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gate_bench import GateBench

COMMAND = (sys.executable, "-m", "narrowgate")
SECONDS = 120


def write_gate(bench: GateBench, folder: Path) -> Path:
    """Write the gate's description to a file and return it."""
    file = folder / "gate.json"
    file.write_text(json.dumps(bench.document))
    return file


def environment(bench: GateBench, folder: Path, user: str, *groups: str) -> dict[str, str]:
    """Return the environment of a shell in which `user` is at work, with their token in a file."""
    from gate_bench import PEOPLE

    token = folder / f"{user}.jwt"
    token.write_text(bench.sign(user, "approvers", *(groups or PEOPLE[user])))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "NARROWGATE_"))}
    return {
        **clean,
        "HOME": str(folder),
        "COLUMNS": "100",
        "NARROWGATE_GATE": str(write_gate(bench, folder)),
        "NARROWGATE_APPROVER_TOKEN_FILE": str(token),
    }


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command without a terminal."""
    return subprocess.run(
        [*COMMAND, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def executor_environment(bench: GateBench, folder: Path) -> dict[str, str]:
    """Return the environment of the vendors' executor, with its token in a file."""
    token = folder / "executor.jwt"
    token.write_text(bench.sign("executor:vendors", "executors:vendors"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "NARROWGATE_"))}
    return {
        **clean,
        "HOME": str(folder),
        "COLUMNS": "100",
        "NARROWGATE_GATE": str(write_gate(bench, folder)),
        "NARROWGATE_EXECUTOR_TOKEN_FILE": str(token),
    }
