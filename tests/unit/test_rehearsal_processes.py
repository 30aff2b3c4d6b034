from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from rehearsal import processes
from rehearsal.errors import RehearsalError
from rehearsal.layout import Layout
from rehearsal.state import ProcessRecord, State, read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
PARENT = [
    sys.executable,
    "-c",
    """
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('born', flush=True)
time.sleep(600)
""",
]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(root=tmp_path / "state", cache=tmp_path / "cache")
    layout.root.mkdir()
    yield layout
    for process in processes.find_all(layout):
        processes.stop(process, patience_seconds=1)


def start(layout: Layout, name: str, command: list[str], says: str = "") -> psutil.Process:
    process = processes.start(layout, name, command, processes.base_environment(layout))
    deadline = time.monotonic() + 20
    while says not in (layout.log(name).read_text() if layout.log(name).exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_started_process_is_found_and_stopped(layout: Layout) -> None:
    process = start(layout, "a", SLEEP)
    assert processes.find(layout, "a") == process
    assert processes.stop_named(layout, "a")
    assert processes.find(layout, "a") is None
    assert not processes.is_alive(process)
    assert read_state(layout).processes == {}
    assert not processes.stop_named(layout, "a")


def test_process_runs_in_a_session_of_its_own(layout: Layout) -> None:
    process = start(layout, "a", SLEEP)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_caller_environment_does_not_leak_in(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    environ = start(layout, "a", SLEEP).environ()
    assert "VAULT_TOKEN" not in environ
    assert "HTTPS_PROXY" not in environ
    assert environ["HOME"] == str(layout.home)


def test_another_process_with_the_recorded_pid_is_not_ours(layout: Layout) -> None:
    me = psutil.Process()
    write_state(layout, State(processes={"a": ProcessRecord(pid=me.pid, created=me.create_time() - 100)}))
    assert processes.find(layout, "a") is None
    assert not processes.stop_named(layout, "a")
    assert processes.is_alive(me)


def test_deaf_process_is_ended_by_force(layout: Layout) -> None:
    process = start(layout, "deaf", STUBBORN, says="deaf")
    processes.stop(process, patience_seconds=0.3)
    assert not processes.is_alive(process)


def test_children_end_with_their_parent(layout: Layout) -> None:
    process = start(layout, "parent", PARENT, says="born")
    (child,) = process.children()
    processes.stop(process, patience_seconds=2)
    assert not processes.is_alive(child)


def test_orphans_are_found_by_what_they_inherited(layout: Layout, tmp_path: Path) -> None:
    process = start(layout, "parent", PARENT, says="born")
    (child,) = process.children()
    process.kill()
    process.wait(10)
    layout.state_file.unlink()
    assert [found.pid for found in processes.find_all(layout)] == [child.pid]
    elsewhere = Layout(root=tmp_path / "other", cache=tmp_path)
    assert processes.find_all(elsewhere) == []


def test_command_that_does_not_exist_is_a_clear_error(layout: Layout) -> None:
    with pytest.raises(RehearsalError, match="a cannot be started"):
        processes.start(layout, "a", ["/nonexistent/program"], {})


def test_waiting_ends_when_the_process_does_and_shows_its_last_words(layout: Layout) -> None:
    command = [sys.executable, "-c", "print('no space left'); raise SystemExit(3)"]
    process = processes.start(layout, "a", command, processes.base_environment(layout))
    with pytest.raises(RehearsalError, match="no space left") as caught:
        processes.wait_until(layout, "a", process, lambda: False, seconds=30)
    assert caught.value.log == layout.log("a")


def test_waiting_ends_after_its_time(layout: Layout) -> None:
    process = start(layout, "a", SLEEP)
    with pytest.raises(RehearsalError, match="not ready after 0 s"):
        processes.wait_until(layout, "a", process, lambda: False, seconds=0.2)


def test_long_log_starts_afresh(layout: Layout) -> None:
    layout.logs.mkdir()
    layout.log("a").write_bytes(b"x" * (processes.LOG_KEPT_BYTES + 1))
    start(layout, "a", STUBBORN, says="deaf")
    assert layout.log("a").stat().st_size < 100
    assert layout.log("a").with_suffix(".log.1").exists()
