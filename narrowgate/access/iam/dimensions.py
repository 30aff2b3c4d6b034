"""The classes of actions, resources and principals that a set of boxes tells apart, with one sample of each.

For globs the sample of a class is generic (see `glob`): of all strings of a pattern it is matched by the fewest
other patterns, so only those patterns that a request *wants* to match have to be combined.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.boxes import Box, Undecidable, has_variables, widen_variables
from narrowgate.access.iam.glob import STAR, generic, is_literal, matches, meet
from narrowgate.access.iam.policy import PrincipalEntry
from narrowgate.access.iam.principals import identify, names_caller
from narrowgate.access.iam.splitting import split_finely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_CLASS_LIMIT: Final = 6000
_PROBE: Final = "narrowgate-probe"


@dataclass(frozen=True, slots=True)
class Option:
    """A class of values of one dimension: a sample, and the bits of the boxes to avoid that it lies in."""

    sample: object
    live: int


class PatternIndex:
    """Answers which of many boxes a string lies in, by one dimension; actions are looked up by their service."""

    def __init__(self, sides: Sequence[tuple[tuple[str, ...] | None, bool]], *, by_service: bool) -> None:
        """Take for each box its patterns (None for all) and whether they are negated."""
        self._always = 0
        self._exact: dict[str, int] = {}
        self._negated: list[tuple[int, tuple[str, ...]]] = []
        globs: dict[str, int] = {}
        for number, (patterns, negated) in enumerate(sides):
            bit = 1 << number
            if patterns is None or (not negated and STAR in patterns):
                self._always |= bit
            elif negated:
                self._negated.append((bit, patterns))
            else:
                for tokens in patterns:
                    known = self._exact if is_literal(tokens) else globs
                    known[tokens] = known.get(tokens, 0) | bit
        self._globs: dict[str, list[tuple[str, int]]] = {}
        for tokens, bits in globs.items():
            self._globs.setdefault(_service(tokens) if by_service else "", []).append((tokens, bits))
        self._by_service = by_service

    def live(self, text: str) -> int:
        """Return the bits of the boxes that the (concrete or generic) string lies in."""
        found = self._always | self._exact.get(text, 0)
        for bucket in {_service(text), ""} if self._by_service else ("",):
            for tokens, bits in self._globs.get(bucket, ()):
                if bits & ~found and matches(tokens, text):
                    found |= bits
        for bit, patterns in self._negated:
            if not any(matches(tokens, text) for tokens in patterns):
                found |= bit
        return found


def _service(tokens: str) -> str:
    """Return the text before the first colon (an action's service), empty where a wildcard or variable hides it."""
    service, colon, _ = tokens.partition(":")
    return service if colon and service.isascii() else ""


@lru_cache(maxsize=1024)
def _by_service(patterns: tuple[str, ...]) -> dict[str | None, tuple[str, ...]]:
    """Group patterns by service; those of no certain service are in every group, and alone under None."""
    groups: dict[str, list[str]] = {"": []}
    for tokens in patterns:
        groups.setdefault(_service(tokens), []).append(tokens)
    unsure = groups.pop("")
    return {"": patterns, None: tuple(unsure), **{service: (*found, *unsure) for service, found in groups.items()}}


def _candidates(tokens: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the patterns that may have something in common with one pattern."""
    groups = _by_service(patterns)
    return groups.get(_service(tokens), groups[None])


def combine(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return patterns for the strings that a pattern of every list matches; all strings for no list."""
    found: tuple[str, ...] = (STAR,)
    for patterns in lists:
        if found == (STAR,):
            found = patterns
        else:
            met = (one for left in found for right in _candidates(left, patterns) for one in meet(left, right))
            found = tuple(dict.fromkeys(met))
        if len(found) > _CLASS_LIMIT:
            raise Undecidable("too many patterns have to be combined")
    return found


def with_wanted(patterns: Sequence[str], sides: Iterable[tuple[str, ...]]) -> list[str]:
    """Add what the patterns have in common with the wanted ones: of each side one, or none."""
    found = dict.fromkeys(patterns)
    for side in dict.fromkeys(sides):
        for tokens in list(found):
            for want in _candidates(tokens, side):
                found.update(dict.fromkeys(meet(tokens, want)))
            if len(found) > _CLASS_LIMIT:
                raise Undecidable("too many patterns have to be combined")
    return list(found)


def action_options(
    positives: Sequence[Box], negatives: Sequence[Box], index: PatternIndex, *, fineness: int
) -> list[Option]:
    """Return the classes of actions within all positive boxes; `fineness` is that of `split_finely`."""
    granted = combine(box.actions for box in positives if not box.not_action)
    refused = [tokens for box in positives if box.not_action for tokens in box.actions]
    wanted = [box.actions for box in negatives if box.not_action]
    patterns = with_wanted(granted, wanted)
    if fineness:
        patterns = split_finely(
            patterns, (tokens for box in (*positives, *negatives) for tokens in box.actions), fineness
        )
    return _glob_options(patterns, refused, index.live)


def resource_options(
    positives: Sequence[Box], negatives: Sequence[Box], index: PatternIndex, *, fineness: int
) -> list[Option]:
    """Return the classes of resources within all positive boxes; `fineness` is that of `split_finely`.

    A variable may be anything, so: with one positive box it is a value of its own; with several, or where it has
    to be told from a NotResource, it is widened in the positive ones. A NotResource to avoid that holds variables
    counts as avoided, unless the positive box excludes the same.
    """
    lists = [box.resources for box in positives if box.resources is not None and not box.not_resource]
    refused = [
        tokens for box in positives if box.not_resource for tokens in box.resources or () if not has_variables(tokens)
    ]
    wanted = [
        tuple(widen_variables(tokens) for tokens in box.resources)
        for box in negatives
        if box.not_resource and box.resources is not None
    ]
    if len(lists) > 1 or wanted:
        lists = [tuple(widen_variables(tokens) for tokens in patterns) for patterns in lists]
    excluded = {tokens for box in positives if box.not_resource for tokens in box.resources or ()}
    never = sum(
        1 << number
        for number, box in enumerate(negatives)
        if box.not_resource
        and any(has_variables(tokens) for tokens in box.resources or ())
        and not set(box.resources or ()) <= excluded
    )
    always = sum(
        1 << number
        for number, box in enumerate(negatives)
        if box.not_resource and box.resources is not None and set(box.resources) <= excluded
    )
    patterns = with_wanted(combine(lists), wanted)
    if fineness:
        patterns = split_finely(
            patterns, (tokens for box in (*positives, *negatives) for tokens in box.resources or ()), fineness
        )
    return _glob_options(patterns, refused, lambda text: index.live(text) & ~never | always)


def _glob_options(patterns: Sequence[str], refused: list[str], live: Callable[[str], int]) -> list[Option]:
    found: list[Option] = []
    for tokens in patterns:
        text = generic(tokens)
        if not any(matches(other, text) for other in refused):
            found.append(Option(tokens, live(text)))
    return found


def principal_options(positives: Sequence[Box], negatives: Sequence[Box]) -> list[Option]:
    """Return the classes of callers within all positive boxes; one without a caller where no box names any."""
    boxes = [*positives, *negatives]
    if all(box.principals is None for box in boxes):
        return [Option((), (1 << len(negatives)) - 1)]
    found: list[Option] = []
    for caller in _callers({entry for box in boxes for entry in box.principals or ()}):
        if all(_accepts(box, caller) for box in positives):
            live = sum(1 << number for number, box in enumerate(negatives) if _accepts(box, caller))
            found.append(Option(caller, live))
    return found


def _accepts(box: Box, caller: tuple[PrincipalEntry, ...]) -> bool:
    one = box.statement
    return one.principals is None or names_caller(
        one.principals, caller, excluding=one.not_principal, effect=one.effect
    )


def _callers(entries: set[PrincipalEntry]) -> list[tuple[PrincipalEntry, ...]]:
    """Return a caller of every kind that the entries tell apart: named, beside the named, and unknown ones."""
    identities = [identity for entry in entries if entry.kind == "AWS" and (identity := identify(entry.value))]
    accounts = {identity.account for identity in identities}
    unknown = next(
        account for number in range(len(accounts) + 1) if (account := f"{999999999999 - number}") not in accounts
    )
    arns = [entry.value for entry in entries if entry.kind == "AWS" and entry.value != "*"]
    for account in (unknown, *sorted(accounts)):
        arns += [
            f"arn:aws:iam::{account}:user/{_PROBE}",
            f"arn:aws:sts::{account}:assumed-role/{_PROBE}/{_PROBE}",
            f"arn:aws:iam::{account}:root",
        ]
    arns += [
        f"arn:aws:sts::{identity.account}:assumed-role/{identity.role}/{_PROBE}"
        for identity in identities
        if identity.role
    ]
    named = [entry for entry in sorted(entries, key=str) if entry.kind != "AWS" and entry.value != "*"]
    others = [
        PrincipalEntry("Service", f"{_PROBE}.amazonaws.com"),
        PrincipalEntry("Federated", f"arn:aws:iam::{unknown}:oidc-provider/{_PROBE}"),
        PrincipalEntry("CanonicalUser", _PROBE),
    ]
    signed = [*(PrincipalEntry("AWS", arn) for arn in dict.fromkeys(arns)), *named, *others]
    return [*((entry,) for entry in signed), ()]
