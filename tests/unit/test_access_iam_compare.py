"""Whether a change of policies allows anything new, and requests that policies allow."""

from __future__ import annotations

from typing import Any

import pytest

from narrowgate.access.iam import PolicyError, compare, evaluate, find_request


def allow(actions: Any = "*", resources: Any = "*", /, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions: Any = "*", resources: Any = "*", /, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {**allow(actions, resources, **more), "Effect": "Deny"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def when(**operators: dict[str, Any]) -> dict[str, Any]:
    return {"Condition": {name.replace("__", ":"): block for name, block in operators.items()}}


def only(**operators: dict[str, Any]) -> dict[str, Any]:
    return allow("*", "*", **when(**operators))


REGION = "aws:RequestedRegion"
OWN = "123456789012"
HOME = "arn:aws:s3:::home/${aws:username}/*"
SAME_ACCOUNT = when(StringEquals={"aws:ResourceAccount": "${aws:PrincipalAccount}"})
EU = when(StringEquals={REGION: ["eu-west-1", "eu-central-1"]})

PROVEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the same", policy(allow("s3:Get*")), policy(allow("s3:Get*"))),
    ("fewer actions", policy(allow("s3:*")), policy(allow(["s3:GetObject", "S3:put*"]))),
    ("split over statements", policy(allow("s3:Get*"), allow("s3:Put*")),
     policy(allow(["s3:GetObject", "s3:PutObject"]))),
    ("a narrower resource", policy(allow("s3:*", "arn:aws:s3:::a*")), policy(allow("s3:*", "arn:aws:s3:::ab/*"))),
    ("any region is any region", policy(allow("*", "arn:aws:sqs:*")), policy(allow("*", "arn:aws:sqs:eu-west-1:*:q"))),
    ("another spelling of wildcards", policy(allow("s3:*?*")), policy(allow("s3:?**"))),
    ("a deny more", policy(allow()), policy(allow(), deny("iam:*"))),
    ("a deny turned into a smaller allow", policy(allow("s3:*"), deny("s3:Delete*")), policy(allow("s3:Get*"))),
    ("a deny that the new one keeps in parts",
     policy(allow(), deny("s3:Delete*")), policy(allow(), deny("s3:DeleteB*"), deny("s3:Delete*", "*"))),
    ("all but IAM", policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
     policy(allow(["s3:*", "ec2:*"]))),
    ("all but less", policy({"Effect": "Allow", "NotAction": "iam:Get*", "Resource": "*"}),
     policy({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"})),
    ("a deny of all but some", policy(allow("s3:Get*")),
     policy(allow(), {"Effect": "Deny", "NotAction": ["s3:GetObject", "s3:GetBucket*"], "Resource": "*"})),
    ("outside a bucket", policy(allow(), deny("s3:*", "arn:aws:s3:::secret/*")),
     policy({"Effect": "Allow", "Action": "s3:*", "NotResource": ["arn:aws:s3:::secret/*", "arn:aws:s3:::x"]})),
    ("a condition more", policy(allow("s3:*")), policy(allow("s3:*", "*", **EU))),
    ("a value less", policy(allow("s3:*", "*", **EU)),
     policy(allow("s3:*", "*", **when(StringEquals={REGION.lower(): "eu-west-1"})))),
    ("a pattern holds its values", policy(only(StringLike={"k": ["a*", "b"]})),
     policy(only(StringEquals={"k": ["ab", "a"]}))),
    ("an arn pattern too", policy(only(ArnLike={"aws:SourceArn": "arn:aws:sns:*:123456789012:*"})),
     policy(only(StringEquals={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:t"}))),
    ("not one, so another", policy(only(StringNotEquals={REGION: "us-east-1"})),
     policy(allow("*", "*", **EU))),
    ("one half and the other half", policy(only(Null={"k": "true"}), only(Null={"k": "false"})),
     policy(allow("s3:*"))),
    ("numbers", policy(only(NumericLessThan={"k": 10})),
     policy(only(NumericLessThanEquals={"k": "9.5"}, NumericGreaterThan={"k": 3}))),
    ("dates", policy(only(DateLessThan={"aws:CurrentTime": "2030-01-01T00:00:00Z"})),
     policy(only(DateLessThan={"aws:CurrentTime": "2030-01-01T00:30:00+01:00"}))),
    ("addresses", policy(only(IpAddress={"aws:SourceIp": "10.0.0.0/8"})),
     policy(only(IpAddress={"aws:SourceIp": ["10.1.0.0/16", "10.255.255.255"]}))),
    ("addresses but for some", policy(only(NotIpAddress={"aws:SourceIp": "10.0.0.0/8"})),
     policy(only(IpAddress={"aws:SourceIp": "192.0.2.0/24"}))),
    ("spelled in another case", policy(only(StringEqualsIgnoreCase={"k": "Prod"})),
     policy(only(StringEquals={"k": ["prod", "PROD"]}))),
    ("tags", policy(only(ForAllValues__StringLike={"aws:TagKeys": ["a*", "b"]})),
     policy(only(ForAllValues__StringEquals={"aws:TagKeys": ["ab", "b"]}))),
    ("some tag", policy(only(ForAnyValue__StringEquals={"aws:TagKeys": ["a", "b"]})),
     policy(only(ForAnyValue__StringEquals={"aws:TagKeys": "b"}))),
    ("a variable in a wildcard", policy(allow("s3:*", "arn:aws:s3:::home/*")), policy(allow("s3:*", HOME))),
    ("the same variable, deeper", policy(allow("s3:*", HOME)),
     policy(allow("s3:Get*", "arn:aws:s3:::home/${AWS:UserName}/x/*"))),
    ("the same variable in a condition", policy(allow("*", "*", **SAME_ACCOUNT)),
     policy(allow("s3:*", "*", **SAME_ACCOUNT))),
    ("a variable among values", policy(only(StringEquals={"k": ["${aws:userid}", "x"]})),
     policy(only(StringEquals={"k": "${aws:userid}"}), only(StringEquals={"k": "x"}))),
    ("a deny with a variable kept", policy(allow(), deny("s3:*", HOME)), policy(allow("s3:*"), deny("s3:*", HOME))),
    ("what cannot be", policy(), policy(only(Null={"k": "true"}, StringEquals={"k": "x"}))),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in PROVEN], ids=[row[0] for row in PROVEN])
def test_no_new_access_is_proven(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert compare(old, new).no_new_access is True
    assert compare([old], [new, new]).no_new_access is True


NEW: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("an action more", policy(allow("s3:Get*")), policy(allow(["s3:GetObject", "s3:PutObject"]))),
    ("an action that nobody knows", policy(allow(["s3:GetObject", "s3:GetObjectAcl"])), policy(allow("s3:GetObject*"))),
    ("a question mark more", policy(allow("s3:Get")), policy(allow("s3:Get?"))),
    ("a shorter name", policy(allow("s3:???*")), policy(allow("s3:??*"))),
    ("a wider resource", policy(allow("*", "arn:aws:s3:::a/b/*")), policy(allow("*", "arn:aws:s3:::a/*"))),
    ("another account", policy(allow("*", "arn:aws:sqs:*:111122223333:*")), policy(allow("*", "arn:aws:sqs:*:*:q"))),
    ("a deny less", policy(allow(), deny("iam:*")), policy(allow())),
    ("a smaller deny", policy(allow(), deny("iam:*")),
     policy(allow(), deny("iam:C*"), deny("iam:*", "arn:aws:iam::*:role/x"))),
    ("an unrelated deny", policy(allow("s3:Get*")), policy(allow("s3:*"), deny("s3:DeleteBucket"))),
    ("a condition less", policy(allow("*", "*", **EU)), policy(allow("s3:*"))),
    ("another value", policy(allow("*", "*", **EU)), policy(only(StringEquals={REGION: "us-east-1"}))),
    ("if it exists", policy(allow("*", "*", **EU)), policy(only(StringEqualsIfExists={REGION: "eu-west-1"}))),
    ("a missing key satisfies a negation", policy(only(StringLike={"k": "*"})),
     policy(only(StringNotEquals={"k": "x"}))),
    ("no tags at all", policy(only(ForAnyValue__StringEquals={"aws:TagKeys": "a"})),
     policy(only(ForAllValues__StringEquals={"aws:TagKeys": "a"}))),
    ("one tag among others", policy(only(ForAllValues__StringEquals={"aws:TagKeys": "a"})),
     policy(only(ForAnyValue__StringEquals={"aws:TagKeys": "a"}))),
    ("two tags", policy(only(ForAllValues__StringEquals={"aws:TagKeys": "a"}),
                        only(ForAllValues__StringEquals={"aws:TagKeys": "b"})),
     policy(only(ForAllValues__StringEquals={"aws:TagKeys": ["a", "b"]}))),
    ("a case", policy(only(StringEquals={"k": "prod"})), policy(only(StringEqualsIgnoreCase={"k": "prod"}))),
    ("an address", policy(only(IpAddress={"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/10"]})),
     policy(only(IpAddress={"aws:SourceIp": "10.0.0.0/8"}))),
    ("a second", policy(only(DateLessThan={"aws:CurrentTime": "2030-01-01T00:00:00Z"})),
     policy(only(DateLessThanEquals={"aws:CurrentTime": "2030-01-01T00:00:00Z"}))),
    ("every home", policy(allow("s3:*", HOME)), policy(allow("s3:*", "arn:aws:s3:::home/*"))),
    ("another variable", policy(allow("s3:*", HOME)), policy(allow("s3:*", "arn:aws:s3:::home/${aws:userid}/*"))),
    ("every account", policy(allow("*", "*", **SAME_ACCOUNT)), policy(allow())),
    ("one account", policy(allow("*", "*", **SAME_ACCOUNT)), policy(only(StringEquals={"aws:ResourceAccount": OWN}))),
    ("the own account", policy(only(StringEquals={"aws:ResourceAccount": OWN})),
     policy(allow("*", "*", **SAME_ACCOUNT))),
    ("all but IAM", policy(allow(["s3:*", "ec2:*"])),
     policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})),
    ("out of everywhere but a bucket", policy(allow("s3:*", "arn:aws:s3:::a/*")),
     policy({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::b/*"})),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in NEW], ids=[row[0] for row in NEW])
def test_new_access_is_shown_by_a_request(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = compare(old, new)
    assert result.no_new_access is False
    witness = result.witness
    assert witness is not None
    assert evaluate(new, witness.action, witness.resource, witness.context, principal=witness.principal).allowed
    assert not evaluate(old, witness.action, witness.resource, witness.context, principal=witness.principal).allowed


def test_a_witness_is_an_action_that_aws_knows_where_there_is_one() -> None:
    result = compare(policy(allow("s3:G*")), policy(allow("s3:*Object")))
    assert result.witness is not None
    assert result.witness.action in {"s3:PutObject", "s3:DeleteObject", "s3:RestoreObject", "s3:ReplicateObject"}


def test_what_cannot_be_decided_says_why() -> None:
    many = {f"aws:PrincipalTag/{name}": "${aws:PrincipalTag/%s}" % name for name in "abcdefgh"}  # noqa: UP031 - braces are meant
    tagged = [only(StringEquals={"k": value}) for value in many.values()]
    result = compare(policy(*tagged), policy(only(StringEquals={"k": "x"})))
    assert result.no_new_access is None
    assert result.reason == "too many conditions with policy variables on one key"


def test_compare_refuses_a_malformed_document() -> None:
    with pytest.raises(PolicyError):
        compare(policy(allow()), {"Statement": "x"})


def test_find_request_finds_within_patterns_and_boundary() -> None:
    granted = policy(allow(["s3:*", "iam:PassRole"]), deny("s3:Delete*"))
    found = find_request(granted, "s3:Put*", "arn:aws:s3:::reports/*")
    assert found.exists
    assert found.request is not None
    assert found.request.action.startswith("s3:Put")
    assert found.request.resource.startswith("arn:aws:s3:::reports/")
    assert find_request(granted, ["s3:DeleteObject", "iam:Create*"]).exists is False
    assert find_request(granted, "iam:*").exists is True
    assert find_request(granted, "iam:*", boundary=policy(allow("s3:*"))).exists is False
    assert find_request(granted, "iam:*", boundary=policy(allow(), deny("iam:PassRole"))).exists is False


def test_find_request_sees_through_a_question_mark_and_an_unrelated_deny() -> None:
    assert find_request(policy(allow("iam:Pass?ole"), deny("s3:*")), "iam:PassRole").exists is True
    assert find_request(
        policy({"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws:iam::*:role/x"}), "iam:PassRole"
    ).exists
    never = policy(allow("iam:PassRole", "*", **when(StringEquals={"k": "a"}, StringNotLike={"k": "?"})))
    assert find_request(never, "iam:PassRole").exists is False


def test_an_empty_string_beside_another_value_is_a_value() -> None:
    old = policy(allow(Condition={"Null": {"aws:TagKeys": "true"}}))
    new = policy(allow(Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": [""]}}))
    result = compare(old, new)
    assert result.no_new_access is False
    assert result.witness is not None
    assert "" in result.witness.context["aws:TagKeys"]
