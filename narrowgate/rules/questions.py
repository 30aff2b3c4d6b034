"""What rules ask `narrowgate.access`: which paths a Vault policy grants, and which requests IAM policies allow.

Equal texts are parsed and asked once, since a stack of many workflows holds many equal documents. What can't be read
or decided is answered as possible, with the doubt said, so that every rule fails closed without trying to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from narrowgate.access.iam import Decision, Policy, PolicyError, Request, evaluate, find_request
from narrowgate.access.iam import parse as parse_iam_policy
from narrowgate.access.iam.glob import is_literal, matches
from narrowgate.access.vault import VaultPolicyError
from narrowgate.access.vault import parse as parse_vault_policy
from narrowgate.rules.contexts import DIRECT_CALL, FixedContext, bind

if TYPE_CHECKING:
    from narrowgate.access.iam.policy import Statement
    from narrowgate.rules.estate import Identity

_CACHE = 1 << 14


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a request is `possible`; `request` is one, where one was worked out; `doubt` says why it is not sure.

    `place` is the document and the statement that allow it, both counted from 0.
    """

    possible: bool
    request: Request | None = None
    doubt: str = ""
    place: tuple[int, int] | None = None

    @property
    def example(self) -> str:
        """Return the request in words."""
        if self.request is None:
            return "no single request could be worked out, so any must be reckoned with"
        context = {key: value for key, value in self.request.context.items() if value is not None}
        when = " and ".join(f"{key} = {_value(value)}" for key, value in sorted(context.items()))
        return f"{self.request.action} on {self.request.resource}" + (f" where {when}" if when else "")


IMPOSSIBLE = Answer(possible=False)


@dataclass(frozen=True, slots=True)
class VaultRule:
    """One path that a Vault policy grants, with its sorted capabilities; `line` counts from 1 in the policy's text."""

    path: str
    capabilities: tuple[str, ...]
    line: int


@lru_cache(_CACHE)
def vault_rules(text: str) -> tuple[VaultRule, ...]:
    """Return what a Vault policy grants; a path that is only denied is left out.

    Raises VaultPolicyError where the text is no policy: then the rule that asks refuses.
    """
    return tuple(
        VaultRule(rule.path, tuple(sorted(rule.permissions.capabilities)), max(rule.line, 1))
        for rule in parse_vault_policy(text).rules
        if rule.permissions.capabilities and not rule.permissions.denied
    )


def granted_paths(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each path that a Vault policy grants, with its capabilities; nothing where the text is no policy.

    A text that is no policy is refused by the rules that read it, not by what counts users.
    """
    try:
        return tuple((rule.path, rule.capabilities) for rule in vault_rules(text))
    except VaultPolicyError:
        return ()


def find_iam_request(
    documents: tuple[str, ...],
    actions: tuple[str, ...],
    resources: tuple[str, ...] = ("*",),
    *,
    boundary: str | None = None,
    context: FixedContext = DIRECT_CALL,
) -> Answer:
    """Look for a request of `actions` (names without wildcards) on `resources` (patterns) that the documents allow.

    `context` says what some context keys are; all others are whatever makes the request possible.
    """
    return _find(documents, actions, resources, boundary, context)


def read_policy(document: str) -> Policy | PolicyError:
    """Return a parsed IAM policy, or why the text is none."""
    return _parse(document)


@lru_cache(_CACHE)
def _find(
    documents: tuple[str, ...],
    actions: tuple[str, ...],
    resources: tuple[str, ...],
    boundary: str | None,
    context: FixedContext,
) -> Answer:
    policies: list[Policy] = []
    for document in documents:
        policy = _bound(document, context)
        if isinstance(policy, PolicyError):
            return Answer(possible=True, doubt=f", as far as can be told: {policy}")
        policies.append(policy)
    asked = tuple(action for action in actions if any(_may_allow(policy, action) for policy in policies))
    if not asked:
        return IMPOSSIBLE
    limit = _bound(boundary, context) if boundary is not None else None
    if isinstance(limit, PolicyError):
        limit = None
    concrete = not any("*" in resource or "?" in resource for resource in resources)
    policies = [_about(policy, asked, resources if concrete else ()) for policy in policies]
    limits = None if limit is None else [_about(limit, asked, ())]
    if concrete and not _has_conditions([*policies, *(limits or ())]):
        return _try_each(policies, asked, resources, limits)
    found = find_request(policies, asked, resources, limits)
    if found.exists is None:
        return Answer(possible=True, doubt=f", as far as can be told: {found.reason}")
    if not found.exists or found.request is None:
        return IMPOSSIBLE
    request = found.request
    decision = evaluate(policies, request.action, request.resource, request.context, boundary=limits)
    return Answer(possible=True, request=request, place=_place(decision))


def _about(policy: Policy, actions: tuple[str, ...], resources: tuple[str, ...]) -> Policy:
    """Return the policy without statements that say nothing of `actions`, or of `resources` where those are given.

    They can't matter, and cost time.
    """
    asked = [action.lower() for action in actions]
    return replace(
        policy,
        statements=tuple(
            statement
            for statement in policy.statements
            if (
                statement.not_action
                or any(matches(pattern.tokens, name) for pattern in statement.actions for name in asked)
            )
            and _reaches(statement, resources)
        ),
    )


def _place(decision: Decision) -> tuple[int, int] | None:
    where = decision.statement
    return (where.policy, where.index) if where is not None and where.source == "policies" else None


def _reaches(statement: Statement, resources: tuple[str, ...]) -> bool:
    if not resources or statement.resources is None or statement.not_resource:
        return True
    return any(
        pattern.variables or matches(pattern.tokens, resource)
        for pattern in statement.resources
        for resource in resources
    )


def _has_conditions(policies: Iterable[Policy]) -> bool:
    """Tell whether anything but action and resource matters: conditions, or variables in resources."""
    return any(
        statement.conditions or any(pattern.variables for pattern in statement.resources or ())
        for policy in policies
        for statement in policy.statements
    )


def _try_each(
    policies: list[Policy], actions: tuple[str, ...], resources: tuple[str, ...], limits: list[Policy] | None
) -> Answer:
    """Decide each of the few requests there are, where no condition can change the answer."""
    for action in actions:
        for resource in resources:
            decision = evaluate(policies, action, resource, boundary=limits)
            if decision.allowed:
                return Answer(possible=True, request=Request(action, resource), place=_place(decision))
    return IMPOSSIBLE


@lru_cache(_CACHE)
def _parse(document: str) -> Policy | PolicyError:
    try:
        return parse_iam_policy(document)
    except PolicyError as error:
        return error


@lru_cache(_CACHE)
def _bound(document: str, context: FixedContext) -> Policy | PolicyError:
    policy = _parse(document)
    return policy if isinstance(policy, PolicyError) else bind(policy, dict(context))


@lru_cache(_CACHE)
def _allowed_actions(policy: Policy) -> tuple[frozenset[str], tuple[str, ...], bool]:
    """Return what the policy's allowing statements name: literal actions, patterns, and whether one says NotAction."""
    literals: set[str] = set()
    patterns: dict[str, None] = {}
    for statement in policy.statements:
        if statement.effect != "Allow":
            continue
        if statement.not_action:
            return frozenset(), (), True
        for pattern in statement.actions:
            if is_literal(pattern.tokens):
                literals.add(pattern.tokens)
            else:
                patterns[pattern.tokens] = None
    return frozenset(literals), tuple(patterns), False


def _may_allow(policy: Policy, action: str) -> bool:
    literals, patterns, all_but = _allowed_actions(policy)
    name = action.lower()
    return all_but or name in literals or any(matches(tokens, name) for tokens in patterns)


def _value(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)


def line_of(subject: Identity, answer: Answer) -> int:
    """Return the line of the statement that allows what was found; the subject's own where that is not known."""
    return subject.line if answer.place is None else subject.line_of(*answer.place)
