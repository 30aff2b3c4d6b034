"""`narrowgate executor run` as a process of the tests' own, and waiting for what it does. Not a test module."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from gate_cli import COMMAND, executor_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench

SECONDS = 90


class Service:
    """One running executor; `lines` are the events that it has logged."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.text += line
            with contextlib.suppress(json.JSONDecodeError):
                self.lines.append(json.loads(line))

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for line in self.lines:
                if line.get("event") == event and all(line.get(name) == value for name, value in fields.items()):
                    return line
            assert self.process.poll() is None or self._reader.is_alive(), self.text
            time.sleep(0.05)
        raise AssertionError(f"no {event} {fields} in:\n{self.text}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        self.close()
        return code

    def close(self) -> None:
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def serving(bench: GateBench, folder: Path, count: int = 1, *options: str) -> Iterator[list[Service]]:
    env = executor_environment(bench, folder)
    command = [*COMMAND, "executor", "run", "--tool", "vendors", "--every", "0.2", *options]
    services = [Service(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)) for _ in range(count)]
    try:
        yield services
    finally:
        for service in services:
            if service.process.poll() is None:
                service.process.kill()
            service.close()


def wait_for_end(bench: GateBench, request: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while not (record := bench.record(request)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return record


def wait_for_case(bench: GateBench, request: str) -> None:
    deadline = time.monotonic() + SECONDS
    while bench.root.read(f"narrowgate-cases/data/{request.replace('.', '/')}") is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
