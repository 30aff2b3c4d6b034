"""Tells a person how a long command goes: each step as it runs, and the seconds that it took.

On a terminal a step is a live line; elsewhere (a file, CI) it is one plain line when it is done, so that logs stay
readable. Everything goes to standard error. It must not know what the steps do.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

REFRESH_PER_SECOND = 8
NAME_WIDTH = 26


@dataclass
class Progress:
    """Reports the steps of one command on `console`, against one clock."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    started: float = field(default_factory=time.monotonic)
    _lines: list[StepLine] = field(default_factory=list)
    _live: Live | None = None
    _changing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def elapsed_seconds(self) -> float:
        """Return the seconds since the command began."""
        return time.monotonic() - self.started

    @contextmanager
    def step(self, name: str) -> Iterator[StepLine]:
        """Show the step `name` while it runs; the caller may set a note, which the last line keeps.

        Threads may show steps at the same time: each has a live line.
        """
        line = StepLine(name, self)
        with self._changing:
            self._lines.append(line)
            self._refresh()
        done = False
        try:
            yield line
            done = True
        finally:
            with self._changing:
                self._lines.remove(line)
                self._refresh()
                if done:
                    self.console.print(line.render_done(), soft_wrap=True)

    def _refresh(self) -> None:
        """Show the lines of the steps that run, on a terminal; nothing where none does."""
        if not self.console.is_terminal:
            return
        if self._live is None and self._lines:
            self._live = Live(console=self.console, refresh_per_second=REFRESH_PER_SECOND, transient=True)
            self._live.start()
        if self._live is not None:
            self._live.update(Group(*self._lines), refresh=True)
            if not self._lines:
                self._live.stop()
                self._live = None

    def say(self, text: str) -> None:
        """Print one line under the steps."""
        self.console.print(escape(text), soft_wrap=True)


@dataclass
class StepLine:
    """One step's line: its `name`, what it does just now or did (`note`), and its clock."""

    name: str
    progress: Progress
    note: str = ""
    began: float = field(default_factory=time.monotonic)
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    @property
    def seconds(self) -> float:
        """Return the seconds since the step began."""
        return time.monotonic() - self.began

    def report(self, text: str) -> None:
        """Say what the step does just now; off a terminal it is printed, so that a long step is not silent."""
        self.note = text
        if not self.progress.console.is_terminal:
            self.progress.console.print(f"  {escape(self.name)}: {escape(text)} ({self.seconds:.0f} s)", soft_wrap=True)

    def __rich__(self) -> RenderableType:
        """Return the live line."""
        self._spinner.update(
            text=Text.assemble(f"{self.name:<{NAME_WIDTH}} {self.seconds:6.1f} s  ", (self.note, "dim"))
        )
        return self._spinner

    def render_done(self) -> Text:
        """Return the line of a step that is done."""
        return Text.assemble(("✓ ", "green"), f"{self.name:<{NAME_WIDTH}} {self.seconds:6.1f} s  ", (self.note, "dim"))
