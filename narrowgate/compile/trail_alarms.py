"""What of a trail must raise an alarm: CIS AWS Foundations Benchmark v3.0, section 4, and what only agents need.

One table: the metric filters are compiled from it, and the rule `trail-alarms` asks of any filters, whoever wrote them,
that they match its samples. This module must not look at any workflow.

Sources: CIS Amazon Web Services Foundations Benchmark v3.0.0, 4.1 to 4.15; CloudWatch Logs, filter pattern syntax for
JSON; CloudTrail record contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.plan import Environment

MAX_PATTERN: Final = 1024


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that must raise an alarm.

    `name` is short and kebab-case, `number` CIS's own (empty for ours), `title` what happened. `pattern` is a filter
    pattern for CloudTrail's records; `samples` are records, as far as they matter, that any filter for it must match.
    """

    name: str
    number: str
    title: str
    pattern: str
    samples: tuple[dict[str, Any], ...]


def any_event(source: str, *events: str) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Return the pattern and the samples of a service's API calls, by name."""
    called = " || ".join(f"($.eventName = {event})" for event in events)
    samples = tuple({"eventSource": source, "eventName": event} for event in events)
    return f"{{ ($.eventSource = {source}) && ({called}) }}", samples


_ROOT: Final = {
    "eventName": "DescribeInstances",
    "eventType": "AwsApiCall",
    "userIdentity": {"type": "Root", "arn": "arn:aws:iam::111111111111:root"},
}
_NO_MFA: Final = {
    "additionalEventData": {"MFAUsed": "No"},
    "eventName": "ConsoleLogin",
    "responseElements": {"ConsoleLogin": "Success"},
    "userIdentity": {"type": "IAMUser"},
}

_CONDITIONS: Final = (
    Control(
        "unauthorized-call",
        "4.1",
        "An API call was refused",
        '{ (($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*")) '
        '&& ($.sourceIPAddress != "delivery.logs.amazonaws.com") && ($.eventName != "HeadBucket") }',
        (
            {"errorCode": "AccessDenied", "eventName": "GetObject", "sourceIPAddress": "192.0.2.1"},
            {"errorCode": "AccessDeniedException", "eventName": "Query", "sourceIPAddress": "192.0.2.1"},
            {
                "errorCode": "Client.UnauthorizedOperation",
                "eventName": "RunInstances",
                "sourceIPAddress": "192.0.2.1",
            },
        ),
    ),
    Control(
        "login-without-mfa",
        "4.2",
        "A person logged in to the console without a second factor",
        '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") '
        '&& ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }',
        (_NO_MFA,),
    ),
    Control(
        "root-used",
        "4.3",
        "The account's root was used",
        '{ ($.userIdentity.type = "Root") && ($.userIdentity.invokedBy NOT EXISTS) '
        '&& ($.eventType != "AwsServiceEvent") }',
        (_ROOT,),
    ),
    Control(
        "failed-login",
        "4.6",
        "Somebody failed to log in to the console",
        '{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }',
        ({"eventName": "ConsoleLogin", "errorMessage": "Failed authentication"},),
    ),
)

# number: name, title, service, calls
_CALLS: Final[tuple[tuple[str, str, str, str, tuple[str, ...]], ...]] = (
    (
        "4.4", "iam-changed", "A policy of IAM was changed", "iam.amazonaws.com",
        (
            "DeleteGroupPolicy", "DeleteRolePolicy", "DeleteUserPolicy", "PutGroupPolicy", "PutRolePolicy",
            "PutUserPolicy", "CreatePolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion",
            "AttachRolePolicy", "DetachRolePolicy", "AttachUserPolicy", "DetachUserPolicy", "AttachGroupPolicy",
            "DetachGroupPolicy",
        ),
    ),
    (
        "4.5", "trail-changed", "The trail was changed", "cloudtrail.amazonaws.com",
        ("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"),
    ),
    (
        "4.7", "key-disabled", "A key was disabled or will be deleted", "kms.amazonaws.com",
        ("DisableKey", "ScheduleKeyDeletion"),
    ),
    (
        "4.8", "bucket-policy-changed", "A bucket's policy was changed", "s3.amazonaws.com",
        (
            "PutBucketAcl", "PutBucketPolicy", "PutBucketCors", "PutBucketLifecycle", "PutBucketReplication",
            "DeleteBucketPolicy", "DeleteBucketCors", "DeleteBucketLifecycle", "DeleteBucketReplication",
        ),
    ),
    (
        "4.9", "config-changed", "AWS Config was changed", "config.amazonaws.com",
        (
            "StopConfigurationRecorder", "DeleteDeliveryChannel", "PutDeliveryChannel", "PutConfigurationRecorder",
        ),
    ),
    (
        "4.10", "security-group-changed", "A security group was changed", "ec2.amazonaws.com",
        (
            "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress", "CreateSecurityGroup", "DeleteSecurityGroup",
        ),
    ),
    (
        "4.11", "network-acl-changed", "A network ACL was changed", "ec2.amazonaws.com",
        (
            "CreateNetworkAcl", "CreateNetworkAclEntry", "DeleteNetworkAcl", "DeleteNetworkAclEntry",
            "ReplaceNetworkAclEntry", "ReplaceNetworkAclAssociation",
        ),
    ),
    (
        "4.12", "gateway-changed", "A network gateway was changed", "ec2.amazonaws.com",
        (
            "CreateCustomerGateway", "DeleteCustomerGateway", "AttachInternetGateway", "CreateInternetGateway",
            "DeleteInternetGateway", "DetachInternetGateway",
        ),
    ),
    (
        "4.13", "route-changed", "A route table was changed", "ec2.amazonaws.com",
        (
            "CreateRoute", "CreateRouteTable", "ReplaceRoute", "ReplaceRouteTableAssociation", "DeleteRouteTable",
            "DeleteRoute", "DisassociateRouteTable",
        ),
    ),
    (
        "4.14", "vpc-changed", "A VPC was changed", "ec2.amazonaws.com",
        (
            "CreateVpc", "DeleteVpc", "ModifyVpcAttribute", "AcceptVpcPeeringConnection",
            "CreateVpcPeeringConnection", "DeleteVpcPeeringConnection", "RejectVpcPeeringConnection",
            "AttachClassicLinkVpc", "DetachClassicLinkVpc", "DisableVpcClassicLink", "EnableVpcClassicLink",
        ),
    ),
    (
        "4.15", "organization-changed", "The organization was changed", "organizations.amazonaws.com",
        (
            "AcceptHandshake", "AttachPolicy", "CreateAccount", "CreateOrganizationalUnit", "CreatePolicy",
            "DeclineHandshake", "DeleteOrganization", "DeleteOrganizationalUnit", "DeletePolicy", "DetachPolicy",
            "DisablePolicyType", "EnablePolicyType", "InviteAccountToOrganization", "LeaveOrganization", "MoveAccount",
            "RemoveAccountFromOrganization", "UpdatePolicy", "UpdateOrganizationalUnit",
        ),
    ),
)  # fmt: skip


def benchmark_controls() -> tuple[Control, ...]:
    """Return CIS 4.1 to 4.15, in their order; 4.16, Security Hub, is no filter."""
    found = [
        *_CONDITIONS,
        *(Control(name, number, title, *any_event(source, *calls)) for number, name, title, source, calls in _CALLS),
    ]
    return tuple(sorted(found, key=lambda control: int(control.number.partition(".")[2])))


def agent_controls(environment: str, account: str, partition: str, brokers: dict[str, str]) -> tuple[Control, ...]:
    """Return what matters of agents: `brokers` says, for each kind of role (tool, gated), who alone may assume it."""
    roles = f"arn:{partition}:iam::{account}:role/narrowgate/{environment}"
    denied = Control(
        "agent-denied",
        "",
        f"An agent's session of {environment} was refused something",
        f'{{ ($.userIdentity.sessionContext.sessionIssuer.arn = "{roles}/*") '
        '&& (($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*")) }',
        (_session_event(f"{roles}/tool/ng-x", errorCode="AccessDenied"),),
    )
    return (denied, *(_foreign_caller(roles, kind, arn) for kind, arn in sorted(brokers.items())))


def environment_controls(environment: Environment) -> tuple[Control, ...]:
    """Return all controls of an environment."""
    aws = environment.aws
    brokers = {"tool": aws.broker_arn} | ({"gated": aws.gated_broker_arn} if aws.gated_broker_arn else {})
    return benchmark_controls() + agent_controls(environment.name, aws.account, aws.partition, brokers)


def _session_event(role: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a record
    issuer = {"type": "Role", "arn": role}
    return {
        "eventName": "GetObject",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}},
        **more,
    }


def _foreign_caller(roles: str, kind: str, broker: str) -> Control:
    """Return the control of a role that somebody else than its broker asked for, whether that was allowed or not.

    A field that a record lacks satisfies no comparison, `!=` included, so its absence is asked for by itself.
    """
    field = "$.userIdentity.arn" if ":user/" in broker else "$.userIdentity.sessionContext.sessionIssuer.arn"
    return Control(
        f"{kind}-role-by-other" if kind != "tool" else "role-by-other",
        "",
        f"A {kind} role was assumed by somebody else than its broker",
        f'{{ ($.eventSource = sts.amazonaws.com) && ($.eventName = "AssumeRole*") '
        f'&& ($.requestParameters.roleArn = "{roles}/{kind}/*") '
        f'&& (({field} NOT EXISTS) || ({field} != "{broker}")) }}',
        tuple(_foreign_calls(f"{roles}/{kind}/ng-x")),
    )


def _foreign_calls(role: str) -> Iterator[dict[str, Any]]:
    call = {"eventSource": "sts.amazonaws.com", "requestParameters": {"roleArn": role}}
    user = {"type": "IAMUser", "arn": "arn:aws:iam::111111111111:user/somebody-else"}
    issuer = {"type": "Role", "arn": "arn:aws:iam::111111111111:role/somebody-else"}
    yield {**call, "eventName": "AssumeRole", "userIdentity": user}
    yield {
        **call,
        "eventName": "AssumeRole",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}},
    }
    yield {**call, "eventName": "AssumeRoleWithWebIdentity", "userIdentity": {"type": "WebIdentityUser"}}
