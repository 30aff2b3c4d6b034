"""Decides one request by a set of policies, exactly as IAM's evaluation logic does within one kind of policy.

An explicit deny beats every allow; without an allow the answer is an implicit deny; a permissions boundary and a
session policy each must allow too. Policies of different kinds that add up (a bucket's policy beside a role's) are
the caller's to combine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from narrowgate.access.iam.conditions import Values, holds, write_number
from narrowgate.access.iam.document import parse
from narrowgate.access.iam.glob import RESERVED, matches
from narrowgate.access.iam.policy import Lookup, Pattern, Policy, PrincipalEntry, RequestError, Statement
from narrowgate.access.iam.principals import Principal, context_of, names_caller, read_principal

Document = Policy | Mapping[str, Any] | str
Documents = Document | Sequence[Document]
"""One policy or several: parsed, as a dict, or as JSON text."""
ContextValue = str | bool | int | float | Decimal | Sequence[str | bool | int | float | Decimal] | None
Context = Mapping[str, ContextValue]
Reason = Literal["Allowed", "ImplicitlyDenied", "ExplicitlyDenied"]
_NO_CONTEXT: Context = {}


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the action, the ARN (or `*`), the context keys with their values, and who makes it."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class DecidingStatement:
    """Where the statement that decided stands: `source` is policies, boundary or session; both indices from 0."""

    source: Literal["policies", "boundary", "session"]
    policy: int
    index: int
    sid: str | None

    def __str__(self) -> str:
        """Name the place as a person would look for it."""
        name = f" ({self.sid})" if self.sid else ""
        return f"{self.source}[{self.policy}].Statement[{self.index}]{name}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer: `statement` is the deny that forbids or the allow that permits, None for an implicit deny."""

    allowed: bool
    reason: Reason
    statement: DecidingStatement | None = None


def as_policies(documents: Documents) -> tuple[Policy, ...]:
    """Return parsed policies, whatever form they were given in.

    Raises PolicyError.
    """
    if isinstance(documents, Policy | Mapping | str):
        documents = [documents]
    return tuple(document if isinstance(document, Policy) else parse(document) for document in documents)


def evaluate(  # noqa: PLR0913, PLR0917 - a request and the three kinds of policy are what AWS evaluates
    policies: Documents,
    action: str,
    resource: str,
    context: Context | None = None,
    boundary: Documents | None = None,
    session: Documents | None = None,
    principal: Principal | None = None,
) -> Decision:
    """Decide one request.

    `policies` are those of one identity (or the policies of one resource, or one trust policy); `boundary` and
    `session`, where given, must allow too. `context` maps context keys to one value or a list; keys that differ in
    case only are one key with the values of all.
    `principal` says who asks, for statements with Principal: an ARN, an account, a service or a mapping such as
    `{"AWS": arn}`; without it, `aws:PrincipalArn` of the context; without that, somebody unknown.

    Raises PolicyError for a malformed document and RequestError for a malformed request.
    """
    sources: dict[Literal["policies", "boundary", "session"], tuple[Policy, ...]] = {"policies": as_policies(policies)}
    if boundary is not None:
        sources["boundary"] = as_policies(boundary)
    if session is not None:
        sources["session"] = as_policies(session)
    asked = _Asked.read(action, resource, _NO_CONTEXT if context is None else context, principal)
    allow: DecidingStatement | None = None
    allowed = True
    for source, documents in sources.items():
        found: DecidingStatement | None = None
        for number, policy in enumerate(documents):
            for statement in policy.statements:
                if (statement.effect == "Deny" or found is None) and asked.meets(statement):
                    place = DecidingStatement(source, number, statement.index, statement.sid)
                    if statement.effect == "Deny":
                        return Decision(allowed=False, reason="ExplicitlyDenied", statement=place)
                    found = place
        allow = allow or found
        allowed = allowed and found is not None
    return Decision(allowed=True, reason="Allowed", statement=allow) if allowed else _IMPLICIT


_IMPLICIT = Decision(allowed=False, reason="ImplicitlyDenied")


def evaluate_request(policies: Documents, request: Request, boundary: Documents | None = None) -> Decision:
    """Decide a `Request`; see `evaluate`."""
    return evaluate(
        policies, request.action, request.resource, request.context, boundary=boundary, principal=request.principal
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request in the form that statements are compared with."""

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]]
    caller: tuple[PrincipalEntry, ...]

    @classmethod
    def read(cls, action: str, resource: str, context: Context, principal: Principal | None) -> _Asked:
        """Normalize a request. Raises RequestError."""
        for text in (action, resource):
            if not isinstance(text, str):
                raise RequestError("an action and a resource are strings")
            _check(text)
        values: dict[str, tuple[str, ...]] = {}
        for key, value in context.items():
            if (given := read_values(value)) is not None:
                values[key.lower()] = values.get(key.lower(), ()) + given
        caller = read_principal(principal)
        if principal is None and len(arn := values.get("aws:principalarn", ())) == 1:
            caller = read_principal(arn[0])
        return cls(action.lower(), resource, {**context_of(caller), **values}, caller)

    def meets(self, statement: Statement) -> bool:
        """Say whether the statement applies to this request."""
        return (
            _any_matches(statement.actions, self.action, self.lookup) != statement.not_action
            and (
                statement.resources is None
                or _any_matches(statement.resources, self.resource, self.lookup) != statement.not_resource
            )
            and (
                statement.principals is None
                or names_caller(
                    statement.principals, self.caller, excluding=statement.not_principal, effect=statement.effect
                )
            )
            and all(
                holds(condition, self.context.get(condition.key), self.lookup) for condition in statement.conditions
            )
        )

    def lookup(self, key: str) -> str | None:
        """Return the one value of a context key."""
        values = self.context.get(key)
        return values[0] if values is not None and len(values) == 1 else None


def _any_matches(patterns: tuple[Pattern, ...], text: str, lookup: Lookup) -> bool:
    for pattern in patterns:
        tokens = pattern.resolve(lookup)
        if tokens is not None and matches(tokens, text):
            return True
    return False


def read_values(value: ContextValue) -> Values:
    """Return a context value as IAM compares it: strings; None where the key counts as missing."""
    if value is None:
        return None
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(_read_scalar(one) for one in value)
    return (_read_scalar(value),)


def _read_scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        _check(value)
        return value
    if isinstance(value, int | float | Decimal):
        written = write_number(Decimal(str(value)))
        if written is not None:
            return written
    raise RequestError(f"a context value is a string, a number or a boolean, not {type(value).__name__}")


def _check(text: str) -> None:
    if text and max(text) >= RESERVED:
        raise RequestError("a character of the last private-use plane is not allowed in a request")
