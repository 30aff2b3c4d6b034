"""The environment's permissions boundary: the most that any tool role may ever hold, whatever its policies say.

It allows the use of data in the services that tools are for, and denies what changes who may do what. It is wide on
purpose, so that it changes seldom; the tool roles' own policies are narrow. This module must not look at any workflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from narrowgate.compile.documents import Json

# Use of data only: no action here creates or configures a resource, or changes a resource's own policy.
DATA_ACTIONS: Final[tuple[str, ...]] = (
    "bedrock:Converse*", "bedrock:Invoke*", "bedrock:Retrieve*", "cloudwatch:GetMetric*", "cloudwatch:PutMetricData",
    "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem",
    "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PartiQL*", "dynamodb:PutItem", "dynamodb:Query",
    "dynamodb:Scan", "dynamodb:UpdateItem", "events:PutEvents", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey",
    # the audit trail's delivery role stands under the boundary too, and opens its own streams
    "lambda:InvokeFunction", "logs:CreateLogStream", "logs:Describe*", "logs:FilterLogEvents", "logs:GetLog*",
    "logs:GetQueryResults", "logs:PutLogEvents", "logs:StartQuery", "logs:StopQuery", "s3:AbortMultipartUpload",
    "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetBucketLocation", "s3:GetObject*", "s3:ListBucket*",
    "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
    "ses:SendEmail", "ses:SendRawEmail", "ses:SendTemplatedEmail", "sns:Publish", "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SendMessage",
    "ssm:GetParameter*", "states:DescribeExecution", "states:StartExecution", "textract:Analyze*", "textract:Detect*",
)  # fmt: skip

_DENIED: Final[tuple[str, ...]] = (
    "account:*", "aws-portal:*", "billing:*", "iam:*", "identitystore:*", "kms:CreateGrant", "kms:Delete*",
    "kms:Disable*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "lambda:AddPermission", "logs:PutResourcePolicy",
    "organizations:*", "ram:*", "s3:*Acl", "s3:PutBucketPolicy", "secretsmanager:PutResourcePolicy",
    "sqs:AddPermission",
    "sso-admin:*", "sso:*", "sts:AssumeRole*", "sts:GetFederationToken", "sts:TagSession",
)  # fmt: skip


def boundary_policy() -> Json:
    """Return the boundary's document."""
    allowed = {"Action": list(DATA_ACTIONS), "Effect": "Allow", "Resource": "*", "Sid": "UseOfData"}
    denied = {"Action": list(_DENIED), "Effect": "Deny", "Resource": "*", "Sid": "NoChangeOfAccess"}
    return {"Statement": [allowed, denied], "Version": "2012-10-17"}
