"""Says whether one approval rule asks at least as much as another. This module must not word anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrowgate.plan import Approval


def is_as_strict(rule: Approval | None, other: Approval | None) -> bool:
    """Say whether all people who satisfy `rule` satisfy `other` too, and no later; never wrongly yes.

    No rule at all is as strict as no rule only: what a gate without a rule lets through is not for us to guess.
    """
    if rule is None or other is None:
        return rule is other
    if rule.expires_seconds > other.expires_seconds:
        return False
    return all(
        any(set(mine.groups) <= set(theirs.groups) and mine.required >= theirs.required for mine in rule.factors)
        for theirs in other.factors
    )
