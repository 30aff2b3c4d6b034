"""Runs a command with a tool's credentials in its surroundings, and ends them with it.

It passes signals on and returns the child's exit code, so that it can stand before any command. It must not put a
secret into an argument, and must not outlive its child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from narrowgate.runtime.clients.environments import make_variables, open_environment
from narrowgate.runtime.errors import AgentError
from narrowgate.runtime.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from narrowgate.runtime.agent import Agent
    from narrowgate.runtime.clients.environments import ChildEnvironment

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
# How often files and login are looked after while the child runs; both know when they are due.
LOOK_SECONDS = 5.0
SIGNALLED = 128


class CommandNotRunError(AgentError):
    """The command cannot be started."""

    code = "command-not-run"
    hint = "Give the command after `--`, as you would type it."
    exit_code = 127


class Interruption(SystemExit):
    """A signal arrived when there was no child yet; the exit code is the shell's for it."""


class SignalRelay:
    """Passes signals on to the child; before there is one, a signal ends this process by `Interruption`.

    A signal that arrives while the child is started waits until it is: it must neither be lost nor leave the child
    without its parent.
    """

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._waiting: list[int] = []

    def start(self, command: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start `command` with exactly `variables` as its environment. Raise OSError where it cannot be started."""
        self._starting = True
        try:
            self.child = subprocess.Popen(list(command), env=variables)  # noqa: S603 - to run it is what was asked for
        finally:
            self._starting = False
        for number in self._waiting:
            self._send(number)
        return self.child

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals in this block, and as before after it."""
        before = {number: signal.signal(number, self._handle) for number in PASSED_ON}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.child is None:
            if not self._starting:
                raise Interruption(SIGNALLED + number)
            self._waiting.append(number)
        elif not (number in FROM_TERMINAL and _in_foreground()):  # else the terminal has sent it to the child already
            self._send(number)

    def _send(self, number: int) -> None:
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                self.child.send_signal(number)


def run_child(agent: Agent, tool: str, command: Sequence[str], relay: SignalRelay) -> int:
    """Run `command` with the credentials of `tool`, and return its exit code (128 + n where signal n ended it).

    Raises:
        CommandNotRunError: the command cannot be started.
        AgentError: there are no credentials, as `Agent.credential` says.

    """
    with (
        tempfile.TemporaryDirectory(prefix="narrowgate-") as folder,
        open_environment(agent, tool, Path(folder)) as surroundings,
    ):
        variables = make_variables(os.environ, surroundings.variables)
        try:
            child = relay.start(command, variables)
        except OSError as error:
            raise CommandNotRunError(f"{command[0]} cannot be started: {error.strerror}.") from None
        return _await_end(child, surroundings)


def _await_end(child: subprocess.Popen[bytes], surroundings: ChildEnvironment) -> int:
    while True:
        try:
            code = child.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            try:
                surroundings.refresh()
            except AgentError as error:
                logger.warning("agent.renewal-failed", code=error.code, reason=str(error))
        else:
            return code if code >= 0 else SIGNALLED - code


def _in_foreground() -> bool:
    """Return whether this process is what its terminal sends its signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
