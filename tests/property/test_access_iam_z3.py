"""`compare` against z3 over random policies: neither may say the opposite of the other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrowgate.access.iam import compare

pytestmark = pytest.mark.long
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TIMEOUT_MS = 3000
ACTIONS = ["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:Put?bject", "s3:*Object", "iam:*Role", "iam:PassRole", "iam:*"]
RESOURCES = [
    "*",
    "arn:aws:s3:::a*",
    "arn:aws:s3:::a/x/*",
    "arn:aws:s3:::*/x/*",
    "arn:aws:s3:::a?/*",
    "arn:aws:s3:*:*:a",
    "arn:aws:s3:eu-*-1:*:a*",
    "arn:aws:iam::123456789012:role/*",
]
CONDITIONS: list[dict[str, Any]] = [
    {},
    {},
    {"StringEquals": {"aws:PrincipalTag/team": ["a", "b"]}},
    {"StringNotEquals": {"aws:PrincipalTag/team": "b"}},
    {"StringLike": {"aws:PrincipalTag/team": "a*"}},
    {"StringNotLikeIfExists": {"aws:principaltag/team": ["?", "b*"]}},
    {"StringEqualsIfExists": {"aws:PrincipalTag/team": "a"}},
    {"Null": {"aws:PrincipalTag/team": "false"}},
    {"Null": {"aws:PrincipalTag/owner": "true"}, "StringLike": {"aws:PrincipalTag/team": "*"}},
    {"NumericLessThan": {"s3:max-keys": "10"}},
    {"NumericGreaterThanEquals": {"s3:max-keys": "5"}, "NumericLessThanEquals": {"s3:max-keys": "20"}},
    {"StringEquals": {"aws:PrincipalTag/owner": "${aws:PrincipalTag/team}"}},
    {"StringNotEquals": {"aws:PrincipalTag/owner": "${aws:PrincipalTag/team}"}},
]


def load_z3_question() -> Any:  # noqa: ANN401 - a module
    specification = importlib.util.spec_from_file_location("iam_z3", BENCHMARKS / "iam_z3.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["iam_z3"] = module
    specification.loader.exec_module(module)
    return module


IAM_Z3 = load_z3_question()


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    action = draw(st.sampled_from(["Action", "Action", "Action", "NotAction"]))
    resource = draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        action: draw(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2)),
        resource: draw(st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2)),
        "Condition": draw(st.sampled_from(CONDITIONS)),
    }


def policies() -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(statements(), min_size=1, max_size=3).map(lambda one: {"Version": "2012-10-17", "Statement": one})


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), policies())
def test_z3_finds_no_request_where_compare_proves_none_and_the_other_way_round(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    found = IAM_Z3.allows_more([old], [new], TIMEOUT_MS)
    answer = compare(old, new)
    if found is not None and answer.no_new_access is not None:
        assert answer.no_new_access is not found, answer
