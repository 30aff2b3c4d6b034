"""The rehearsal's errors: a part on this machine that failed, with the log that tells more.

Must not import anything but the project's root of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from pathlib import Path


class RehearsalError(NarrowgateError):
    """A server, a port, a file or a tool of the rehearsal is not as it must be. `log` is the file that tells more."""

    code = "rehearsal-failed"

    def __init__(self, message: str, *, hint: str | None = None, log: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class NotRunningError(RehearsalError):
    """A part that a command needs is not running."""

    code = "rehearsal-not-running"
    hint = "start it with `make rehearsal`"
