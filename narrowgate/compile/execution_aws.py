"""`aws-call`: one call of the AWS API, whose permissions are exactly what the action grants.

What the executor reads of the target before and after is granted from the action's own resources: no declaration can
give its reading session more than the gated one is about. This module must not call AWS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue

from narrowgate.compile import aws_calls, iam_catalogue, iam_conditions
from narrowgate.compile.arns import place_arn
from narrowgate.compile.backends.aws import AwsGrant
from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.execution import DeclaredExecution, Reversible, Scalar
from narrowgate.compile.expressions import check_changes, check_expressions
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import parse_template
from narrowgate.plan import IamGrant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from narrowgate.compile.backends.backend import DeclaredGrant
    from narrowgate.plan import ActionAccess

_SERVICE = r"^[a-z][a-z0-9-]{0,62}$"
_OPERATION = r"^[A-Z][A-Za-z0-9]{0,126}$"


class AwsCall(Declared):
    """One operation, by the names of AWS's own API."""

    service: str = Field(pattern=_SERVICE)
    """The service, as AWS's clients call it: `s3`."""
    operation: str = Field(pattern=_OPERATION)
    """The operation, as the API calls it: `DeleteObject`."""
    arguments: dict[str, JsonValue]
    """Its arguments; what the draft does not give is left out."""


class AwsRead(Declared):
    """What is read of the target, by a session that can do nothing else: an operation of the same service."""

    operation: str = Field(pattern=_OPERATION)
    """The operation, which only reads."""
    arguments: dict[str, JsonValue]
    """Its arguments; each value is known when people decide."""
    fields: dict[str, str] = Field(min_length=1)
    """What of the answer is looked at and shown: a name and a JMESPath expression for each."""


class AwsCallExecution(DeclaredExecution):
    """One call of the AWS API. It is sent once; AWS itself does not refuse a second one."""

    handler: Literal["aws-call"]
    """How it is carried out."""
    call: AwsCall
    """The call."""
    read: AwsRead | None = None
    """What is read of its target; without it, approvers see only what will be called."""
    changes: dict[str, Scalar | None] = Field(default_factory=dict)
    """What the fields will be; `null` for what will be gone."""
    result: dict[str, str] = Field(default_factory=dict)
    """What is kept of the answer: a name and a JMESPath expression for each. Nothing else of it is."""
    reversible: Reversible
    """Whether and how it can be undone, in words, for approvers."""

    def check(self) -> Iterator[Problem]:
        """Yield operations that are unknown or of the wrong kind, bad expressions, and changes that are not read."""
        if problem := aws_calls.check_call(self.call.service, self.call.operation):
            yield problem.under("call", "operation")
        elif not aws_calls.changes_something(self.call.service, self.call.operation):
            message, hint = f"{self.call.operation} changes nothing", "an action that only reads needs no approval"
            yield Problem(("call", "operation"), "bad-value", message, hint)
        yield from check_expressions(self.result, ("result",))
        if self.read is None:
            return
        yield from check_expressions(self.read.fields, ("read", "fields"))
        if problem := aws_calls.check_call(self.call.service, self.read.operation):
            yield problem.under("read", "operation")
        elif aws_calls.changes_something(self.call.service, self.read.operation):
            message = f"{self.read.operation} does more than read"
            yield Problem(("read", "operation"), "bad-value", message, "what is read before a decision changes nothing")
        yield from check_changes(self.changes, self.read.fields)

    def check_grants(self, grants: Sequence[DeclaredGrant]) -> Iterator[Problem]:
        """Yield where the action grants less or more than the call, or where its resources can't be read."""
        needed = set(aws_calls.needed_actions(self.call.service, self.call.operation))
        granted = {action for grant in grants if isinstance(grant, AwsGrant) for action in grant.iam}
        if missing := sorted(needed - granted):
            message = f"{self.call.operation} needs {', '.join(missing)}, which the action does not grant"
            yield Problem(("call", "operation"), "grant-missing", message, "add it to the action's `grants`")
        if spare := sorted(granted - needed - aws_calls.KEY_USE):
            message = f"the action grants {', '.join(spare)}, which {self.call.operation} does not need"
            yield Problem(("call", "operation"), "grant-spare", message, "take it out of the action's `grants`")
        if self.read is not None:
            for action in aws_calls.needed_actions(self.call.service, self.read.operation):
                yield from _check_read(action, self.read.operation, grants)

    def early(self) -> Mapping[str, Any]:
        """Return what is read, and what will be of it."""
        read = {} if self.read is None else {"arguments": dict(self.read.arguments)}
        return {"read": read, "changes": dict(self.changes)}


def _check_read(action: str, operation: str, grants: Sequence[DeclaredGrant]) -> Iterator[Problem]:
    """Yield why the reading session could not read what the action is about."""
    used = [grant for grant in grants if isinstance(grant, AwsGrant) and not set(grant.iam) <= aws_calls.KEY_USE]
    if not any(iam_catalogue.check_resource(action, _sample(text)) is None for grant in used for text in _texts(grant)):
        message = f"{operation} needs {action}, which acts on none of the action's resources"
        yield Problem(("read", "operation"), "iam-resource", message, "read what the action itself is about")
    for grant in used:
        for problem in iam_conditions.check_conditions([action], grant.when):
            message = f"{operation} can't be limited as the action is: {problem.message}"
            yield Problem(("read", "operation"), "iam-condition", message, "leave `read` out, or the condition")


def _texts(grant: AwsGrant) -> list[str]:
    return [grant.on] if isinstance(grant.on, str) else grant.on


def _sample(text: str) -> str:
    return "*" if text == "*" else place_arn(parse_template(text)).sample()


def grants_of(action: ActionAccess) -> tuple[IamGrant, ...]:
    """Return what a gated action's own session may do."""
    return tuple(grant for grant in action.grants if isinstance(grant, IamGrant))


def reads_of(action: ActionAccess) -> tuple[IamGrant, ...]:
    """Return what an executor's session may read before and after: the action's own resources, as it is limited."""
    call = {} if action.execution is None else json.loads(action.execution.call)
    if not call.get("read"):
        return ()
    needed = aws_calls.needed_actions(call["call"]["service"], call["read"]["operation"])
    found = []
    for grant in grants_of(action):
        if set(grant.actions) <= aws_calls.KEY_USE:
            found += [IamGrant(("kms:Decrypt",), grant.resources, grant.conditions)] * ("kms:Decrypt" in grant.actions)
            continue
        for name in needed:
            resources = tuple(arn for arn in grant.resources if iam_catalogue.check_resource(name, arn) is None)
            found += [IamGrant((name,), resources, grant.conditions)] * bool(resources)
    return tuple(dict.fromkeys(found))
