"""A mistake in a declaration, found by a check that knows no file: where (a key path), which kind, what, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake at `path`, relative to the value that was checked; `code` is stable, for programs."""

    path: tuple[str | int, ...]
    code: str
    message: str
    hint: str | None = None
    key: bool = False

    def under(self, *prefix: str | int) -> Problem:
        """Return the same problem, seen from further out."""
        return Problem((*prefix, *self.path), self.code, self.message, self.hint, self.key)
