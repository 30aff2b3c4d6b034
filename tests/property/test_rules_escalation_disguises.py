"""Every way to escalate of the table is found however its policy is disguised; the same, denied, is not."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.rules.escalation_paths import PATHS
from narrowgate.rules.files import read_text
from narrowgate.rules.iam_no_privilege_escalation import NAME, RULE
from narrowgate.rules.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable

Statement = dict[str, Any]
EXAMPLES = int(os.environ.get("NARROWGATE_EXAMPLES", "100"))
ACTIONS = {path.name: tuple(dict.fromkeys(step.action for step in path.steps)) for path in PATHS}
UNRELATED = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/*"}


def escalates(*documents: object) -> bool:
    text = json.dumps(documents[0] if len(documents) == 1 else list(documents))
    return any(finding.rule == NAME for finding in judge(read_text(text, "x.json", "x"), rules=(RULE,)))


def policy(*statements: Statement, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


# how an action may be spelled: the first place behind the service's name, and each of the others
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda action: action,
    "?": lambda action: action.partition(":")[0] + ":?" + action.partition(":")[2][1:],
    "a ? inside": lambda action: action[:-3] + "?" + action[-2:],
    "a * inside": lambda action: action[:-3] + "*" + action[-1:],
    "a * at the end": lambda action: action[:-1] + "*",
    "other case": lambda action: action.swapcase(),
    "** in a row": lambda action: action[:-2] + "**?",
    "the whole service": lambda action: action.partition(":")[0] + ":*",
}

# what a resource may be
RESOURCES: dict[str, Statement] = {
    "*": {"Resource": "*"},
    "every ARN": {"Resource": "arn:aws:*:*:*:*"},
    "every ARN of any partition": {"Resource": "arn:*:*:*:*:*"},
    "beginning": {"Resource": "a*"},
    "? and *": {"Resource": "?*"},
    "several": {"Resource": ["arn:aws:s3:::acme/*", "arn:aws:*"]},
    "NotResource": {"NotResource": "arn:aws:s3:::acme/*"},
    "NotResource of another's role": {"NotResource": ["arn:aws:iam::999999999999:role/other"]},
}

# conditions that anybody can meet
CONDITIONS: dict[str, Statement] = {
    "none": {},
    "any user": {"StringLike": {"aws:username": "*"}},
    "any caller": {"ArnLike": {"aws:PrincipalArn": "arn:*"}},
    "any caller but one": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/other"}},
    "TLS": {"Bool": {"aws:SecureTransport": "true"}},
    "TLS, if it is said": {"BoolIfExists": {"aws:SecureTransport": "true"}},
    "a second factor": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    "a new second factor": {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}},
    "a key that is": {"Null": {"aws:PrincipalArn": "false"}},
    "a key that is not": {"Null": {"aws:SourceVpce": "true"}},
    "after a past day": {"DateGreaterThan": {"aws:CurrentTime": "2019-01-01T00:00:00Z"}},
    "before a far day": {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}},
    "after a past second": {"NumericGreaterThan": {"aws:EpochTime": "1"}},
    "any address": {"IpAddress": {"aws:SourceIp": ["0.0.0.0/0", "::/0"]}},
    "any address but one": {"NotIpAddress": {"aws:SourceIp": "203.0.113.7/32"}},
    "not by a service": {"Bool": {"aws:ViaAWSService": "false"}},
    "a list without a value": {"ForAllValues:StringLike": {"aws:TagKeys": "*"}},
    "another's name": {"StringNotEquals": {"aws:PrincipalAccount": "999999999999"}},
    "any of its own organization": {"StringLike": {"aws:PrincipalOrgID": "o-*"}},
    "several": {"StringLike": {"aws:userid": "*"}, "Bool": {"aws:SecureTransport": "true"}},
    "other case": {"stringlike": {"AWS:USERNAME": ["x", "*"]}},
}

# statements beside it that deny something else
DENIALS: dict[str, Statement | None] = {
    "none": None,
    "another action": {"Effect": "Deny", "Action": ["s3:DeleteBucket", "iam:DeleteUser"], "Resource": "*"},
    "another resource": {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:iam::999999999999:role/other"},
    "another caller": {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/other"}},
    },
    "without TLS": {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    },
    "long ago": {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": "2019-01-01T00:00:00Z"}},
    },
}


def disguise(name: str, spelling: str, resource: str, condition: str) -> list[Statement]:
    """Return a statement for each action of the path, each disguised alike."""
    more = {"Condition": CONDITIONS[condition]} if CONDITIONS[condition] else {}
    return [
        {"Effect": "Allow", "Action": SPELLINGS[spelling](action), **RESOURCES[resource], **more}
        for action in ACTIONS[name]
    ]


KINDS: tuple[dict[str, Any], ...] = (SPELLINGS, RESOURCES, CONDITIONS)
PLAIN = ("plain", "*", "none")
SINGLE = {
    **{f"action: {spelling}": (spelling, "*", "none") for spelling in SPELLINGS},
    **{f"resource: {resource}": ("plain", resource, "none") for resource in RESOURCES},
    **{f"condition: {condition}": ("plain", "*", condition) for condition in CONDITIONS},
}


@pytest.mark.long
@pytest.mark.parametrize("way", SINGLE)
def test_each_path_is_found_under_each_disguise(way: str) -> None:
    missed = [name for name in ACTIONS if not escalates(policy(*disguise(name, *SINGLE[way])))]
    assert missed == []


@pytest.mark.parametrize("denial", [name for name in DENIALS if name != "none"])
def test_each_path_is_found_beside_an_unrelated_denial(denial: str) -> None:
    beside = DENIALS[denial]
    assert beside is not None
    missed = [name for name in ACTIONS if not escalates(policy(beside, *disguise(name, *PLAIN)))]
    assert missed == []


def test_each_path_is_found_over_policies_of_one_role() -> None:
    missed = [
        name
        for name in ACTIONS
        if not escalates(policy(UNRELATED), *(policy(statement) for statement in disguise(name, *PLAIN)))
    ]
    assert missed == []


def test_each_path_is_found_in_not_action() -> None:
    everything_else = {"Effect": "Allow", "NotAction": ["s3:*", "dynamodb:GetItem"], "Resource": "*"}
    assert escalates(policy(everything_else))


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(data=st.data())
def test_each_path_is_found_under_all_disguises_together(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ACTIONS)), "path")
    statements = [
        disguise(name, *(data.draw(st.sampled_from(sorted(kind))) for kind in (SPELLINGS, RESOURCES, CONDITIONS)))[
            index
        ]
        for index in range(len(ACTIONS[name]))
    ]
    denial = DENIALS[data.draw(st.sampled_from(sorted(DENIALS)), "denial")]
    statements += [UNRELATED] * data.draw(st.integers(0, 2)) + ([denial] if denial else [])
    statements = data.draw(st.permutations(statements))
    count = data.draw(st.integers(1, len(statements)), "policies")
    documents = [policy(*statements[index::count]) for index in range(count)]
    assert escalates(*documents), documents


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_what_is_denied_is_no_path(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ACTIONS)), "path")
    way = [data.draw(st.sampled_from(sorted(kind))) for kind in KINDS]
    if way[0] != "plain":  # a pattern may open another path than the one that is denied
        way[0] = "other case"
    action = data.draw(st.sampled_from(ACTIONS[name]), "denied")
    spelled = SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))](action)
    denied = {"Effect": "Deny", "Action": spelled, "Resource": "*"}
    left = {each for each in ACTIONS[name] if not fnmatchcase(each.lower(), spelled.lower())}
    others = {other for other, needed in ACTIONS.items() if set(needed) <= left}
    assert escalates(policy(*disguise(name, *way)), policy(denied)) == bool(others)
