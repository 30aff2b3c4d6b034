"""`iam-no-privilege-escalation`: no identity can turn what it may do into more.

Source: the published collections that `escalation_paths` names. All policies of an identity count together, and each
step is asked of what they allow, so a path is found however it is spelled and over however many policies it is spread.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING

from narrowgate.compile.iam_catalogue import find_action
from narrowgate.rules.contexts import DIRECT_CALL, UNTAGGED, with_values
from narrowgate.rules.escalation_paths import ACTIONS, ANY, OUT_OF_REACH, PATHS, Path, Step
from narrowgate.rules.estate import Identity
from narrowgate.rules.questions import Answer, find_iam_request, line_of
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-no-privilege-escalation"


def judge(subject: Identity, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each gain that the identity's policies leave open, with one way in full."""
    texts = [text for arn in subject.missing if (text := settings.managed_policies.get(arn)) is not None]
    documents = (*subject.documents, *texts)
    if not find_iam_request(documents, ACTIONS, boundary=subject.boundary).possible:
        return
    by_gain: dict[str, list[tuple[Path, list[Answer]]]] = {}
    for path in PATHS:
        answers = _walk(path, documents, subject.boundary)
        if answers is not None:
            by_gain.setdefault(path.gain, []).append((path, answers))
    for gain, ways in by_gain.items():
        path, answers = ways[0]
        doubt = next((answer.doubt for answer in answers if answer.doubt), "")
        others = f" (or by {', '.join(other.name for other, _ in ways[1:])})" if len(ways) > 1 else ""
        yield report(NAME, subject, line=line_of(subject, answers[0]))(
            f"{subject.label} can escalate by {path.name}{others}: it {gain}{doubt}",
            detail="; then ".join(f"call {answer.example}" for answer in answers) + ".",
            fix=_fix(path),
        )


def _walk(path: Path, documents: tuple[str, ...], boundary: str | None) -> list[Answer] | None:
    """Return how each step can be made; None where one can't."""
    answers: list[Answer] = []
    for step in path.steps:
        answer = _try(step, documents, boundary)
        if answer is None:
            return None
        answers.append(answer)
    return answers


def _try(step: Step, documents: tuple[str, ...], boundary: str | None) -> Answer | None:
    if step.resources is ANY:
        base, (resources, limits) = DIRECT_CALL, _kinds(step.action)
    else:
        base, (resources, limits) = (*DIRECT_CALL, *UNTAGGED), (_fill(step.resources, documents), ())
    for context in step.contexts:
        answer = find_iam_request(
            (*documents, OUT_OF_REACH, *limits),
            (step.action,),
            resources,
            boundary=boundary,
            context=with_values(base, context),
        )
        if answer.possible:
            return answer
    return None


@lru_cache(1 << 10)
def _kinds(action: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds of resources that the action acts on, and a policy that denies what only looks like one.

    What allows it on other resources alone allows nothing. Within a pattern a `*` also stands for colons, which no ARN
    of these kinds has in its last part.
    """
    known = find_action(action)
    if known is None or not known.resource_formats:
        return ANY, ()
    kinds = tuple(dict.fromkeys(_FIELD.sub("*", form) for form in known.resource_formats))
    if any(kind.count(":") > _COLONS for kind in kinds):
        return kinds, ()
    deny = {"Effect": "Deny", "Action": action, "Resource": "arn:*:*:*:*:*:*"}
    return kinds, (json.dumps({"Version": "2012-10-17", "Statement": [deny]}),)


_FIELD = re.compile(r"\$\{[^}]*\}")
_COLONS = 5


def _fill(resources: tuple[str, ...], documents: tuple[str, ...]) -> tuple[str, ...]:
    """Return the resources with the places that the documents name, or any."""
    if not any("{" in resource for resource in resources):
        return resources
    return tuple(
        resource.format(partition=partition, region=region, account=account)
        for resource in resources
        for partition, region, account in _places(documents)
    )


@lru_cache(1 << 12)
def _places(documents: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    text = " ".join(documents)
    partitions = sorted({"aws", *_PARTITION.findall(text)})
    regions = sorted({"us-east-1", *_REGION.findall(text)})
    accounts = sorted({"111122223333", *_ACCOUNT.findall(text)})
    return tuple(islice(product(partitions, regions, accounts), _MOST_PLACES))


_PARTITION = re.compile(r"arn:(aws-[a-z-]+):")
_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b")
_ACCOUNT = re.compile(r"\b\d{12}\b")
_MOST_PLACES = 64


def _fix(path: Path) -> str:
    if path.name.startswith("iam:PassRole"):
        return "Take iam:PassRole away, or name the one role that may be passed and the service (iam:PassedToService)."
    if len(path.steps) > 1:
        return f"Take one of {', '.join(step.action for step in path.steps)} away."
    return f"Take {path.steps[0].action} away, or name the exact resources that it may reach."


RULE = Rule(NAME, "No identity can turn its permissions into more.", (Identity,), judge)
