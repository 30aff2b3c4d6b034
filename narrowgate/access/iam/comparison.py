"""Says whether a change of policies allows anything new, and whether policies allow any of some requests.

Both questions are one search (see `search`) over the statements that allow, each with all that could forbid it.
The answer is a request that `evaluate` confirmed, a proof that there is none, or the reason why neither was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.boxes import (
    Numbering,
    Undecidable,
    allows,
    denies,
    make_boxes,
    meaning,
    substitute,
    variables_of,
)
from narrowgate.access.iam.evaluation import Documents, Request, as_policies, evaluate_request
from narrowgate.access.iam.policy import Policy, Statement
from narrowgate.access.iam.search import Avoided, Fixed, search
from narrowgate.access.iam.templates import compile_action, compile_resource
from narrowgate.access.iam.witness import make_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_SKETCHES: Final = 24
_ASSIGNMENTS: Final = 24
_LITERALS_OF_ONE_KEY: Final = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change allows: `no_new_access` is True (proven), False (see `witness`) or None (see `reason`)."""

    no_new_access: bool | None
    witness: Request | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Whether some request is allowed: True with that `request`, False (proven none) or None (see `reason`)."""

    exists: bool | None
    request: Request | None = None
    reason: str | None = None


def compare(old: Documents, new: Documents) -> Comparison:
    """Say whether `new` allows a request that `old` does not, over all actions, resources, contexts and callers.

    Actions are strings: a name that AWS does not know yet counts. Raises PolicyError for a malformed document.
    """
    before, after = as_policies(old), as_policies(new)
    found = _Hunt(lambda request: _is_new(before, after, request)).run(_new_access(before, after))
    if found.exists is None:
        return Comparison(None, reason=found.reason)
    return Comparison(not found.exists, found.request)


def find_request(
    policies: Documents,
    actions: str | Sequence[str] = "*",
    resources: str | Sequence[str] = "*",
    boundary: Documents | None = None,
) -> Found:
    """Look for a request that the policies (within the boundary) allow, among action and resource patterns.

    The patterns are read as a policy's, without variables. Raises PolicyError for a malformed document or pattern.
    """
    granted = as_policies(policies)
    bounds = None if boundary is None else as_policies(boundary)
    asked = _question(actions, resources)
    limits: list[tuple[Statement, ...]] = [()] if bounds is None else [(one,) for one in allows(bounds)]
    forbidden = [*denies(granted), *denies(bounds or ())]
    targets = [(one, *limit, asked) for one in allows(granted) for limit in limits]

    def is_allowed(request: Request) -> bool:
        whole = evaluate_request(granted, request, bounds).allowed
        return whole and evaluate_request(Policy("2012-10-17", (asked,)), request).allowed

    return _Hunt(is_allowed).run([_Target(targets, forbidden)])


def _question(actions: str | Sequence[str], resources: str | Sequence[str]) -> Statement:
    """Make a statement of the patterns that are asked for."""
    names = [actions] if isinstance(actions, str) else actions
    arns = [resources] if isinstance(resources, str) else resources
    return Statement(
        index=0,
        sid=None,
        effect="Allow",
        actions=tuple(compile_action(name) for name in names),
        not_action=False,
        resources=tuple(compile_resource(arn, variables=False, place="resources") for arn in arns),
        not_resource=False,
        principals=None,
        not_principal=False,
        conditions=(),
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """Groups of statements that must all apply (one group suffices), and statements none of which may."""

    wanted: Sequence[tuple[Statement, ...]]
    avoided: Sequence[Statement]


def _is_new(before: Sequence[Policy], after: Sequence[Policy], request: Request) -> bool:
    return evaluate_request(after, request).allowed and not evaluate_request(before, request).allowed


def _new_access(before: Sequence[Policy], after: Sequence[Policy]) -> Iterator[_Target]:
    """Yield where new access may lie: outside all that was allowed, and inside what was denied."""
    kept = {meaning(one) for one in allows(before)}
    forbidden = denies(after)
    yield _Target([(one,) for one in allows(after) if meaning(one) not in kept], [*allows(before), *forbidden])
    still_denied = {meaning(one) for one in forbidden}
    for lifted in denies(before):
        if meaning(lifted) not in still_denied:
            yield _Target([(one, lifted) for one in allows(after)], forbidden)


class _Hunt:
    """Searches targets for a request that a check confirms."""

    def __init__(self, confirms: Callable[[Request], bool]) -> None:
        self._confirms = confirms
        self._reasons: list[str] = []

    def run(self, targets: Iterable[_Target]) -> Found:
        """Return the first confirmed request, or the proof or the reason why there is none."""
        for target in targets:
            numbering: Numbering = {}
            avoided = Avoided(make_boxes(target.avoided, numbering), numbering)
            for wanted in target.wanted:
                request = self._try(wanted, target, avoided)
                if request is not None:
                    return Found(exists=True, request=request)
        if self._reasons:
            return Found(exists=None, reason="; ".join(dict.fromkeys(self._reasons)))
        return Found(exists=False)

    def _try(self, wanted: tuple[Statement, ...], target: _Target, avoided: Avoided) -> Request | None:
        try:
            for attempt in _attempts(avoided):
                request, is_empty = self._take(wanted, target.avoided, attempt)
                if request is not None or (is_empty and not attempt.together):
                    return request
            for values in _assignments(wanted, target.avoided):
                request = self._take_with(wanted, target.avoided, values)
                if request is not None:
                    return request
        except Undecidable as limit:
            self._reasons.append(str(limit))
            return None
        self._reasons.append("a possible request could not be made concrete")
        return None

    def _take(
        self, wanted: tuple[Statement, ...], shunned: Sequence[Statement], avoided: Avoided
    ) -> tuple[Request | None, bool]:
        """Return a confirmed request, and whether the search was empty (proof that none exists)."""
        positives = make_boxes(wanted, avoided.numbering)
        is_empty = True
        for sketch in islice(search(positives, avoided), _SKETCHES):
            is_empty = False
            live = sketch.live

            def is_safe(action: str, live: int = live) -> bool:
                return not avoided.actions.live(action) & ~live

            for request in make_requests(sketch, (*wanted, *shunned), avoided.fixed, is_safe):
                if self._confirms(request):
                    return request, False
        return None, is_empty

    def _take_with(self, wanted: tuple[Statement, ...], shunned: Sequence[Statement], values: Fixed) -> Request | None:
        """Search with every policy variable replaced by a value."""
        numbering: Numbering = {}
        replaced = [substitute(one, values) for one in shunned]
        avoided = Avoided(make_boxes(replaced, numbering), numbering, values, fineness=1, together=True)
        return self._take(tuple(substitute(one, values) for one in wanted), replaced, avoided)[0]


def _attempts(avoided: Avoided) -> Iterator[Avoided]:
    """Yield the ways to search, the fastest first; the last one proves nothing."""
    yield avoided
    yield replace(avoided, fineness=1)
    yield replace(avoided, fineness=2)
    yield replace(avoided, fineness=1, together=True)


def _assignments(wanted: Sequence[Statement], shunned: Sequence[Statement]) -> Iterator[Fixed]:
    """Yield values for the keys that policy variables name: new ones, none, and those that conditions name."""
    statements = [*wanted, *shunned]
    keys = sorted(variables_of(statements))
    if keys:
        yield from islice(_all_assignments(keys, variables_of(wanted), statements), _ASSIGNMENTS)


def _all_assignments(keys: list[str], needed: set[str], statements: Sequence[Statement]) -> Iterator[Fixed]:
    unknown = {key: _unknown_value(key, number) for number, key in enumerate(keys)}
    yield unknown
    yield {key: unknown[key] if key in needed else None for key in keys}
    yield dict.fromkeys(keys)
    yield dict.fromkeys(keys, "narrowgate-probe")
    yield dict.fromkeys(keys, "x")
    for key in keys:
        yield {**unknown, key: None}
    for key in keys:
        literals = (
            pattern.text
            for one in statements
            for condition in one.conditions
            if condition.key == key
            for pattern in condition.values
            if not pattern.variables
        )
        for value in islice(dict.fromkeys(literals), _LITERALS_OF_ONE_KEY):
            yield {**unknown, key: value.replace("*", "x").replace("?", "x")}


def _unknown_value(key: str, number: int) -> str:
    return f"{111122223333 + number}" if key.endswith("account") else f"narrowgate-{number}"
