"""Which IAM actions a call of the AWS API needs: mostly the one of its own name, else what the table here says.

Source: the service authorization reference, and each service's list of API permissions. A call that neither knows has
no known permission, so it is refused rather than guessed. This module must not call anything.
"""

from __future__ import annotations

from typing import Final

from narrowgate.compile import iam_catalogue
from narrowgate.compile.problems import Problem

# What a client calls a service, where IAM calls it otherwise.
_PREFIXES: Final[dict[str, str]] = {
    "bedrock-agent-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "dynamodbstreams": "dynamodb",
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "opensearch": "es",
    "sesv2": "ses",
    "stepfunctions": "states",
}
# By IAM's name of the service and the operation's name: what it needs instead of an action of its own name.
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "bedrock:Converse": ("bedrock:InvokeModel",),
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "sns:PublishBatch": ("sns:Publish",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}
KEY_USE: Final = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})
"""What a call may need beside its own actions, where the data is encrypted by a key of the customer's."""
_READS: Final = frozenset({"Read", "List"})


def needed_actions(service: str, operation: str) -> tuple[str, ...]:
    """Return the IAM actions that a call of `operation` needs, sorted; none where it is not known."""
    name = f"{_PREFIXES.get(service, service)}:{operation}"
    if name in _NEEDS:
        return _NEEDS[name]
    return () if iam_catalogue.find_action(name) is None else (name,)


def check_call(service: str, operation: str) -> Problem | None:
    """Return what is wrong with a call's name, if anything."""
    if needed_actions(service, operation):
        return None
    wrong = iam_catalogue.check_action(f"{_PREFIXES.get(service, service)}:{operation}")
    hint = "" if wrong is None else wrong.hint
    return Problem((), "unknown-operation", f"no IAM action of `{service}` is known for {operation}", hint)


def changes_something(service: str, operation: str) -> bool:
    """Tell whether a call does more than read or list, by AWS's own access levels."""
    actions = needed_actions(service, operation)
    levels = {level.strip() for action in actions for level in iam_catalogue.access_level(action).split(",")}
    return not levels <= _READS
