"""The table of the AWS double: tokens, settings, functions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import botocore.exceptions

from rehearsal.doubles.aws import buckets, functions, keys, policies, topics, watching
from rehearsal.doubles.aws.clients import Aws, connect
from rehearsal.doubles.aws.oidc import OIDC_PROVIDER
from rehearsal.doubles.aws.principals import ACCESS_KEY, GROUP, USER
from rehearsal.doubles.aws.role import ROLE
from rehearsal.doubles.aws.trails import TRAIL
from rehearsal.doubles.provider import Package

PACKAGE: Final[Package[Aws]] = Package(
    name="aws",
    version=version("pulumi-aws"),
    text_settings=frozenset({"accessKey", "profile", "region", "secretKey", "token", "version"}),
    json_settings=frozenset(
        {
            "allowedAccountIds",
            "endpoints",
            "forbiddenAccountIds",
            "s3UsePathStyle",
            "skipCredentialsValidation",
            "skipMetadataApiCheck",
            "skipRegionValidation",
            "skipRequestingAccountId",
        }
    ),
    types={
        "aws:cloudtrail/trail:Trail": TRAIL,
        "aws:cloudwatch/logGroup:LogGroup": watching.LOG_GROUP,
        "aws:cloudwatch/logMetricFilter:LogMetricFilter": watching.METRIC_FILTER,
        "aws:cloudwatch/metricAlarm:MetricAlarm": watching.ALARM,
        "aws:iam/accessKey:AccessKey": ACCESS_KEY,
        "aws:iam/group:Group": GROUP,
        "aws:iam/groupPolicy:GroupPolicy": policies.inline_policy("group"),
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": policies.attachment("group"),
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": OIDC_PROVIDER,
        "aws:iam/policy:Policy": policies.MANAGED_POLICY,
        "aws:iam/role:Role": ROLE,
        "aws:iam/rolePolicy:RolePolicy": policies.inline_policy("role"),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": policies.attachment("role"),
        "aws:iam/user:User": USER,
        "aws:iam/userPolicy:UserPolicy": policies.inline_policy("user"),
        "aws:iam/userPolicyAttachment:UserPolicyAttachment": policies.attachment("user"),
        "aws:kms/alias:Alias": keys.ALIAS,
        "aws:kms/key:Key": keys.KEY,
        "aws:s3/bucket:Bucket": buckets.BUCKET,
        "aws:s3/bucketLogging:BucketLogging": buckets.LOGGING,
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": buckets.LOCK,
        "aws:s3/bucketPolicy:BucketPolicy": buckets.POLICY,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": buckets.PUBLIC_ACCESS_BLOCK,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": buckets.ENCRYPTION,
        "aws:s3/bucketVersioning:BucketVersioning": buckets.VERSIONING,
        "aws:sns/topic:Topic": topics.TOPIC,
        "aws:sns/topicPolicy:TopicPolicy": topics.TOPIC_POLICY,
        "aws:sns/topicSubscription:TopicSubscription": topics.SUBSCRIPTION,
    },
    functions={
        "aws:index/getCallerIdentity:getCallerIdentity": functions.get_caller_identity,
        "aws:index/getPartition:getPartition": functions.get_partition,
        "aws:index/getRegion:getRegion": functions.get_region,
    },
    connect=connect,
    errors=(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError),
)
