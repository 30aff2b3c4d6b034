"""Signals and the command that `narrowgate exec` runs: none is lost, also not in the moment of its start."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.runtime.clients.child import Interruption, SignalRelay

if TYPE_CHECKING:
    from pathlib import Path

POPEN = subprocess.Popen


def test_a_signal_in_the_moment_of_the_start_reaches_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"

    def start_slowly(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Popen has them
        child = POPEN(*arguments, **more)
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        return child

    monkeypatch.setattr(subprocess, "Popen", start_slowly)
    relay = SignalRelay()
    script = f"trap 'exit 9' TERM; touch {ready}; while :; do sleep 0.1; done"
    with relay.installed():
        child = relay.start(["sh", "-c", script], dict(os.environ))
        try:
            assert child.wait(30) == 9
        finally:
            child.kill()


def test_a_signal_before_any_command_ends_this_process_as_a_shell_says() -> None:
    with SignalRelay().installed(), pytest.raises(Interruption) as ended:
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_a_command_that_cannot_be_started_leaves_the_signals_as_before() -> None:
    relay = SignalRelay()
    with relay.installed():
        with pytest.raises(FileNotFoundError):
            relay.start(["/no/such/command"], {})
        with pytest.raises(Interruption):
            os.kill(os.getpid(), signal.SIGTERM)
