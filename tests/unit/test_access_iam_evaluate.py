"""One request against one policy, by the rules of the IAM User Guide."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from narrowgate.access.iam import DecidingStatement, RequestError, evaluate, parse

LOGS = "arn:aws:logs:*:123456789012:log-group:/app/*:*"
OBJECT = "arn:aws:s3:::reports/2026/a.csv"


def policy(version: str = "2012-10-17", **statement: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"Version": version, "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", **statement}}


def allows(document: dict[str, Any], action: str = "s3:GetObject", resource: str = OBJECT, **context: Any) -> bool:  # noqa: ANN401 - JSON
    return evaluate(document, action, resource, context).allowed


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "s3:GetObject", True),
        ("*:*", "s3:GetObject", True),
        ("s3:*", "s3:GetObject", True),
        ("s3:*", "s3-object-lambda:GetObject", False),
        ("S3:getOBJECT", "s3:GetObject", True),
        ("s3:Get*", "s3:PutObject", False),
        ("s3:*Object", "s3:GetObjectAcl", False),
        ("iam:*AccessKey*", "iam:ListAccessKeys", True),
        ("ec2:?escribeInstances", "ec2:DescribeInstances", True),
        ("ec2:Describe?", "ec2:DescribeInstances", False),
        ("s3:GetObject", "s3:GetObjectVersion", False),
    ],
)
def test_actions_ignore_case_and_take_wildcards(pattern: str, action: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert allows(policy(Action=pattern), action) is expected


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("*", "*", True),
        ("*", OBJECT, True),
        ("arn:aws:s3:::reports/*", OBJECT, True),
        ("arn:aws:s3:::reports/*", "arn:aws:s3:::reports", False),
        ("arn:aws:s3:::reports*", "arn:aws:s3:::reports-of-others/x", True),
        ("arn:aws:s3:::REPORTS/*", OBJECT, False),
        ("arn:aws:s3:::reports/*/a.csv", "arn:aws:s3:::reports/1/2/3/a.csv", True),
        ("arn:aws:s3:::reports/?/a.csv", "arn:aws:s3:::reports/12/a.csv", False),
        ("arn:aws:s3:::*/2026/*", OBJECT, True),
        (LOGS, "arn:aws:logs:us-east-1:123456789012:log-group:/app/x:log-stream:y", True),
        (LOGS, "arn:aws:logs:us-east-1:999999999999:log-group:/app/x:log-stream:y", False),
        ("arn:aws:sns:us-*-1:123456789012:topic", "arn:aws:sns:us-east-1:123456789012:topic", True),
        ("arn:aws:sns:us-*-1:123456789012:topic", "arn:aws:sns:us-east-2:999999999999:x-1:123456789012:topic", False),
        ("arn:aws:sqs:eu-west-?:*:queue", "arn:aws:sqs:eu-west-1:123456789012:queue", True),
        ("arn:aws:ec2:us-east-1:*", "arn:aws:ec2:us-east-1:123456789012:instance/i-1", True),
        ("arn:aws:iam::*:role/*", "arn:aws:iam::123456789012:role/team/x", True),
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/xy", False),
        ("arn:*:s3:::reports/*", OBJECT, True),
        ("arn:aws:s3:::a:b/*", "arn:aws:s3:::a:b/c:d", True),
    ],
)  # fmt: skip
def test_resources_match_by_the_parts_of_an_arn(pattern: str, resource: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert allows(policy(Resource=pattern), resource=resource) is expected


def test_a_pattern_with_many_stars_is_matched_fast() -> None:
    assert not allows(policy(Resource="arn:aws:s3:::" + "a*" * 200 + "b"), resource="arn:aws:s3:::" + "a" * 5000)
    assert not allows(policy(Resource="arn:aws:s3:::" + "?*" * 50 + "b"), resource="arn:aws:s3:::" + "a" * 500)


CONDITIONS: list[tuple[str, Any, Any, bool]] = [
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", ["a", "b"], "b", True),
    ("StringEquals", "a*", "ab", False),
    ("StringEquals", "a*", "a*", True),
    ("StringEquals", "a", None, False),
    ("StringNotEquals", "a", "A", True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringNotEquals", "a", None, True),
    ("StringEqualsIfExists", "a", None, True),
    ("StringEqualsIfExists", "a", "b", False),
    ("StringNotEqualsIfExists", "a", None, True),
    ("StringEqualsIgnoreCase", "Ab", "aB", True),
    ("StringNotEqualsIgnoreCase", "Ab", "aB", False),
    ("StringLike", "a*c", "abbbc", True),
    ("StringLike", "a?c", "abbc", False),
    ("StringLike", "A*", "abc", False),
    ("StringLike", "home/${*}", "home/*", True),
    ("StringLike", "home/${*}", "home/x", False),
    ("StringLike", "${?}${$}", "?$", True),
    ("StringLike", ["", "home/"], "", True),
    ("StringLike", "*", None, False),
    ("StringNotLike", "a*", "b", True),
    ("StringNotLike", ["a*", "b*"], "bb", False),
    ("NumericEquals", "10", 10, True),
    ("NumericEquals", "10.0", "10", True),
    ("NumericNotEquals", "10", 11, True),
    ("NumericLessThan", 10, "9.99", True),
    ("NumericLessThan", 10, "10", False),
    ("NumericLessThanEquals", "10", Decimal(10), True),
    ("NumericGreaterThan", "-1", 0, True),
    ("NumericGreaterThanEquals", "5", 4.5, False),
    ("NumericEquals", "10", "ten", False),
    ("NumericEquals", ["1", "2"], 2, True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
    ("DateNotEquals", "2026", "2026-01-01T00:00Z", False),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999Z", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
    ("DateLessThanEquals", 1767225600, "2026-01-01T00:00:00Z", True),
    ("DateGreaterThan", "2020-04-01T00:00:01Z", "2020-04-01T00:00:02-01:00", True),
    ("Bool", "true", True, True),
    ("Bool", True, "TRUE", True),
    ("Bool", "false", "true", False),
    ("Bool", "false", None, False),
    ("BoolIfExists", "false", None, True),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
    ("BinaryEquals", "QQ==", "QUE=", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.255", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.0", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1", True),
    ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
    ("IpAddress", "10.0.0.0/8", "no address", False),
    ("NotIpAddress", "10.0.0.0/8", "11.0.0.1", True),
    ("NotIpAddress", ["10.0.0.0/8", "11.0.0.0/8"], "11.0.0.1", False),
    ("NotIpAddress", "10.0.0.0/8", None, True),
    ("ArnLike", "arn:aws:sns:*:123456789012:t*", "arn:aws:sns:eu-west-1:123456789012:topic", True),
    ("ArnEquals", "arn:aws:sns:*:123456789012:t*", "arn:aws:sns:eu-west-1:123456789012:topic", True),
    ("ArnLike", "arn:aws:someservice:*:111122223333:finance/*",
     "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt", False),
    ("StringLike", "arn:aws:someservice:*:111122223333:finance/*",
     "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt", True),
    ("ArnLike", "arn:aws:logs:*:*:log-group:*", "arn:aws:logs:eu-west-1:1:log-group:a:b:c", True),
    ("ArnNotLike", "arn:aws:iam::*:role/admin*", "arn:aws:iam::1:role/reader", True),
    ("ArnNotEquals", "arn:aws:iam::*:role/admin*", "arn:aws:iam::1:role/admin", False),
    ("Null", "true", None, True),
    ("Null", "true", "x", False),
    ("Null", False, "x", True),
    ("Null", "false", [], False),
    ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a", "b"], None, True),
    ("ForAllValues:StringEquals", ["a", "b"], [], True),
    ("ForAllValues:StringEquals", ["a", "b"], "", True),
    ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], False),
    ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], None, False),
    ("ForAnyValue:StringEquals", ["a", "b"], [], False),
    ("ForAnyValue:StringNotEquals", "a", None, False),
    ("ForAnyValue:StringNotEquals", "a", ["a"], False),
    ("ForAnyValue:StringNotEquals", "a", ["a", "b"], True),
    ("ForAnyValue:StringLikeIfExists", "a*", None, True),
    ("ForAllValues:NumericLessThan", "10", [1, 2, 30], False),
    ("ForAnyValue:IpAddress", "10.0.0.0/8", ["11.0.0.1", "10.0.0.1"], True),
    ("StringEquals", "a", ["b", "a"], True),
    ("StringNotEquals", "a", ["b", "a"], False),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), CONDITIONS)
def test_condition_operators(operator: str, wanted: Any, given: Any, expected: bool) -> None:  # noqa: ANN401, FBT001 - a table
    context = {} if given is None else {"My:Key": given}
    document = policy(Condition={operator: {"my:KEY": wanted}})
    assert evaluate(document, "s3:GetObject", OBJECT, context).allowed is expected


def test_operators_and_keys_must_all_hold() -> None:
    document = policy(Condition={"StringEquals": {"a": "1", "b": "2"}, "Null": {"c": "true"}})
    assert evaluate(document, "s3:GetObject", OBJECT, {"a": "1", "b": "2"}).allowed
    assert not evaluate(document, "s3:GetObject", OBJECT, {"a": "1", "b": "3"}).allowed
    assert not evaluate(document, "s3:GetObject", OBJECT, {"a": "1", "b": "2", "c": "x"}).allowed


HOME = "arn:aws:s3:::home/${aws:username}/*"


@pytest.mark.parametrize(
    ("pattern", "resource", "context", "expected"),
    [
        (HOME, "arn:aws:s3:::home/ann/x", {"aws:username": "ann"}, True),
        (HOME, "arn:aws:s3:::home/ann/x", {"AWS:UserName": "ann"}, True),
        (HOME, "arn:aws:s3:::home/bob/x", {"aws:username": "ann"}, False),
        (HOME, "arn:aws:s3:::home/${aws:username}/x", {}, False),
        (HOME, "arn:aws:s3:::home//x", {}, False),
        (HOME, "arn:aws:s3:::home/ann/x", {"aws:username": ["ann", "bob"]}, False),
        (HOME, "arn:aws:s3:::home/ann/x", {"aws:username": ["ann"]}, True),
        (HOME, "arn:aws:s3:::home/ann/x", {"aws:username": "*"}, False),
        ("arn:aws:s3:::home/${t:T, 'company-wide'}/*", "arn:aws:s3:::home/company-wide/x", {}, True),
        ("arn:aws:s3:::home/${t:T,'none'}/*", "arn:aws:s3:::home/none/x", {"t:t": "b"}, False),
        ("arn:aws:s3:::home/${*}", "arn:aws:s3:::home/*", {}, True),
        ("arn:aws:s3:::home/${*}", "arn:aws:s3:::home/x", {}, False),
        ("arn:aws:sqs:*:*:${aws:PrincipalTag/a:b}", "arn:aws:sqs:x:1:q", {"aws:PrincipalTag/a:b": "q"}, True),
    ],
)  # fmt: skip
def test_policy_variables_in_resources(pattern: str, resource: str, context: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a table
    assert evaluate(policy(Resource=pattern), "s3:GetObject", resource, context).allowed is expected


def test_variables_need_the_newer_version() -> None:
    old = policy("2008-10-17", Resource=HOME)
    assert not evaluate(old, "s3:GetObject", "arn:aws:s3:::home/ann/x", {"aws:username": "ann"}).allowed
    assert evaluate(old, "s3:GetObject", "arn:aws:s3:::home/${aws:username}/x", {}).allowed
    assert parse({"Statement": []}).version == "2008-10-17"


@pytest.mark.parametrize(
    ("operator", "context", "expected"),
    [
        ("StringEquals", {"aws:PrincipalTag/t": "x", "aws:ResourceTag/t": "x"}, True),
        ("StringEquals", {"aws:PrincipalTag/t": "x", "aws:ResourceTag/t": "y"}, False),
        ("StringEquals", {"aws:ResourceTag/t": "y"}, False),
        ("StringEquals", {"aws:PrincipalTag/t": "x"}, False),
        ("StringNotEquals", {"aws:PrincipalTag/t": "x", "aws:ResourceTag/t": "y"}, True),
        ("StringNotEquals", {"aws:ResourceTag/t": "y"}, True),
    ],
)
def test_policy_variables_in_conditions(operator: str, context: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a table
    document = policy(Condition={operator: {"aws:ResourceTag/t": "${aws:PrincipalTag/t}"}})
    assert evaluate(document, "s3:GetObject", OBJECT, context).allowed is expected


@pytest.mark.parametrize(
    ("element", "action", "resource", "expected"),
    [
        ({"NotAction": "iam:*"}, "s3:GetObject", OBJECT, True),
        ({"NotAction": ["iam:*", "S3:*"]}, "s3:GetObject", OBJECT, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::secret/*"}, "s3:GetObject", OBJECT, True),
        (
            {"Action": "s3:*", "NotResource": ["arn:aws:s3:::x", "arn:aws:s3:::reports/*"]},
            "s3:GetObject",
            OBJECT,
            False,
        ),
    ],
)
def test_negated_elements(element: dict[str, Any], action: str, resource: str, expected: bool) -> None:  # noqa: FBT001 - a table
    statement = {"Effect": "Allow", **({} if "NotResource" in element else {"Resource": "*"}), **element}
    assert evaluate({"Statement": statement}, action, resource).allowed is expected


ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Sid": "all", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
DENY_DELETE = {"Statement": [{"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]}


def test_a_deny_beats_every_allow_and_is_named() -> None:
    decision = evaluate([ALLOW_ALL, DENY_DELETE], "s3:DeleteObject", OBJECT)
    assert decision.reason == "ExplicitlyDenied"
    assert decision.statement == DecidingStatement("policies", 1, 0, None)
    assert str(decision.statement) == "policies[1].Statement[0]"


def test_the_allow_is_named() -> None:
    decision = evaluate([DENY_DELETE, ALLOW_ALL], "s3:GetObject", OBJECT)
    assert decision.allowed
    assert decision.statement == DecidingStatement("policies", 1, 0, "all")


def test_without_an_allow_it_is_denied() -> None:
    assert evaluate([], "s3:GetObject", OBJECT).reason == "ImplicitlyDenied"
    assert evaluate(DENY_DELETE, "s3:GetObject", OBJECT).statement is None


READ = policy(Action="s3:Get*")
WRITE = policy(Action=["s3:Put*", "s3:Get*"])


@pytest.mark.parametrize(
    ("boundary", "session", "expected"),
    [
        (None, None, "Allowed"),
        (WRITE, None, "Allowed"),
        (READ, WRITE, "Allowed"),
        ([], None, "ImplicitlyDenied"),
        (policy(Action="s3:Put*"), None, "ImplicitlyDenied"),
        (WRITE, policy(Action="ec2:*"), "ImplicitlyDenied"),
        ([READ, policy(Effect="Deny", Action="s3:GetObject")], None, "ExplicitlyDenied"),
        (WRITE, [ALLOW_ALL, policy(Effect="Deny", Action="s3:GetObject")], "ExplicitlyDenied"),
    ],
)
def test_boundary_and_session_must_allow_too(boundary: Any, session: Any, expected: str) -> None:  # noqa: ANN401 - documents
    decision = evaluate(READ, "s3:GetObject", OBJECT, boundary=boundary, session=session)
    assert decision.reason == expected


def test_a_request_that_cannot_be_is_refused() -> None:
    with pytest.raises(RequestError):
        evaluate(ALLOW_ALL, "s3:GetObject", "arn:aws:s3:::\U0010ff02")
    with pytest.raises(RequestError):
        evaluate(ALLOW_ALL, "s3:GetObject", OBJECT, {"key": object()})  # type: ignore[dict-item]
    with pytest.raises(RequestError):
        evaluate(ALLOW_ALL, "s3:GetObject", OBJECT, principal={"Group": "x"})
