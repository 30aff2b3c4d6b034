"""Escalations are found however they are spelled, and what does not escalate is not called so."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from published_escalations import PUBLISHED

from narrowgate.rules import judge
from narrowgate.rules.escalation_paths import PATHS, SOURCES
from narrowgate.rules.facts import IamIdentity, IamManagedPolicy, IamPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME = "iam-no-privilege-escalation"
Document = dict[str, Any]


def policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: object) -> Document:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def escalates(*documents: Document) -> bool:
    facts = [
        IamPolicy(at="stack", kind="role", holder="tool", name=str(number), document=json.dumps(document))
        for number, document in enumerate(documents)
    ]
    return any(finding.rule == NAME for finding in judge(facts))


def with_question_mark(actions: tuple[str, ...]) -> list[Document]:
    hidden = []
    for action in actions:
        place = action.index(":") + 2
        hidden.append(action[:place] + "?" + action[place + 1 :])
    return [policy(allow(hidden))]


def in_other_case(actions: tuple[str, ...]) -> list[Document]:
    return [policy(allow([action.swapcase() for action in actions]))]


def on_wild_arns(actions: tuple[str, ...]) -> list[Document]:
    return [policy(allow(list(actions), "arn:aws:*:*:*:*"))]


def by_not_resource(actions: tuple[str, ...]) -> list[Document]:
    statement = {"Effect": "Allow", "Action": list(actions), "NotResource": "arn:aws:s3:::some-bucket/*"}
    return [policy(statement)]


def by_not_action(actions: tuple[str, ...]) -> list[Document]:
    del actions
    return [policy({"Effect": "Allow", "NotAction": ["budgets:*", "aws-portal:*"], "Resource": "*"})]


def under_a_trivial_condition(actions: tuple[str, ...]) -> list[Document]:
    condition = {
        "Bool": {"aws:SecureTransport": "true"},
        "DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        "StringLike": {"aws:PrincipalArn": "*"},
        "IpAddress": {"aws:SourceIp": "0.0.0.0/0"},
    }
    return [policy(allow(list(actions), Condition=condition))]


def beside_an_unrelated_deny(actions: tuple[str, ...]) -> list[Document]:
    deny = {"Effect": "Deny", "Action": ["s3:DeleteBucket", "iam:DeleteUser"], "Resource": "*"}
    narrow = {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:iam::999999999999:role/another"}
    return [policy(allow(list(actions)), deny, narrow)]


def under_a_deny_with_an_open_door(actions: tuple[str, ...]) -> list[Document]:
    condition = {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "us-east-1"]}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return [policy(allow(list(actions)), deny)]


def over_several_policies(actions: tuple[str, ...]) -> list[Document]:
    return [policy(allow("s3:GetObject", "arn:aws:s3:::b/*")), *(policy(allow(action)) for action in actions)]


def in_one_account(actions: tuple[str, ...]) -> list[Document]:
    """Limit PassRole and AssumeRole to one account's roles, which is no limit within that account."""
    own = [action for action in actions if action in {"iam:PassRole", "sts:AssumeRole"}]
    others = [action for action in actions if action not in own]
    statements = [allow(own, "arn:aws:iam::123456789012:role/*")] if own else []
    return [policy(*statements, *([allow(others)] if others else []))]


def among_many_harmless(actions: tuple[str, ...]) -> list[Document]:
    harmless = [
        allow(f"dynamodb:{verb}", f"arn:aws:dynamodb:*:*:table/t{n}") for n, verb in enumerate(["GetItem"] * 30)
    ]
    statements = [*harmless, allow(list(actions))]
    random.Random(7).shuffle(statements)  # noqa: S311 - a fixed order, not a secret
    return [policy(*statements)]


DISGUISES: list[Callable[[tuple[str, ...]], list[Document]]] = [
    with_question_mark,
    in_other_case,
    on_wild_arns,
    by_not_resource,
    by_not_action,
    under_a_trivial_condition,
    beside_an_unrelated_deny,
    under_a_deny_with_an_open_door,
    over_several_policies,
    in_one_account,
    among_many_harmless,
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_paths_are_found(name: str) -> None:
    assert escalates(policy(allow(list(PUBLISHED[name]))))


@pytest.mark.parametrize("disguise", DISGUISES, ids=lambda disguise: disguise.__name__)
def test_disguised_paths_are_found(disguise: Callable[[tuple[str, ...]], list[Document]]) -> None:
    missed = [name for name, actions in PUBLISHED.items() if not escalates(*disguise(actions))]
    assert missed == []


@pytest.mark.parametrize("name", [name for name, actions in PUBLISHED.items() if len(actions) > 1])
def test_pass_role_without_its_service_does_not_escalate(name: str) -> None:
    actions = PUBLISHED[name]
    if "iam:PassRole" in actions:
        assert not escalates(policy(allow("iam:PassRole")))


HARMLESS: dict[str, list[Document]] = {
    "reads of data": [policy(allow(["s3:GetObject", "dynamodb:GetItem", "logs:FilterLogEvents"]))],
    "read-only of IAM": [
        policy(allow(["iam:Get*", "iam:List*", "iam:SimulatePrincipalPolicy", "sts:GetCallerIdentity"]))
    ],
    "own access keys": [
        policy(allow(["iam:CreateAccessKey", "iam:DeleteAccessKey"], "arn:aws:iam::*:user/${aws:username}"))
    ],
    "own password": [
        policy(allow(["iam:ChangePassword", "iam:UpdateLoginProfile"], "arn:aws:iam::*:user/${aws:username}"))
    ],
    "own SSH key": [policy(allow("iam:UploadSSHPublicKey", "arn:aws:iam::*:user/${aws:username}"))],
    "a named role to a named service": [
        policy(
            allow(
                "iam:PassRole",
                "arn:aws:iam::123456789012:role/builds",
                Condition={"StringEquals": {"iam:PassedToService": "codebuild.amazonaws.com"}},
            ),
            allow("codebuild:CreateProject"),
            allow("codebuild:StartBuild", "arn:aws:codebuild:eu-central-1:123456789012:project/ours"),
        )
    ],
    "any role to another service": [
        policy(
            allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "monitoring.rds.amazonaws.com"}}),
            allow(["lambda:CreateFunction", "lambda:InvokeFunction", "ec2:RunInstances"]),
        )
    ],
    "denied beside": [
        policy(
            allow(["iam:CreatePolicyVersion", "iam:Attach*", "iam:Put*", "s3:*"]),
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
        )
    ],
    "denied in another policy": [
        policy(allow("iam:CreatePolicyVersion")),
        policy({"Effect": "Deny", "Action": "iam:Create*Version", "Resource": "*"}),
    ],
    "only what AWS owns": [policy(allow("iam:CreatePolicyVersion", "arn:aws:iam::aws:policy/x-*"))],
    "only roles that are linked to services": [
        policy(allow(["iam:AttachRolePolicy", "iam:PutRolePolicy"], "arn:aws:iam::*:role/aws-service-role/*"))
    ],
    "in the past": [
        policy(
            allow(
                "iam:CreatePolicyVersion",
                Condition={"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}},
            )
        )
    ],
    "only by way of another service": [
        policy(allow("iam:AttachRolePolicy", Condition={"Bool": {"aws:ViaAWSService": "true"}}))
    ],
    "only under a boundary": [
        policy(
            allow(
                ["iam:PutRolePolicy", "iam:AttachRolePolicy"],
                Condition={"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::123456789012:policy/limit"}},
            )
        )
    ],
    "only a harmless policy": [
        policy(
            allow(
                "iam:AttachRolePolicy",
                Condition={"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"}},
            )
        )
    ],
    "one function's code": [
        policy(allow("lambda:UpdateFunctionCode", "arn:aws:lambda:eu-central-1:123456789012:function:ours"))
    ],
    "one document on machines": [
        policy(
            allow(
                "ssm:SendCommand", ["arn:aws:ssm:*:*:document/AWSEC2-CreateVssSnapshot", "arn:aws:ec2:*:*:instance/*"]
            )
        )
    ],
    "machines with a tag": [
        policy(
            allow(
                "ssm:StartSession",
                "arn:aws:ec2:*:*:instance/*",
                Condition={"StringEquals": {"ssm:resourceTag/team": "ours"}},
            )
        )
    ],
    "one container, by its name": [
        policy(allow("ecs:ExecuteCommand", Condition={"StringLike": {"ecs:container-name": "debug-sidecar"}}))
    ],
    "launch templates that a service of AWS manages": [
        policy(
            allow(
                ["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"],
                "arn:aws:ec2:*:*:launch-template/*",
                Condition={"StringEquals": {"ec2:ManagedResourceOperator": "ecs.amazonaws.com"}},
            )
        )
    ],
    "all of Glue by way of Lake Formation": [
        policy(allow("glue:*", Condition={"StringEquals": {"glue:LakeFormationPermissions": "Enabled"}}))
    ],
    "jobs and nodes on resources that are neither": [
        policy(
            allow("iam:PassRole"),
            allow(
                "glue:*Job*", ["arn:aws:glue:*:*:database/*", "arn:aws:glue:*:*:table/*", "arn:aws:glue:*:*:catalog"]
            ),
            allow("eks:*", "arn:aws:eks:*:*:access-entry/*"),
        )
    ],
    "a file server's own user's keys": [
        policy(allow("transfer:ImportSshPublicKey", "arn:aws:transfer:eu-central-1:123456789012:user/s-1/reports"))
    ],
    "one role to assume": [policy(allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/reports"))],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_policies_are_not_called_escalations(name: str) -> None:
    assert not escalates(*HARMLESS[name])


def test_a_boundary_at_hand_closes_a_path() -> None:
    boundary = policy(allow(["s3:*", "lambda:*"]))
    facts = [
        IamManagedPolicy(at="boundary", name="limit", document=json.dumps(boundary)),
        IamIdentity(at="role", kind="role", name="tool", boundary="arn:aws:iam::123456789012:policy/limit"),
        IamPolicy(
            at="policy",
            kind="role",
            holder="tool",
            name="p",
            document=json.dumps(policy(allow(["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"]))),
        ),
    ]
    assert not [finding for finding in judge(facts) if finding.rule == NAME and finding.resource == "role"]


def test_every_path_has_its_sources_and_names_its_steps() -> None:
    for path in PATHS:
        assert path.steps
        assert set(path.sources) <= SOURCES.keys(), path.name
        assert path.sources
        for step in path.steps:
            assert step.action in path.name or "iam:PassRole" in path.name, path.name


def test_a_finding_names_a_request_for_each_step() -> None:
    document = policy(allow(["iam:PassRole", "ec2:RunInstances"]))
    facts = [IamPolicy(at="x", kind="role", holder="tool", name="p", document=json.dumps(document))]
    (finding,) = [finding for finding in judge(facts) if finding.rule == NAME]
    assert "iam:PassRole on arn:aws:iam::" in finding.detail
    assert "ec2:RunInstances on " in finding.detail
