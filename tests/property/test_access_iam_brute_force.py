"""`compare` and `find_request` against every request of a small universe; a naive evaluator stands beside `evaluate`.

The naive evaluator is written from the user guide's words alone: fnmatch-like regular expressions, no compiled
patterns, no classes.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrowgate.access.iam import compare, evaluate, find_request

ACTIONS = ["s3:Get", "s3:Put", "s3:GetAcl", "iam:Get", "iam:Pass"]
RESOURCES = [
    "arn:aws:s3:::a",
    "arn:aws:s3:::a/x",
    "arn:aws:s3:::b/x",
    "arn:aws:s3:r:1:a/y",
    "arn:aws:iam::1:role/a",
    "*",
]
ACTION_PATTERNS = ["*", "s3:*", "s3:Get", "s3:Get*", "S3:put", "s3:???", "iam:*", "iam:Pass", "*:Get", "s3:*t"]
RESOURCE_PATTERNS = [
    "*", "arn:aws:s3:::a", "arn:aws:s3:::a/*", "arn:aws:s3:::*/x", "arn:aws:s3:*:*:a*", "arn:aws:s3:::?/x",
    "arn:aws:iam::1:*",
    "arn:aws:s3:::${aws:username}/x", "arn:aws:s3:::${aws:username, 'b'}/*",
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "aws:username": [None, "a", "b", "A"],
    "ec2:Level": [None, "1", "2", "3"],
    "aws:TagKeys": [None, [], ["a"], ["b"], ["a", "b"], ["a", "c"], [""]],
}
CONDITIONS: list[dict[str, Any]] = [
    {},
    {"StringEquals": {"aws:username": "a"}},
    {"StringEquals": {"AWS:UserName": ["a", "b"]}},
    {"StringNotEquals": {"aws:username": "a"}},
    {"StringNotEqualsIfExists": {"aws:username": ["a", "b"]}},
    {"StringEqualsIfExists": {"aws:username": "b"}},
    {"StringEqualsIgnoreCase": {"aws:username": "a"}},
    {"StringLike": {"aws:username": "?"}},
    {"StringNotLike": {"aws:username": "a*"}},
    {"Null": {"aws:username": "true"}},
    {"Null": {"aws:username": "false"}, "StringNotEquals": {"aws:username": "b"}},
    {"NumericLessThan": {"ec2:Level": "2"}},
    {"NumericGreaterThanEquals": {"ec2:Level": 2}},
    {"NumericNotEquals": {"ec2:Level": ["1", "3"]}},
    {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}},
    {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
    {"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}},
    {"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a", "b"]}},
    {"ForAllValues:StringNotLike": {"aws:TagKeys": "b*"}},
    {"StringLike": {"aws:TagKeys": "a"}},
    {"StringEquals": {"ec2:Level": "${aws:username}"}},
    {"StringNotEquals": {"aws:username": "${ec2:Level}"}},
    {"ForAnyValue:StringEquals": {"aws:TagKeys": "${aws:username}"}},
    {"StringEquals": {"aws:username": "a"}, "NumericEquals": {"ec2:Level": "1"}},
]

Statement = dict[str, Any]
PLAIN = [one for one in RESOURCE_PATTERNS if "$" not in one]


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    action = draw(st.sampled_from(["Action", "Action", "Action", "NotAction"]))
    resource = draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        action: draw(st.lists(st.sampled_from(ACTION_PATTERNS), min_size=1, max_size=3)),
        resource: draw(st.lists(st.sampled_from(RESOURCE_PATTERNS), min_size=1, max_size=3)),
        "Condition": draw(st.sampled_from(CONDITIONS)),
    }


def policies() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda version, found: {"Version": version, "Statement": found},
        st.sampled_from(["2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17"]),
        st.lists(statements(), min_size=1, max_size=4),
    )


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    contexts = [
        {key: value for key, value in zip(VALUES, values, strict=True) if value is not None}
        for values in itertools.product(*VALUES.values())
    ]
    return list(itertools.product(ACTIONS, RESOURCES, contexts))


REQUESTS = requests()


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]


def naive_fill(text: str, context: dict[str, Any], version: str) -> str | None:
    """Return a regular expression for a pattern, or None where a variable has no value."""
    if version == "2008-10-17":
        return naive_glob(text)
    result = ""
    for piece in re.split(r"(\$\{[^}]*\})", text):
        if not piece.startswith("${"):
            result += naive_glob(piece)
            continue
        name, _, default = piece[2:-1].partition(",")
        value = context.get(name.strip())
        if isinstance(value, list):
            value = value[0] if len(value) == 1 else None
        if value is None:
            value = default.strip().strip("'") or None
        if value is None:
            return None
        result += re.escape(value)
    return result


def naive_glob(text: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in text)


def naive_any(patterns: Any, text: str, context: dict[str, Any], version: str) -> bool:  # noqa: ANN401 - JSON
    filled = (naive_fill(pattern, context, version) for pattern in as_list(patterns))
    return any(one is not None and re.fullmatch(one, text, re.DOTALL) for one in filled)


def naive_test(operator: str, wanted: str, value: str, context: dict[str, Any], version: str) -> bool:
    if operator.startswith("Numeric"):
        left, right = (float(value), float(wanted)) if value.isdigit() else (float("nan"), 0.0)
        comparisons = {"LessThan": left < right, "GreaterThanEquals": left >= right, "Equals": left == right}
        return comparisons[operator.removeprefix("Numeric")]
    if operator == "StringLike":
        return naive_any(wanted, value, context, version)
    filled = wanted
    if version == "2012-10-17" and "${" in wanted:
        resolved = context.get(wanted[2:-1])
        if isinstance(resolved, list) or resolved is None:
            return False
        filled = resolved
    return filled.lower() == value.lower() if operator.endswith("IgnoreCase") else filled == value


def naive_condition(name: str, key: str, wanted: Any, context: dict[str, Any], version: str) -> bool:  # noqa: ANN401 - JSON
    values = {name.lower(): value for name, value in context.items()}.get(key.lower())
    values = None if values is None or values == [] else as_list(values)
    if name == "Null":
        return (values is None) == (wanted == "true")
    quantifier, _, operator = name.rpartition(":")
    optional, negated = operator.endswith("IfExists"), "Not" in operator
    operator = operator.removesuffix("IfExists").replace("Not", "")
    if values is None:
        return optional or quantifier == "ForAllValues" or (negated and not quantifier)
    if values == [""] and quantifier:
        return quantifier == "ForAllValues"
    hits = [any(naive_test(operator, str(one), value, context, version) for one in as_list(wanted)) for value in values]
    if quantifier == "ForAllValues":
        return all(hit != negated for hit in hits)
    if quantifier == "ForAnyValue":
        return any(hit != negated for hit in hits)
    return any(hits) != negated


def naive_applies(statement: Statement, request: tuple[str, str, dict[str, Any]], version: str) -> bool:
    action, resource, context = request
    key = "Action" if "Action" in statement else "NotAction"
    acts = naive_any([one.lower() for one in statement[key]], action.lower(), {}, "2008-10-17")
    where = "Resource" if "Resource" in statement else "NotResource"
    hits = naive_any(statement[where], resource, context, version)
    return (
        acts != (key == "NotAction")
        and hits != (where == "NotResource")
        and all(
            naive_condition(name, condition_key, wanted, context, version)
            for name, block in statement["Condition"].items()
            for condition_key, wanted in block.items()
        )
    )


def naive_evaluate(documents: list[dict[str, Any]], request: tuple[str, str, dict[str, Any]]) -> str:
    found = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if naive_applies(statement, request, document["Version"])
    }
    return "ExplicitlyDenied" if "Deny" in found else "Allowed" if "Allow" in found else "ImplicitlyDenied"


def check_evaluation(document: dict[str, Any]) -> None:
    for request in REQUESTS[::7]:
        assert evaluate(document, *request).reason == naive_evaluate([document], request), request


def check_comparison(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = compare(old, new)
    fresh = next(
        (
            one
            for one in REQUESTS
            if naive_evaluate([new], one) == "Allowed" and naive_evaluate([old], one) != "Allowed"
        ),
        None,
    )
    if result.no_new_access:
        assert fresh is None
    if result.no_new_access is False:
        witness = result.witness
        assert witness is not None
        assert evaluate(new, witness.action, witness.resource, witness.context).allowed
        assert not evaluate(old, witness.action, witness.resource, witness.context).allowed


def check_find(document: dict[str, Any], boundary: dict[str, Any], actions: str) -> None:
    result = find_request(document, actions, boundary=boundary)
    if result.exists is False:
        regular = naive_glob(actions.lower())
        for request in REQUESTS:
            if re.fullmatch(regular, request[0].lower()):
                both = (naive_evaluate([document], request), naive_evaluate([boundary], request))
                assert both != ("Allowed", "Allowed"), request
    if result.request is not None:
        found = result.request
        assert evaluate(document, found.action, found.resource, found.context, boundary=boundary).allowed


MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(MODEST, max_examples=6000)


@MODEST
@given(policies())
def test_evaluate_agrees_with_a_naive_reading_of_the_guide(document: dict[str, Any]) -> None:
    check_evaluation(document)


@MODEST
@given(policies(), policies())
def test_no_request_of_a_small_universe_contradicts_a_comparison(old: dict[str, Any], new: dict[str, Any]) -> None:
    check_comparison(old, new)


@MODEST
@given(policies(), st.lists(st.integers(0, 3), max_size=2), st.booleans())
def test_a_policy_never_gains_by_losing_an_allow(document: dict[str, Any], lost: list[int], twice: bool) -> None:  # noqa: FBT001 - hypothesis
    kept = [one for place, one in enumerate(document["Statement"]) if place not in lost or one["Effect"] == "Deny"]
    smaller = {**document, "Statement": [*kept, *kept] if twice else kept}
    assert compare(document, smaller).no_new_access is True


@MODEST
@given(policies(), policies(), st.sampled_from(["*", "s3:*", "iam:Pass", "s3:Get*"]))
def test_find_request_agrees_with_a_small_universe(
    document: dict[str, Any], boundary: dict[str, Any], actions: str
) -> None:
    check_find(document, boundary, actions)


@pytest.mark.long
@MANY
@given(policies(), policies())
def test_many_comparisons_hold(old: dict[str, Any], new: dict[str, Any]) -> None:
    check_comparison(old, new)


@pytest.mark.long
@MANY
@given(policies(), policies(), st.sampled_from(["*", "s3:*", "iam:Pass", "s3:Get*"]))
def test_many_finds_hold(document: dict[str, Any], boundary: dict[str, Any], actions: str) -> None:
    check_find(document, boundary, actions)


@pytest.mark.long
@MANY
@given(policies())
def test_many_evaluations_hold(document: dict[str, Any]) -> None:
    check_evaluation(document)
