"""Makes `.venv` from `requirements.lock`, with nothing but Python's standard library.

Runs before any package is installed, so it must not import one. It writes only into the checkout's `.venv` and into
the cache (`$NARROWGATE_CACHE`, else `$XDG_CACHE_HOME/narrowgate`, else `~/.cache/narrowgate`). It is idempotent: when
the lock and the projects' metadata have not changed since the last run it does nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
LOCK = CHECKOUT / "requirements.lock"
PROJECTS = (CHECKOUT, CHECKOUT / "rehearsal")
STAMP = VENV / "narrowgate-lock.sha256"
OLDEST_PYTHON = (3, 11)


class BootstrapError(Exception):
    """A step that failed; its text says which, why and what to do."""


def say(text: str, started: float) -> None:
    """Print one line of progress with the seconds since `started`."""
    sys.stderr.write(f"[{time.monotonic() - started:6.1f}s] {text}\n")
    sys.stderr.flush()


def find_cache() -> Path:
    """Return the folder for downloads and built binaries, outside every checkout."""
    own = os.environ.get("NARROWGATE_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "narrowgate"


def compute_fingerprint() -> str:
    """Return a digest of all that decides what `.venv` holds."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update(str(CHECKOUT).encode())  # editable installs hold the checkout's path
    for path in (LOCK, *(project / "pyproject.toml" for project in PROJECTS)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(step: str, *command: str | Path, env: dict[str, str]) -> None:
    """Run `command`; raise BootstrapError with the end of its output when it fails."""
    done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise BootstrapError(f"{step} failed (exit {done.returncode}):\n{tail}")


def read_locked(name: str) -> str:
    """Return the lock's own lines for one package: its version and its hashes."""
    lines = LOCK.read_text().splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(f"{name}==")), None)
    if start is None:
        raise BootstrapError(f"{LOCK.name} does not pin {name}; run `make lock` on a machine that has uv")
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return "\n".join(lines[start:end]) + "\n"


def install(cache: Path, started: float) -> None:
    """Make the virtual environment and install exactly what the lock says, by hash, then this checkout, editable."""
    python = VENV / "bin" / "python"
    env = os.environ | {
        "VIRTUAL_ENV": str(VENV),
        "UV_CACHE_DIR": str(cache / "uv"),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # pip asks `rustc` for its version, and rustup's would then write into the home folder
        "RUSTUP_HOME": str(cache / "pip" / "rustup"),
        "UV_NO_CONFIG": "1",
        "UV_LINK_MODE": "copy",  # a cache that is cleaned later must not reach into the environment
        "UV_PYTHON_DOWNLOADS": "never",
    }
    say("making .venv", started)
    run(
        "making .venv (on Debian it needs the package python3-venv)",
        sys.executable,
        "-m",
        "venv",
        "--clear",
        VENV,
        env=env,
    )
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder) / "uv.txt"
        only_uv.write_text(read_locked("uv"))
        run("installing uv", python, "-m", "pip", "install", "-q", "--require-hashes", "-r", only_uv, env=env)
    uv = VENV / "bin" / "uv"
    say("installing the locked packages", started)
    run("installing the locked packages", uv, "pip", "sync", "-q", "--require-hashes", LOCK, env=env)
    say("installing this checkout", started)
    for project in PROJECTS:
        options = ("-q", "--no-deps", "--no-build-isolation", "--offline")
        run(f"installing {project.name}", uv, "pip", "install", *options, "-e", project, env=env)


def main() -> int:
    """Make or refresh `.venv`; return the exit code."""
    started = time.monotonic()
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        sys.stderr.write(f"error: Python {wanted} or newer is needed, this is {sys.version.split()[0]}\n")
        sys.stderr.write("hint: name another one: make PYTHON=python3.12 rehearsal\n")
        return 1
    fingerprint = compute_fingerprint()
    if STAMP.exists() and STAMP.read_text().strip() == fingerprint and (VENV / "bin" / "narrowgate").exists():
        return 0
    try:
        install(find_cache(), started)
    except (BootstrapError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    STAMP.write_text(fingerprint + "\n")
    say(".venv is ready", started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
