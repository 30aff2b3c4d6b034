"""What a comparison of two plans finds. This module holds values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrowgate.plan import Impact


class Kind(StrEnum):
    """What a change means. An undecided one counts as new access; a note neither gives nor takes any."""

    GAIN = "gain"
    UNDECIDED = "undecided"
    LOSS = "loss"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one workflow, in `words`.

    `workflow` is empty for what concerns the whole environment, `tool` and `actions` for what concerns the whole
    workflow. `witness` is a concrete request that one side allows and the other does not, where one is known.
    """

    kind: Kind
    impact: Impact
    workflow: str
    tool: str
    actions: tuple[str, ...]
    words: str
    witness: str | None = None

    @property
    def where(self) -> str:
        """Return the tool and its actions as `tool.action`, or an empty text."""
        return ", ".join(f"{self.tool}.{action}" for action in self.actions) or self.tool


@dataclass(frozen=True, slots=True)
class PlanComparison:
    """What `new` gains and loses over `old`: `changes` high impact first, and the workflows that are `unchanged`."""

    old: str
    new: str
    changes: tuple[Change, ...]
    unchanged: tuple[str, ...]

    @property
    def gains(self) -> tuple[Change, ...]:
        """Return all that counts as new access: what is gained, and what could not be decided."""
        return tuple(c for c in self.changes if c.kind in (Kind.GAIN, Kind.UNDECIDED))

    @property
    def losses(self) -> tuple[Change, ...]:
        """Return the access that `old` has and `new` has not."""
        return tuple(c for c in self.changes if c.kind is Kind.LOSS)

    @property
    def notes(self) -> tuple[Change, ...]:
        """Return the changes that neither give nor take access."""
        return tuple(c for c in self.changes if c.kind is Kind.NOTE)

    @property
    def no_new_access(self) -> bool | None:
        """True: proven that `new` allows nothing that `old` does not. False: it does. None: not decided."""
        kinds = {change.kind for change in self.changes}
        return False if Kind.GAIN in kinds else None if Kind.UNDECIDED in kinds else True
