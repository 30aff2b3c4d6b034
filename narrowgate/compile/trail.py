"""The documents of an environment's audit trail: bucket, key, log group, delivery role, selectors, filters, alarms.

Names are known before deploy; only the key's own id is AWS's to choose. Data events are those that the environment's
binding lists (`trail.data_events`): the foundation is deployed seldom, so it must not depend on workflows, and
`find_unlogged` says which access of a plan no entry covers, which refuses the plan. This module must not read files.

Sources: CloudTrail User Guide (bucket, key and role policies; advanced event selectors); CIS AWS Foundations v3.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.trail_alarms import Control, environment_controls
from narrowgate.plan import IamGrant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.compile.documents import Json
    from narrowgate.plan import AccessPlan, Environment, TrailBinding

S3_OBJECT: Final = "AWS::S3::Object"
# What CloudTrail calls a service's data, and the part of an ARN that names the whole bucket, table or function.
_KINDS: Final[dict[str, tuple[str, re.Pattern[str]]]] = {
    "s3": (S3_OBJECT, re.compile(r"(arn:[^:]+:s3:::[^/*?]+)(?=$|/)")),
    "dynamodb": ("AWS::DynamoDB::Table", re.compile(r"(arn:[^:]+:dynamodb:[^:]*:[^:]*:table/[^/*?]+)(?=$|/)")),
    "lambda": ("AWS::Lambda::Function", re.compile(r"(arn:[^:]+:lambda:[^:]*:[^:]*:function:[^:*?]+)(?=$|:)")),
}


@dataclass(frozen=True, slots=True)
class TrailDocuments:
    """All documents of a trail that is made here. Policies are JSON-ready; `selectors` are CloudTrail's own fields.

    `filters` are the metric filters with an alarm each, `metric_namespace` is where their metrics are. The key's policy
    names nothing that is made up on deploy.
    """

    name: str
    arn: str
    bucket: str
    bucket_policy: Json
    access_log_bucket: str
    access_log_policy: Json
    lock_days: int
    lock_mode: str
    key_alias: str
    key_policy: Json
    log_group: str
    log_group_arn: str
    retention_days: int
    role_name: str
    role_path: str
    role_trust: Json
    role_policy: Json
    selectors: tuple[Json, ...]
    metric_namespace: str
    filters: tuple[Control, ...]
    topic: str
    topic_arn: str
    topic_policy: Json
    notify: tuple[str, ...]
    tags: Json


def compile_trail(environment: Environment) -> TrailDocuments | None:
    """Return the documents of the trail that `environment` declares; None where it makes none of its own."""
    trail = environment.trail
    if trail is None or trail.organization_trail_arn is not None:
        return None
    aws = environment.aws
    name = f"narrowgate-{environment.name}"
    place = f"{aws.region}:{aws.account}"
    arn = f"arn:{aws.partition}:cloudtrail:{place}:trail/{name}"
    log_group = f"/narrowgate/{environment.name}/trail"
    log_group_arn = f"arn:{aws.partition}:logs:{place}:log-group:{log_group}"
    topic_arn = f"arn:{aws.partition}:sns:{place}:{name}-alarms"
    return TrailDocuments(
        name=name,
        arn=arn,
        bucket=trail.bucket,
        bucket_policy=_bucket_policy(environment, trail, arn),
        access_log_bucket=trail.access_log_bucket,
        access_log_policy=_access_log_policy(environment, trail),
        lock_days=trail.lock_days,
        lock_mode=trail.lock_mode.upper(),
        key_alias=f"alias/{name}-trail",
        key_policy=_key_policy(environment, arn, log_group_arn),
        log_group=log_group,
        log_group_arn=log_group_arn,
        retention_days=trail.retention_days,
        role_name=names.system_role_name(environment.name, names.TRAIL),
        role_path=names.iam_role_path(environment.name, "system"),
        role_trust=_service_policy("cloudtrail", "sts:AssumeRole", None, _from(aws.account, arn)),
        role_policy=_delivery_policy(log_group_arn, aws.account, aws.region),
        selectors=tuple(_selectors(trail)),
        metric_namespace=f"Narrowgate/{environment.name}",
        filters=environment_controls(environment),
        topic=f"{name}-alarms",
        topic_arn=topic_arn,
        topic_policy=_topic_policy(environment, topic_arn),
        notify=trail.notify,
        tags={"environment": environment.name, "owner": "narrowgate"},
    )


@dataclass(frozen=True, slots=True)
class Unlogged:
    """Data that a tool of a workflow may touch and that the trail does not log; `entry` would log it."""

    workflow: str
    tool: str
    resource: str
    entry: str


def find_unlogged(plan: AccessPlan) -> Iterator[Unlogged]:
    """Yield each data resource of the plan that no entry of the environment's `trail.data_events` covers.

    An organization's trail is somebody else's: what it logs is not judged here.
    """
    trail = plan.environment.trail
    if trail is None or trail.organization_trail_arn is not None:
        return
    for workflow in plan.workflows:
        for tool in workflow.tools:
            for resource in sorted(
                {
                    arn
                    for action in tool.actions
                    for grant in action.grants
                    if isinstance(grant, IamGrant)
                    for arn in grant.resources
                }
            ):
                if kind_of(resource) and not any(covers(entry, resource) for entry in trail.data_events):
                    yield Unlogged(workflow.name, tool.tool, resource, suggest_entry(resource))


def kind_of(arn: str) -> str | None:
    """Return CloudTrail's name for the kind of data behind an ARN; None where it has no data events that we log."""
    parts = arn.split(":", 5)
    kind = _KINDS.get(parts[2]) if len(parts) > 5 else None  # noqa: PLR2004 - an ARN has six parts
    return None if kind is None else kind[0]


def covers(entry: str, arn: str) -> bool:
    """Return whether events of everything behind `arn` (which may hold wildcards) are logged by an entry.

    An entry is one ARN, or the beginning of ARNs where it ends in `*`. Listing a bucket is logged as an event of it.
    """
    thing = _name_of(arn)
    if not entry.endswith("*"):
        return entry == thing
    literal = re.split(r"[*?]|\$\{", arn, maxsplit=1)[0]
    if literal == thing and kind_of(arn) == S3_OBJECT:
        literal += "/"
    return literal.startswith(entry.removesuffix("*"))


def suggest_entry(arn: str) -> str:
    """Return the entry that logs the whole bucket, table or function that an ARN is of."""
    thing = _name_of(arn)
    return f"{thing}/*" if kind_of(arn) == S3_OBJECT and not thing.endswith("*") else thing


def _name_of(arn: str) -> str:
    """Return the ARN of the bucket, table or function itself; without one, the ARN up to its first wildcard and `*`."""
    match = _KINDS[arn.split(":", 5)[2]][1].match(arn)
    return match[1] if match else re.split(r"[*?]", arn, maxsplit=1)[0] + "*"


def _selectors(trail: TrailBinding) -> Iterator[Json]:
    """Yield the advanced event selectors: all management events, then the listed data, reads and writes."""
    yield {
        "name": "All management events",
        "field_selectors": [{"field": "eventCategory", "equals": ["Management"]}],
    }
    for entries in ("Equals", "StartsWith"):
        by_kind: dict[str, list[str]] = {}
        for entry in trail.data_events:
            if entry.endswith("*") == (entries == "StartsWith"):
                by_kind.setdefault(str(kind_of(entry)), []).append(entry.removesuffix("*"))
        for kind, values in sorted(by_kind.items()):
            yield {
                "name": f"{kind} {'below' if entries == 'StartsWith' else 'named'}"[:1000],
                "field_selectors": [
                    {"field": "eventCategory", "equals": ["Data"]},
                    {"field": "resources.type", "equals": [kind]},
                    {
                        "field": "resources.ARN",
                        ("starts_withs" if entries == "StartsWith" else "equals"): sorted(values),
                    },
                ],
            }


def _statement(sid: str, actions: list[str] | str, resource: Any, **more: Any) -> Json:  # noqa: ANN401 - IAM JSON
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource, **more}


def _document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _from(account: str, source_arn: str) -> Json:
    """Return the condition that a service acts for this one resource of this account (the confused deputy)."""
    return {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": source_arn}}


def _service(name: str) -> Json:
    return {"Service": f"{name}.amazonaws.com"}


def _service_policy(service: str, action: str, resource: str | None, condition: Json) -> Json:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": _service(service),
        "Action": action,
        "Condition": condition,
    }
    return _document(statement if resource is None else {**statement, "Resource": resource})


def _only_tls(bucket: str, partition: str) -> Json:
    return {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:{partition}:s3:::{bucket}", f"arn:{partition}:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _bucket_policy(environment: Environment, trail: TrailBinding, arn: str) -> Json:
    aws = environment.aws
    bucket = f"arn:{aws.partition}:s3:::{trail.bucket}"
    own = _from(aws.account, arn)["StringEquals"]
    return _document(
        _only_tls(trail.bucket, aws.partition),
        _statement(
            "TrailChecks",
            ["s3:GetBucketAcl"],
            bucket,
            Principal=_service("cloudtrail"),
            Condition={"StringEquals": own},
        ),
        _statement(
            "TrailWrites",
            ["s3:PutObject"],
            f"{bucket}/AWSLogs/{aws.account}/*",
            Principal=_service("cloudtrail"),
            Condition={"StringEquals": {**own, "s3:x-amz-acl": "bucket-owner-full-control"}},
        ),
    )


def _access_log_policy(environment: Environment, trail: TrailBinding) -> Json:
    aws = environment.aws
    return _document(
        _only_tls(trail.access_log_bucket, aws.partition),
        _statement(
            "AccessLogsAreWritten",
            ["s3:PutObject"],
            f"arn:{aws.partition}:s3:::{trail.access_log_bucket}/*",
            Principal=_service("logging.s3"),
            Condition={
                "StringEquals": {"aws:SourceAccount": aws.account},
                "ArnLike": {"aws:SourceArn": f"arn:{aws.partition}:s3:::{trail.bucket}"},
            },
        ),
    )


_KEY_ADMINISTRATION: Final = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
    "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases",
    "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource",
    "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
]  # fmt: skip


def _key_policy(environment: Environment, arn: str, log_group_arn: str) -> Json:
    """Return who may use the key: the trail writes, the logs keep, the account's own readers read; nobody else."""
    aws = environment.aws
    account = {"AWS": f"arn:{aws.partition}:iam::{aws.account}:root"}
    context = "kms:EncryptionContext:aws:cloudtrail:arn"
    alarms = f"arn:{aws.partition}:cloudwatch:{aws.region}:{aws.account}:alarm:*"
    return _document(
        _statement("Administration", list(_KEY_ADMINISTRATION), "*", Principal=account),
        _statement(
            "TrailEncrypts",
            ["kms:GenerateDataKey*"],
            "*",
            Principal=_service("cloudtrail"),
            Condition={"StringEquals": {"aws:SourceArn": arn, context: arn}},
        ),
        _statement(
            "TrailDescribes",
            ["kms:DescribeKey"],
            "*",
            Principal=_service("cloudtrail"),
            Condition={"StringEquals": {"aws:SourceArn": arn}},
        ),
        _statement(
            "AuditorsDecrypt",
            ["kms:Decrypt"],
            "*",
            Principal=account,
            Condition={"StringEquals": {"kms:CallerAccount": aws.account, context: arn}},
        ),
        _statement(
            "LogGroupEncrypts",
            ["kms:Decrypt", "kms:Describe*", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "*",
            Principal=_service(f"logs.{aws.region}"),
            Condition={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group_arn}},
        ),
        _statement(
            "AlarmsPublish",
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            "*",
            Principal=_service("cloudwatch"),
            Condition={"StringEquals": {"aws:SourceAccount": aws.account}, "ArnLike": {"aws:SourceArn": alarms}},
        ),
    )


def _delivery_policy(log_group_arn: str, account: str, region: str) -> Json:
    stream = f"{log_group_arn}:log-stream:{account}_CloudTrail_{region}*"
    return _document(_statement("Deliver", ["logs:CreateLogStream", "logs:PutLogEvents"], stream))


def _topic_policy(environment: Environment, topic_arn: str) -> Json:
    aws = environment.aws
    alarms = f"arn:{aws.partition}:cloudwatch:{aws.region}:{aws.account}:alarm:narrowgate-{environment.name}-*"
    return _service_policy(
        "cloudwatch",
        "sns:Publish",
        topic_arn,
        {"StringEquals": {"aws:SourceAccount": aws.account}, "ArnLike": {"aws:SourceArn": alarms}},
    )
