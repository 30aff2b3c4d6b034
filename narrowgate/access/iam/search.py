"""Finds a request that lies in some boxes and in none of some others, or proves that there is none.

Every dimension is cut into classes; a class of a dimension leaves some of the boxes to avoid alive. Wanted is one
class for each dimension such that no box stays alive in all. What a search yields is a sketch whose texts are
generic; it may ask too much of policy variables, so whoever uses it makes it concrete and evaluates it. That
nothing is yielded is proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from narrowgate.access.iam.boxes import Box, Numbering, Undecidable
from narrowgate.access.iam.conditions import OPERATORS, Values
from narrowgate.access.iam.cover import Cover
from narrowgate.access.iam.dimensions import Option, PatternIndex, action_options, principal_options, resource_options
from narrowgate.access.iam.glob import STAR, generic
from narrowgate.access.iam.keys import KeyClasses, groups_of
from narrowgate.access.iam.multivalued import may_have_several_values

if TYPE_CHECKING:
    from narrowgate.access.iam.policy import Condition, PrincipalEntry

_ALL: Final = "all"
_SOLUTIONS_OF_ONE_ACTION: Final = 3
_SAMPLES_OF_ONE_CLASS: Final = 4


@dataclass(frozen=True, slots=True)
class Sketch:
    """A request in generic form: patterns for action and resource, values of context keys, the caller.

    `live` are the boxes to avoid that the action alone lies in.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]]
    caller: tuple[PrincipalEntry, ...]
    live: int


Fixed = Mapping[str, str | None]
"""Context keys whose value is given: one value, or None for a key that is missing."""


@dataclass
class Avoided:
    """The boxes to avoid, indexed once for many searches."""

    boxes: Sequence[Box]
    numbering: Numbering
    fixed: Fixed = field(default_factory=dict)
    fineness: int = 0
    """How far patterns are split, see `split_finely`: 0, 1 or 2; finer is slower."""
    together: bool = False
    """Sample operators of different families on one key together, not on their own: emptiness is no proof then."""

    @cached_property
    def unconditional(self) -> int:
        """Return the bits of boxes that consist of plain actions and resources."""
        plain = (
            not (one.conditions or one.not_action or one.not_resource) and one.principals is None for one in self.boxes
        )
        return sum(1 << number for number, is_plain in enumerate(plain) if is_plain)

    @cached_property
    def actions(self) -> PatternIndex:
        """Index the boxes by action."""
        return PatternIndex([(box.actions, box.not_action) for box in self.boxes], by_service=True)

    @cached_property
    def resources(self) -> PatternIndex:
        """Index the boxes by resource."""
        return PatternIndex([(box.resources, box.not_resource) for box in self.boxes], by_service=False)

    @cached_property
    def keys(self) -> dict[str, list[tuple[int, list[Condition]]]]:
        """Return for each context key the boxes with conditions on it."""
        found: dict[str, dict[int, list[Condition]]] = {}
        for number, box in enumerate(self.boxes):
            for condition in box.conditions:
                found.setdefault(condition.key, {}).setdefault(1 << number, []).append(condition)
        return {key: list(sides.items()) for key, sides in found.items()}


def search(positives: Sequence[Box], avoided: Avoided) -> Iterator[Sketch]:
    """Yield sketches of requests in all positive boxes and in none to avoid; yields none only where none exists.

    Raises Undecidable past a bound.
    """
    if any(_is_covered(box, avoided) for box in positives):
        return
    actions = _by_liveness(action_options(positives, avoided.boxes, avoided.actions, fineness=avoided.fineness))
    if actions:
        cut = _Cut(positives, avoided)
        for live, samples in actions:
            for action in samples:
                for resource, caller, context in islice(cut.solve(live), _SOLUTIONS_OF_ONE_ACTION):
                    yield Sketch(action, resource, context, caller, live)


def _is_covered(box: Box, avoided: Avoided) -> bool:
    """Say whether a single box to avoid, one without conditions, holds the whole box: the common case, told fast."""
    covering = avoided.unconditional
    for patterns, negated, index in (
        (box.actions, box.not_action, avoided.actions),
        (box.resources, box.not_resource, avoided.resources),
    ):
        for tokens in (STAR,) if negated or patterns is None else patterns:
            if not covering:
                return False
            covering &= index.live(generic(tokens))
    return bool(covering)


def _by_liveness(options: Sequence[Option]) -> list[tuple[int, list[str]]]:
    """Keep the classes that leave the fewest boxes alive, with some samples each."""
    grouped: dict[int, list[str]] = {}
    for option in options:
        grouped.setdefault(option.live, []).append(cast("str", option.sample))
    masks = sorted(grouped, key=int.bit_count)
    kept = [mask for place, mask in enumerate(masks) if not any(less & mask == less for less in masks[:place])]
    return [(mask, grouped[mask][:_SAMPLES_OF_ONE_CLASS]) for mask in kept]


class _Cut:
    """All dimensions but the action, cut into classes within the positive boxes; keys when they are needed."""

    def __init__(self, positives: Sequence[Box], avoided: Avoided) -> None:
        self._positives = positives
        self._avoided = avoided
        self._asked: dict[str, list[Condition]] = {}
        for box in positives:
            for condition in box.conditions:
                self._asked.setdefault(condition.key, []).append(condition)
        self._known: dict[object, list[Option]] = {}

    def solve(self, live: int) -> Iterator[tuple[str, tuple[PrincipalEntry, ...], dict[str, tuple[str, ...]]]]:
        """Yield choices of a class for every dimension that leave none of the live boxes alive."""
        dimensions: dict[object, list[Option]] = {
            "resource": self._options("resource"),
            "principal": self._options("principal"),
        }
        keys = dict.fromkeys(self._asked)
        for key, sides in self._avoided.keys.items():
            if any(bit & live for bit, _ in sides):
                keys[key] = None
        for key in keys:
            for group in self._groups(key):
                dimensions[key, group] = self._key_options(key, group, live)
        if not all(dimensions.values()):
            return
        for chosen in Cover(dimensions).choices(live):
            context: dict[str, tuple[str, ...]] = {}
            for name, option in chosen.items():
                if isinstance(name, tuple) and option.sample is not None:
                    context.setdefault(name[0], cast("tuple[str, ...]", option.sample))
            yield (
                cast("str", chosen["resource"].sample),
                cast("tuple[PrincipalEntry, ...]", chosen["principal"].sample),
                context,
            )

    def _conditions(self, key: str) -> list[Condition]:
        sides = self._avoided.keys.get(key, [])
        return [*self._asked.get(key, []), *(condition for _, conditions in sides for condition in conditions)]

    def _groups(self, key: str) -> list[str]:
        groups = set(groups_of(self._conditions(key)).values()) - {"null"}
        if self._avoided.together and len(groups) > 1:
            return [_ALL]
        return sorted(groups) or ["null"]

    def _options(self, name: str) -> list[Option]:
        if name not in self._known:
            boxes, index, fineness = self._avoided.boxes, self._avoided.resources, self._avoided.fineness
            self._known[name] = (
                resource_options(self._positives, boxes, index, fineness=fineness)
                if name == "resource"
                else principal_options(self._positives, boxes)
            )
        return self._known[name]

    def _key_options(self, key: str, group: str, live: int) -> list[Option]:
        """Return the classes of one key by its conditions of one group.

        All boxes count, so that the classes serve for every action; only the live ones where all are too many.
        """
        if (key, group) not in self._known:
            try:
                self._known[key, group] = self._classes(key, group, -1)
            except Undecidable:
                return self._classes(key, group, live)
        return self._known[key, group]

    def _classes(self, key: str, group: str, live: int) -> list[Option]:
        """Return the classes of one key by the conditions of one group that the live boxes have.

        Conditions of other groups count as met: a box dies where one of its conditions fails in any group.
        """
        groups = groups_of(self._conditions(key))

        def within(conditions: Sequence[Condition]) -> list[Condition]:
            found = ((condition, OPERATORS[condition.operator].family) for condition in conditions)
            return [one for one, family in found if "null" in (family, group) or group in (_ALL, groups[family])]

        negatives = [(bit, within(conditions)) for bit, conditions in self._avoided.keys.get(key, []) if bit & live]
        asked = within(self._asked.get(key, []))
        every = [*asked, *(condition for _, conditions in negatives for condition in conditions)]
        several = may_have_several_values(key, every)
        classes = KeyClasses(every, self._avoided.numbering, several=several, fineness=self._avoided.fineness)
        untouched = ((1 << len(self._avoided.boxes)) - 1) & ~sum(bit for bit, _ in negatives)
        fixed: tuple[Values] | None = None
        if key in self._avoided.fixed:
            value = self._avoided.fixed[key]
            fixed = (None if value is None else (value,),)
        return [Option(option.sample, option.live | untouched) for option in classes.options(asked, negatives, fixed)]
