"""Starts, finds and stops the rehearsal's processes, and nobody else's.

A process is ours when its pid and its time of creation are those that were recorded, or when it carries the marker that
every process started here (and so every child of it) inherits. It must not know what the processes are for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

from rehearsal.errors import RehearsalError
from rehearsal.state import ProcessRecord, change_state, make_folder, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rehearsal.layout import Layout

MARKER = "NARROWGATE_REHEARSAL_PROCESS"
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
POLITE_SIGNALS = {"postgres": signal.SIGINT}  # On SIGTERM it would wait for its clients to leave
LOG_TAIL_LINES = 12
LOG_KEPT_BYTES = 5_000_000


def start(
    layout: Layout, name: str, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None
) -> psutil.Process:
    """Start `command` detached from this terminal and remember it as `name`. Output is appended to its log.

    `environment` is all that the process gets, but for the marker: nothing of the caller's own leaks in.

    Raises:
        RehearsalError: the command cannot be executed.

    """
    log = layout.log(name)
    make_folder(layout.logs)
    _trim_log(log)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                list(command),
                env={**environment, MARKER: str(layout.root)},
                cwd=cwd or layout.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise RehearsalError(f"{name} cannot be started: {error}", log=log) from error
    child.returncode = 0  # It outlives us on purpose: no ResourceWarning when this object goes
    process = psutil.Process(child.pid)
    with change_state(layout) as state:
        state.processes[name] = ProcessRecord(pid=process.pid, created=process.create_time())
    return process


def base_environment(layout: Layout) -> dict[str, str]:
    """Return the small environment that every server starts from: a PATH, an empty home, UTF-8."""
    make_folder(layout.home)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(layout.home),
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _trim_log(log: Path) -> None:
    """Start a log afresh when it has grown too long; the last one stays beside it."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_KEPT_BYTES:
            log.replace(log.with_suffix(".log.1"))


def find(layout: Layout, name: str) -> psutil.Process | None:
    """Return the running process that was started as `name`, or None."""
    record = read_state(layout).processes.get(name)
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        alive = process.create_time() == record.created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def is_alive(process: psutil.Process) -> bool:
    """Return whether `process` still runs; one that ended and was not yet collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: psutil.Process, *, patience_seconds: float = STOP_SECONDS) -> None:
    """End `process`: politely, and after `patience_seconds` by force. Its children end too."""
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(POLITE_SIGNALS.get(process.name(), signal.SIGTERM))
    _await_end([process], patience_seconds)
    left = [member for member in family if is_alive(member)]
    for member in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    _await_end(left, patience_seconds)


def _await_end(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Wait until all `processes` ended, at most `seconds`; collect those that are our own children."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        _collect_children(processes)
        if not any(is_alive(process) for process in processes):
            return
        time.sleep(POLL_SECONDS)


def _collect_children(processes: Sequence[psutil.Process]) -> None:
    """Collect the exit status of those `processes` that this one started, so that no zombie is left."""
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def stop_named(layout: Layout, name: str) -> bool:
    """End the process that was started as `name`, forget it, and return whether it was running."""
    process = find(layout, name)
    if process is not None:
        stop(process)
    with change_state(layout) as state:
        state.processes.pop(name, None)
    return process is not None


def find_all(layout: Layout) -> list[psutil.Process]:
    """Return every process of this rehearsal, recorded or orphaned, but for this one and those that started it."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = {process.pid: process for name in read_state(layout).processes if (process := find(layout, name))}
    for process in psutil.process_iter():
        if process.pid not in mine and process.pid not in found and _carries_marker(process, str(layout.root)):
            found[process.pid] = process
    return [found[pid] for pid in sorted(found)]


def _carries_marker(process: psutil.Process, root: str) -> bool:
    """Return whether `process` inherited the marker of the rehearsal at `root`."""
    try:
        return process.environ().get(MARKER) == root and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # Another user's process, or one that ended meanwhile: not ours


def wait_until(
    layout: Layout, name: str, process: psutil.Process, is_ready: Callable[[], bool], *, seconds: float
) -> None:
    """Wait until `is_ready` says so.

    Raises:
        RehearsalError: the process ended, or was not ready within `seconds`.

    """
    deadline = time.monotonic() + seconds
    while not is_ready():
        _collect_children([process])
        if not is_alive(process):
            raise RehearsalError(f"{name} ended while starting: {tail(layout.log(name))}", log=layout.log(name))
        if time.monotonic() > deadline:
            raise RehearsalError(
                f"{name} was not ready after {seconds:.0f} s: {tail(layout.log(name))}", log=layout.log(name)
            )
        time.sleep(POLL_SECONDS)


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last `lines` of `log`, or a word that says it is empty."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        text = []
    return "\n".join(text) or "(its log is empty)"
