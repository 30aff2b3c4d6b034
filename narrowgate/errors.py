"""The root of every error that Narrowgate raises on purpose.

Each error says what is wrong (`str(error)`), which kind it is (`code`, stable, for programs) and what to do
about it (`hint`, for people). This module must not import anything of the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class NarrowgateError(Exception):
    """Root of all errors that are somebody's mistake or a failing part, never a bug of ours.

    Subclasses set `code` (kebab-case, never reused for another meaning) and may set a default `hint`.
    """

    code: str = "narrowgate-error"
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file: `line` and `column` count from 1, as editors do."""

    path: Path
    line: int
    column: int

    def __str__(self) -> str:
        """Return `path:line:column`, which terminals and editors turn into a link."""
        return f"{self.path}:{self.line}:{self.column}"
