"""Comparisons by conditions and callers alone, against every value of a small universe, with all operators."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrowgate.access.iam import compare, evaluate

TEXTS = ["", "a", "A", "ab", "b", "aB", "true", "TRUE", "false", "x/y", "${t:v}"]
ARNS = ["arn:aws:sns:eu:1:t", "arn:aws:sns:us:1:t:u", "arn:aws:s3:::b", "arn:aws:s3:::b/a"]
NUMBERS = ["1", "1.0", "1.5", "2", "3", "-1"]
DATES = ["2026-01-01", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z", "2027"]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "11.0.0.1", "2001:db8::1", "2001:db9::1"]
BYTES = ["QQ==", "QUE="]
FAMILIES: dict[str, tuple[list[str], list[str]]] = {
    "text": (
        ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "Bool"],
        ["a", "A", "ab", "b", "true", "False", ""],
    ),
    "like": (
        ["StringLike", "StringNotLike", "StringEquals", "StringNotEquals"],
        ["a*", "?", "*b", "a?*", "*", "ab", "??"],
    ),
    "arn": (
        ["ArnLike", "ArnNotLike", "ArnEquals", "StringLike", "StringEquals"],
        ["arn:aws:sns:*:1:t", "arn:*:*:*:*:*", "arn:aws:sns:?u:*:t*", "arn:aws:s3:::b", "arn:aws:s3:::b*", "*"],
    ),
    "number": (
        ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan"],
        ["1", "1.5", "2", "10"],
    ),
    "date": (
        ["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThanEquals"],
        ["2026-01-01T00:00:00Z", "1767225600", "2026-01-01T00:00:01Z", "2026"],
    ),
    "address": (
        ["IpAddress", "NotIpAddress"],
        ["10.0.0.0/8", "10.0.0.0/31", "10.0.0.2", "0.0.0.0/0", "2001:db8::/32", "::/0"],
    ),
    "binary": (["BinaryEquals"], ["QQ==", "QUE="]),
}
SINGLES = {
    "text": TEXTS,
    "like": TEXTS,
    "arn": [*ARNS, "a", "*"],
    "number": [*NUMBERS, "ten"],
    "date": [*DATES, "soon"],
    "address": [*ADDRESSES, "nowhere"],
    "binary": [*BYTES, "Q"],
}
KEY = "aws:TagKeys"  # may have several values, so that every set qualifier makes sense
MODEST = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(MODEST, max_examples=20000)


@st.composite
def conditions(draw: st.DrawFn, family: str) -> dict[str, Any]:
    operators, values = FAMILIES[family]
    found: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 2))):
        operator = draw(st.sampled_from([*operators, "Null"]))
        if operator == "Null":
            found["Null"] = {KEY: draw(st.sampled_from(["true", "false"]))}
            continue
        name = draw(st.sampled_from(["", "", "", "ForAllValues:", "ForAnyValue:"])) + operator
        name += draw(st.sampled_from(["", "", "IfExists"]))
        found[name] = {KEY: draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))}
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any]]:
    family = draw(st.sampled_from(list(FAMILIES)))

    def policy() -> dict[str, Any]:
        statements = [
            {
                "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
                "Action": "*",
                "Resource": "*",
                "Condition": draw(conditions(family)),
            }
            for _ in range(draw(st.integers(1, 3)))
        ]
        return {"Version": "2012-10-17", "Statement": statements}

    return family, policy(), policy()


def contexts(family: str) -> list[dict[str, Any]]:
    singles = SINGLES[family]
    several = [list(some) for length in (0, 2, 3) for some in itertools.combinations(singles, length)]
    return [{}, *({KEY: value} for value in [*singles, *several])]


def check(old: dict[str, Any], new: dict[str, Any], universe: list[dict[str, Any]]) -> None:
    result = compare(old, new)
    fresh = (
        context
        for context in universe
        if evaluate(new, "s3:Get", "*", context).allowed and not evaluate(old, "s3:Get", "*", context).allowed
    )
    assert result.no_new_access is not None, result.reason
    if result.no_new_access:
        assert next(fresh, None) is None
    else:
        assert result.witness is not None
        request = result.witness
        assert evaluate(new, request.action, request.resource, request.context).allowed
        assert not evaluate(old, request.action, request.resource, request.context).allowed


@MODEST
@given(pairs())
def test_no_value_contradicts_a_comparison(pair: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    family, old, new = pair
    check(old, new, contexts(family))


@pytest.mark.long
@MANY
@given(pairs())
def test_many_values_contradict_no_comparison(pair: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    family, old, new = pair
    check(old, new, contexts(family))


CALLERS: list[Any] = [
    None,
    "arn:aws:iam::111111111111:root",
    "arn:aws:iam::111111111111:user/a",
    "arn:aws:iam::111111111111:role/p/R",
    "arn:aws:sts::111111111111:assumed-role/R/s",
    "arn:aws:sts::111111111111:assumed-role/R/t",
    "arn:aws:iam::222222222222:user/a",
    {"Service": "ec2.amazonaws.com"},
    {"Service": "ecs.amazonaws.com"},
    {"Federated": "accounts.google.com"},
    {"CanonicalUser": "79a5"},
]
NAMED: list[Any] = [
    "*",
    {"AWS": "*"},
    {"AWS": "111111111111"},
    {"AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:user/a"]},
    {"AWS": "arn:aws:iam::111111111111:role/p/R"},
    {"AWS": "arn:aws:sts::111111111111:assumed-role/R/s"},
    {"AWS": "222222222222", "Service": "ec2.amazonaws.com"},
    {"Service": ["ec2.amazonaws.com", "ecs.amazonaws.com"]},
    {"Federated": "accounts.google.com"},
    {"Federated": "*"},
]
CALLER_CONDITIONS: list[dict[str, Any]] = [
    {},
    {},
    {"StringEquals": {"aws:PrincipalAccount": "111111111111"}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
    {"StringNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:user/a"}},
    {"Null": {"aws:PrincipalArn": "true"}},
]


@st.composite
def trust_policies(draw: st.DrawFn) -> dict[str, Any]:
    statements = [
        {
            "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
            "Action": "sts:AssumeRole",
            draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"])): draw(st.sampled_from(NAMED)),
            "Condition": draw(st.sampled_from(CALLER_CONDITIONS)),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def check_callers(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = compare(old, new)
    if result.no_new_access:
        for caller in CALLERS:
            if evaluate(new, "sts:AssumeRole", "*", principal=caller).allowed:
                assert evaluate(old, "sts:AssumeRole", "*", principal=caller).allowed, caller
    elif result.no_new_access is False:
        assert result.witness is not None
        request, caller = result.witness, result.witness.principal
        assert evaluate(new, request.action, request.resource, request.context, principal=caller).allowed
        assert not evaluate(old, request.action, request.resource, request.context, principal=caller).allowed


@MODEST
@given(trust_policies(), trust_policies())
def test_no_caller_contradicts_a_comparison(old: dict[str, Any], new: dict[str, Any]) -> None:
    check_callers(old, new)


@pytest.mark.long
@MANY
@given(trust_policies(), trust_policies())
def test_many_callers_contradict_no_comparison(old: dict[str, Any], new: dict[str, Any]) -> None:
    check_callers(old, new)
