"""What the IAM documents allow is what the declarations say: decided by the access model, which knows no compiler."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrowgate.access.iam import evaluate
from narrowgate.compile import compile_plan
from narrowgate.compile.arns import place_arn
from narrowgate.compile.boundary import boundary_policy
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.iam_policy import document_size
from narrowgate.compile.references import Reference, parse_template
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from narrowgate.compile.documents import AwsDocuments

CATALOGUE = Path(__file__).resolve().parents[1] / "golden" / "catalogue"
WORKFLOWS = compile_plan(load_plan(CATALOGUE, load_environment(CATALOGUE, "test"))).workflows
OPERATIONS = next(workflow for workflow in WORKFLOWS if workflow.access.name == "operations")
TOOLS: dict[str, AwsDocuments] = {tool.access.tool: tool.aws for tool in OPERATIONS.tools if tool.aws is not None}
HERE = "eu-west-1:333333333333"
TABLE = f"arn:aws:dynamodb:{HERE}:table/customers"
MAIL = f"arn:aws:ses:{HERE}:identity/acme.example"
OWN = {"dynamodb:LeadingKeys": ["emea"], "dynamodb:Attributes": ["id", "name"]}
CASES = [
    ("queues", "sqs:SendMessage", f"arn:aws:sqs:{HERE}:orders", {}, True),
    ("queues", "sqs:SendMessage", f"arn:aws:sqs:{HERE}:orders-retry.fifo", {}, True),
    ("queues", "sqs:SendMessage", f"arn:aws:sqs:{HERE}:orders2", {}, False),
    ("queues", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111111111111:orders", {}, False),
    ("queues", "sqs:ReceiveMessage", f"arn:aws:sqs:{HERE}:orders", {}, False),
    ("queues", "sqs:DeleteMessage", f"arn:aws:sqs:{HERE}:orders", {}, False),
    (
        "mail",
        "ses:SendEmail",
        MAIL,
        {"ses:FromAddress": "ops@acme.example", "ses:Recipients": ["a@acme.example"]},
        True,
    ),
    (
        "mail",
        "ses:SendEmail",
        MAIL,
        {"ses:FromAddress": "ops@acme.example", "ses:Recipients": ["a@evil.example"]},
        False,
    ),
    (
        "mail",
        "ses:SendEmail",
        MAIL,
        {"ses:FromAddress": "ops@acme.example", "ses:Recipients": ["a@acme.example", "b@evil.example"]},
        False,
    ),
    ("mail", "ses:SendEmail", MAIL, {"ses:FromAddress": "ops@acme.example"}, False),
    (
        "mail",
        "ses:SendEmail",
        MAIL,
        {"ses:FromAddress": "ceo@acme.example", "ses:Recipients": ["a@acme.example"]},
        False,
    ),
    ("customers", "dynamodb:GetItem", TABLE, OWN, True),
    ("customers", "dynamodb:Query", TABLE, OWN, True),
    ("customers", "dynamodb:PutItem", TABLE, OWN, False),
    ("customers", "dynamodb:Scan", TABLE, OWN, False),
    ("customers", "dynamodb:GetItem", TABLE, {**OWN, "dynamodb:LeadingKeys": ["emea", "us"]}, False),
    ("customers", "dynamodb:GetItem", TABLE, {**OWN, "dynamodb:Attributes": ["id", "email"]}, False),
    ("customers", "dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": ["emea"]}, False),
    ("customers", "dynamodb:GetItem", TABLE, {"dynamodb:Attributes": ["id"]}, False),
    ("customers", "dynamodb:Query", f"{TABLE}/index/by-mail", OWN, False),
    ("secrets", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:ops/report-a1B2c3", {}, True),
    ("secrets", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:ops/report2-a1B2c3", {}, False),
    ("secrets", "secretsmanager:PutSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:ops/report-a1B2c3", {}, False),
    ("functions", "lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:report", {}, True),
    ("functions", "lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:report:1", {}, False),
    ("functions", "lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:report", {}, False),
    (
        "models",
        "bedrock:InvokeModel",
        "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        {},
        True,
    ),
    ("models", "bedrock:InvokeModel", "arn:aws:bedrock:eu-west-1::foundation-model/other", {}, False),
    (
        "events",
        "events:PutEvents",
        f"arn:aws:events:{HERE}:event-bus/operations",
        {"events:source": "ops.reports"},
        True,
    ),
    ("events", "events:PutEvents", f"arn:aws:events:{HERE}:event-bus/operations", {"events:source": "aws.s3"}, False),
    ("events", "events:PutEvents", f"arn:aws:events:{HERE}:event-bus/default", {"events:source": "ops.reports"}, False),
]


@pytest.mark.parametrize(("tool", "action", "resource", "context", "allowed"), CASES)
def test_a_tool_allows_what_is_declared_and_nothing_near_it(
    tool: str,
    action: str,
    resource: str,
    context: dict[str, str | list[str]],
    allowed: bool,  # noqa: FBT001
) -> None:
    policies = list(TOOLS[tool].role.policies.values())
    assert evaluate(policies, action, resource, context, boundary=[boundary_policy()]).allowed == allowed


BROKER = "arn:aws:iam::333333333333:role/narrowgate/test/broker"
SESSION = {"sts:ExternalId": "narrowgate-test", "sts:RoleSessionName": "operations.queues@agents-operations-alice"}


@pytest.mark.parametrize(
    ("principal", "context", "allowed"),
    [
        (BROKER, SESSION, True),
        ("arn:aws:iam::333333333333:role/narrowgate/test/other", SESSION, False),
        ("arn:aws:iam::333333333333:root", SESSION, False),
        (BROKER, {**SESSION, "sts:ExternalId": "narrowgate-prod"}, False),
        (BROKER, {**SESSION, "sts:RoleSessionName": "operations.mail@agents-operations-alice"}, False),
        (BROKER, {**SESSION, "sts:RoleSessionName": "operations.queues"}, False),
        (BROKER, {"sts:ExternalId": "narrowgate-test"}, False),
    ],
)
def test_only_the_broker_assumes_a_tools_role_and_only_as_that_tool(
    principal: str,
    context: dict[str, str],
    allowed: bool,  # noqa: FBT001
) -> None:
    role = TOOLS["queues"].role
    decision = evaluate(
        [role.trust_policy], "sts:AssumeRole", role.arn("aws", "333333333333"), context, principal=principal
    )
    assert decision.allowed == allowed


TAGS = {
    "aws:RequestTag/workflow": "operations",
    "aws:RequestTag/tool": "queues",
    "aws:RequestTag/environment": "test",
    "aws:TagKeys": ["workflow", "tool", "environment"],
}


@pytest.mark.parametrize(
    ("principal", "context", "allowed"),
    [
        (BROKER, TAGS, True),
        ("arn:aws:iam::333333333333:role/other", TAGS, False),
        (BROKER, {**TAGS, "aws:RequestTag/workflow": "other"}, False),
        (BROKER, {**TAGS, "aws:TagKeys": ["workflow", "tool", "environment", "admin"]}, False),
        (BROKER, {}, False),
    ],
)
def test_a_session_carries_its_own_tags_and_no_others(
    principal: str, context: dict[str, str | list[str]], *, allowed: bool
) -> None:
    role = TOOLS["queues"].role
    arn = role.arn("aws", "333333333333")
    assert evaluate([role.trust_policy], "sts:TagSession", arn, context, principal=principal).allowed == allowed


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", "arn:aws:iam::333333333333:user/x"),
        ("iam:PassRole", "arn:aws:iam::333333333333:role/x"),
        ("sts:AssumeRole", "arn:aws:iam::333333333333:role/x"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::acme"),
        ("s3:PutObjectAcl", "arn:aws:s3:::acme/x"),
        ("kms:PutKeyPolicy", f"arn:aws:kms:{HERE}:key/x"),
        ("lambda:AddPermission", f"arn:aws:lambda:{HERE}:function:x"),
        ("sqs:AddPermission", f"arn:aws:sqs:{HERE}:x"),
        ("ec2:RunInstances", f"arn:aws:ec2:{HERE}:instance/*"),
        ("organizations:LeaveOrganization", "*"),
    ],
)
def test_the_boundary_stops_an_administrators_policy(action: str, resource: str) -> None:
    administrator = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    assert evaluate([administrator], action, resource).allowed
    assert not evaluate([administrator], action, resource, boundary=[boundary_policy()]).allowed


S3 = place_arn(parse_template("arn:${env.partition}:s3:::${binding.bucket}/${scope.x}/*"))
KEYS = st.text(st.sampled_from("ab*?$/{}\\"), min_size=1, max_size=6)


@given(KEYS, KEYS)
def test_a_prefix_reaches_only_keys_below_itself(prefix: str, key: str) -> None:
    values = {
        Reference("env", "partition"): "aws",
        Reference("binding", "bucket"): "acme",
        Reference("scope", "x"): prefix,
    }
    try:
        (resource,) = S3.expand(values)
    except PlaceError:
        return
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]}],
    }
    for tried in (key, f"{prefix}/{key}", f"{prefix}{key}"):
        # The access model refuses to say what a request's own wildcards would mean.
        if re.search(r"[*?]|\$\{", tried):
            continue
        expected = tried.startswith(f"{prefix}/")
        assert evaluate([document], "s3:GetObject", f"arn:aws:s3:::acme/{tried}").allowed == expected


def test_every_document_is_within_iams_limits() -> None:
    assert document_size(boundary_policy()) <= 6144
    for documents in TOOLS.values():
        assert document_size(documents.role.trust_policy) <= 2048
        assert sum(document_size(policy) for policy in documents.role.policies.values()) <= 10_240
