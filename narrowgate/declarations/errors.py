"""Errors of declarations: each knows its place, and one run reports all of them.

This module must not read files; it only holds and sorts what the readers found.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from narrowgate.errors import Location, NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Iterable


class DeclarationError(NarrowgateError):
    """One mistake in one declaration, at `location`; `code` is stable, for programs and annotations."""

    code = "declaration"

    def __init__(self, message: str, location: Location, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.location = location
        self.code = code

    def __str__(self) -> str:
        """Return one line that editors and terminals can jump from, and the hint below it."""
        line = f"{self.location}: {self.args[0]} [{self.code}]"
        return line if self.hint is None else f"{line}\n    {self.hint}"

    @property
    def message(self) -> str:
        """Return what is wrong, without place, code and hint."""
        return str(self.args[0])


class DeclarationErrors(NarrowgateError):  # noqa: N818 - it holds several errors
    """All mistakes that one run found, sorted by place; never empty."""

    code = "declarations"

    def __init__(self, errors: Iterable[DeclarationError]) -> None:
        unique = {(e.location, e.code, e.message): e for e in errors}
        self.errors: tuple[DeclarationError, ...] = tuple(unique[key] for key in sorted(unique))
        super().__init__("\n".join(str(error) for error in self.errors))

    def __str__(self) -> str:
        """Return every mistake, one after the other, and their number."""
        count = len(self.errors)
        return f"{self.args[0]}\n{count} error{'s' if count != 1 else ''} in declarations"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or all known words where they are few."""
    choices = sorted(known)
    if close := get_close_matches(word, choices, n=1):
        return f"did you mean `{close[0]}`?"
    if not choices:
        return "none are defined"
    shown = ", ".join(f"`{choice}`" for choice in choices[:12])
    return f"known: {shown}{', …' if len(choices) > 12 else ''}"  # noqa: PLR2004 - a line's worth
