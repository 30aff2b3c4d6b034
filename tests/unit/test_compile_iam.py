"""IAM: values in their places, actions as AWS knows them, documents within IAM's limits."""

from __future__ import annotations

import json

import pytest

from narrowgate.compile import CompileError, iam_catalogue
from narrowgate.compile.arns import place_arn
from narrowgate.compile.errors import PlaceError, ReferenceSyntaxError
from narrowgate.compile.iam_conditions import resolve_conditions
from narrowgate.compile.iam_policy import INLINE_TOTAL, document_size, split_statements
from narrowgate.compile.references import Reference, Value, parse_template

ENV: dict[Reference, Value] = {
    Reference("env", "partition"): "aws",
    Reference("env", "region"): "eu-central-1",
    Reference("env", "account"): "111111111111",
    Reference("binding", "bucket"): "acme-dev",
}
S3 = "arn:${env.partition}:s3:::${binding.bucket}/${scope.x}/*"
LOGS = "arn:${env.partition}:logs:${env.region}:${env.account}:log-group:${scope.x}:*"
SQS = "arn:${env.partition}:sqs:${env.region}:${env.account}:${scope.x}"


def expand(text: str, value: Value) -> list[str]:
    return list(place_arn(parse_template(text)).expand({**ENV, Reference("scope", "x"): value}))


def test_a_list_gives_one_arn_for_each_item() -> None:
    assert expand(LOGS, ("/app/a", "/app/b")) == [
        "arn:aws:logs:eu-central-1:111111111111:log-group:/app/a:*",
        "arn:aws:logs:eu-central-1:111111111111:log-group:/app/b:*",
    ]


@pytest.mark.parametrize(
    ("key", "escaped"),
    [
        ("team/a", "team/a"),
        ("a*", "a${*}"),
        ("a?b", "a${?}b"),
        ("${aws:username}", "${$}{aws:username}"),
        ("ä:b", "ä:b"),
    ],
)
def test_an_s3_key_is_escaped_so_that_each_character_is_itself(key: str, escaped: str) -> None:
    assert expand(S3, key) == [f"arn:aws:s3:::acme-dev/{escaped}/*"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (LOGS, "/app/*"),
        (LOGS, "/app:x"),
        (LOGS, "${env.name}"),
        (SQS, "a/b"),
        (SQS, "a:b"),
        (SQS, "*"),
        (SQS, 7),
        (SQS, ()),
        (S3, ""),
        (S3, "a\nb"),
        (S3, "x" * 1025),
    ],
)
def test_a_value_that_would_be_syntax_is_refused(template: str, value: Value) -> None:
    with pytest.raises(PlaceError):
        expand(template, value)


@pytest.mark.parametrize("bucket", ["*", "acme-*", "a/b", "A", "a", "acme?", "${x}"])
def test_a_bucket_that_is_none_is_refused(bucket: str) -> None:
    arn = place_arn(parse_template(S3))
    with pytest.raises(PlaceError):
        list(arn.expand({**ENV, Reference("binding", "bucket"): bucket, Reference("scope", "x"): "a"}))


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:s3",
        "arn:aws:s3:::",
        "x:aws:s3:::b",
        "arn:aws:${scope.x}:::b",
        "arn:aws:sqs:eu-central-1:${env.account}:q",
        "arn:aws:sqs:${env.region}:${env.account}${scope.x}:q",
        "arn:aws:sqs:${env.region}:222222222222:q",
        "arn:aws:s3:::acme-prod/${scope.x}",
        "arn:${env.partition}:sqs:${env.region}:${env.account}:a b",
        "arn:${env.partition}:sqs:${env.region}:${env.account}:${",
        "arn:${env.partition}:sqs:${env.region}:${env.account}:${aws:username}",
    ],
)
def test_a_template_that_is_no_arn_of_the_environment_is_refused(text: str) -> None:
    with pytest.raises(ReferenceSyntaxError):
        place_arn(parse_template(text))


def test_too_many_combinations_are_refused() -> None:
    with pytest.raises(PlaceError, match="1001"):
        expand(SQS, tuple(f"q{n}" for n in range(1001)))


@pytest.mark.parametrize(
    ("action", "sample", "acts"),
    [
        ("s3:GetObject", "arn:x:s3:::x/x/*", True),
        ("s3:GetObject", "arn:x:s3:::x", False),
        ("s3:GetObject", "*", False),
        ("s3:ListBucket", "arn:x:s3:::x", True),
        ("s3:ListBucket", "arn:x:s3:::x/*", False),
        ("s3:ListAllMyBuckets", "*", True),
        ("s3:ListAllMyBuckets", "arn:x:s3:::x", False),
        ("logs:FilterLogEvents", "arn:x:logs:x:x:log-group:x:*", True),
        ("logs:FilterLogEvents", "arn:x:logs:x:x:log-group:x", True),
        ("logs:GetLogEvents", "arn:x:logs:x:x:log-group:x:log-stream:x", True),
        ("sqs:SendMessage", "arn:x:sqs:x:x:x", True),
        ("sqs:SendMessage", "arn:x:sns:x:x:x", False),
        ("dynamodb:Query", "arn:x:dynamodb:x:x:table/x/index/x", True),
        ("dynamodb:GetItem", "arn:x:dynamodb:x:x:table/x/index/x", False),
        ("secretsmanager:GetSecretValue", "arn:x:secretsmanager:x:x:secret:x/x-??????", True),
        ("bedrock:InvokeModel", "arn:x:bedrock:x::foundation-model/x", True),
        ("lambda:InvokeFunction", "arn:x:lambda:x:x:function:x", True),
        ("events:PutEvents", "arn:x:events:x:x:event-bus/x", True),
        ("ses:SendEmail", "arn:x:ses:x:x:identity/x", True),
    ],
)
def test_a_resource_is_one_that_the_action_acts_on(action: str, sample: str, acts: bool) -> None:  # noqa: FBT001
    assert (iam_catalogue.check_resource(action, sample) is None) == acts


@pytest.mark.parametrize(
    ("actions", "key", "known"),
    [
        (["s3:ListBucket"], "s3:prefix", True),
        (["s3:ListBucket", "s3:GetBucketLocation"], "s3:prefix", False),
        (["s3:GetObject"], "s3:ExistingObjectTag/team", True),
        (["s3:GetObject"], "aws:SourceIp", True),
        (["s3:GetObject"], "aws:PrincipalTag/workflow", True),
        (["s3:GetObject"], "aws:Nonsense", False),
        (["dynamodb:Query"], "dynamodb:LeadingKeys", True),
        (["sqs:SendMessage"], "dynamodb:LeadingKeys", False),
    ],
)
def test_a_condition_key_is_one_that_every_action_knows(actions: list[str], key: str, known: bool) -> None:  # noqa: FBT001
    assert (not list(iam_catalogue.check_condition_key(actions, key))) == known


def test_condition_values_are_escaped_for_their_operator() -> None:
    values: dict[Reference, Value] = {Reference("scope", "x"): "a*${b}"}
    like = resolve_conditions({"StringLike": {"s3:prefix": "${scope.x}/*"}}, values)
    equals = resolve_conditions({"StringEquals": {"s3:prefix": "${scope.x}"}}, values)
    assert like[0].values == ("a${*}${$}{b}/*",)
    assert equals[0].values == ("a*${$}{b}",)


def statement(number: int, resources: int = 1) -> dict[str, object]:
    listed = [f"arn:aws:s3:::acme-dev/{number}/{n}/" + "x" * 60 for n in range(resources)]
    return {"Action": ["s3:GetObject"], "Effect": "Allow", "Resource": listed}


def test_statements_are_split_and_none_is_lost() -> None:
    statements = [statement(n) for n in range(60)]
    policies = split_statements(statements, workflow="w", tool="t")
    assert len(policies) == 2
    assert [s for policy in policies.values() for s in policy["Statement"]] == statements


def test_a_statement_too_large_for_one_policy_is_split_by_its_resources() -> None:
    whole = statement(0, resources=90)
    policies = split_statements([whole], workflow="w", tool="t")
    parts = [s for policy in policies.values() for s in policy["Statement"]]
    assert len(policies) > 1
    assert [r for s in parts for r in s["Resource"]] == whole["Resource"]
    assert all(document_size(policy) <= 6144 for policy in policies.values())


def test_what_cannot_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(CompileError, match="inline policies hold 10240") as caught:
        split_statements([statement(n, resources=50) for n in range(3)], workflow="w", tool="t")
    assert caught.value.hint is not None
    assert (caught.value.workflow, caught.value.tool) == ("w", "t")


def test_a_size_is_counted_without_white_space() -> None:
    assert document_size({"a": ["ü", 1]}) == len('{"a":["ü",1]}')
    assert json.loads('{"a":["ü",1]}') == {"a": ["ü", 1]}
    assert INLINE_TOTAL == 10_240
