"""The processes that a plugin has started, so that none outlives it."""

from __future__ import annotations

import subprocess
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_SECONDS: Final = 3.0


class Children:
    """Starts processes and stops them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(  # noqa: PLR0913 -- the parameters of Popen that callers choose
        self,
        command: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `command` and keep it until `stop`; raise OSError where it can't be started."""
        with self._lock:
            if self._closed:
                raise ChildProcessError("the host is ending and starts no more programs")
            process = subprocess.Popen(list(command), cwd=cwd, env=dict(env), stdin=stdin, stdout=stdout, stderr=stderr)
            self._running.add(process)
        return process

    @contextmanager
    def running(self, process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        """Yield `process` and stop it in the end, whatever happens."""
        try:
            yield process
        finally:
            self.stop(process)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End `process`: politely, and by force after a few seconds."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with self._lock:
            self._running.discard(process)

    def stop_all(self) -> None:
        """End every process and start no more."""
        with self._lock:
            self._closed = True
            left = list(self._running)
        for process in left:
            self.stop(process)
