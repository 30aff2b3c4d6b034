"""Chooses a class for every dimension of a request so that no box to avoid is alive in all of them.

This is a covering problem: every class kills some boxes, and one class of each dimension has to kill all of them
together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.boxes import Undecidable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from narrowgate.access.iam.dimensions import Option

_STEP_LIMIT: Final = 20000


class Cover:
    """Chooses a class for every dimension so that each box is dead in at least one."""

    def __init__(self, dimensions: Mapping[object, Sequence[Option]]) -> None:
        self._dimensions = dimensions
        self._steps = 0
        self._dead_ends: set[tuple[int, frozenset[object]]] = set()

    def choices(self, live: int) -> Iterator[dict[object, Option]]:
        """Yield choices that leave none of the live boxes alive."""
        useful = {name: _most_deadly(options, live) for name, options in self._dimensions.items()}
        names = frozenset(
            name for name, options in useful.items() if options[0].live & live != live or len(options) > 1
        )
        rest = {name: options[0] for name, options in useful.items()}
        for chosen in self._extend(live, names, useful):
            yield {**rest, **chosen}

    def _extend(
        self, live: int, names: frozenset[object], useful: Mapping[object, Sequence[Option]]
    ) -> Iterator[dict[object, Option]]:
        if not live:
            yield {}
            return
        if (live, names) in self._dead_ends:
            return
        self._steps += 1
        if self._steps > _STEP_LIMIT:
            raise Undecidable("too many combinations of conditions")
        found = False
        for name, option in self._killers(live, names, useful):
            for rest in self._extend(live & option.live, names - {name}, useful):
                found = True
                yield {name: option, **rest}
        if not found:
            self._dead_ends.add((live, names))

    def _killers(
        self, live: int, names: frozenset[object], useful: Mapping[object, Sequence[Option]]
    ) -> list[tuple[object, Option]]:
        """Return the classes that kill the live box that the fewest classes kill, the deadliest first."""
        best: list[tuple[object, Option]] | None = None
        remaining = live
        while remaining:
            bit = remaining & -remaining
            remaining ^= bit
            killers = [(name, one) for name in names for one in useful[name] if not one.live & bit]
            if best is None or len(killers) < len(best):
                best = killers
            if not best:
                break
        return sorted(best or [], key=lambda choice: (choice[1].live & live).bit_count())


def _most_deadly(options: Sequence[Option], live: int) -> list[Option]:
    """Keep the classes that no other class of the dimension beats among the live boxes."""
    by_mask: dict[int, Option] = {}
    for option in options:
        by_mask.setdefault(option.live & live, option)
    masks = sorted(by_mask, key=int.bit_count)
    return [by_mask[m] for place, m in enumerate(masks) if not any(less & m == less for less in masks[:place])]
