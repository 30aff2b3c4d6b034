"""`AuditTrail`: AWS's own record of every call in the account, where nobody who is watched can change it.

It deploys the documents of `narrowgate.compile.trail` as they are; or it only refers to the organization's trail, and
makes nothing. An administrator deploys it with the foundation; no workflow and no deployer changes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.trail import TrailDocuments

PERIOD_SECONDS = 300
KEY_DELETION_DAYS = 30


class TrailMissingError(NarrowgateError):
    """An environment declares no audit trail, or two."""

    code = "trail-missing"
    hint = "set `trail` in the environment's config: docs/trail.md"


class AuditTrailArgs(TypedDict):
    """What `AuditTrail` takes: exactly one of the two."""

    documents: NotRequired[TrailDocuments | None]
    """The compiled documents of a trail to make."""
    organization_trail_arn: NotRequired[str | None]
    """The ARN of the organization's trail, which logs this account too: then nothing is made."""


class AuditTrail(pulumi.ComponentResource):
    """A trail over all regions, its locked bucket, its key, its log group and its alarms.

    Outputs: `trail_arn`, `log_group` and `topic_arn` (None where the trail is the organization's).
    """

    trail_arn: pulumi.Output[str]
    log_group: pulumi.Output[str | None]
    topic_arn: pulumi.Output[str | None]

    def __init__(self, name: str, args: AuditTrailArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        documents, reference = args.get("documents"), args.get("organization_trail_arn")
        # what a reviewer and the rules read of it where it makes nothing
        seen = {"organizationTrailArn": reference} if reference else {}
        super().__init__("narrowgate:index:AuditTrail", name, seen, opts)
        if (documents is None) == (reference is None):
            raise TrailMissingError("an audit trail is made, or an organization's is named: exactly one of the two")
        made = _Made(self, name, documents) if documents is not None else None
        arn = made.build() if made is not None else reference
        outputs: dict[str, Any] = {
            "trail_arn": arn,
            "log_group": documents.log_group if documents else None,
            "topic_arn": documents.topic_arn if documents else None,
        }
        self.trail_arn = pulumi.Output.from_input(outputs["trail_arn"])
        self.log_group = pulumi.Output.from_input(outputs["log_group"])
        self.topic_arn = pulumi.Output.from_input(outputs["topic_arn"])
        self.register_outputs(outputs)


class _Made:
    """Makes the resources of a trail, each after what it needs: names are known, so most edges are set by hand."""

    def __init__(self, parent: AuditTrail, name: str, documents: TrailDocuments) -> None:
        self._parent = parent
        self._name = name
        self._documents = documents
        self._tags = dict(documents.tags)

    def build(self) -> pulumi.Output[str]:
        """Make everything and return the trail's ARN."""
        key = self._make_key()
        stored = self._make_buckets(key)
        delivered, role = self._make_log_group(key)
        counted = self._make_filters(delivered[0])
        documents = self._documents
        trail = aws.cloudtrail.Trail(
            f"{self._name}-cloudtrail",
            name=documents.name,
            s3_bucket_name=documents.bucket,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            enable_logging=True,
            kms_key_id=key.arn,
            cloud_watch_logs_group_arn=f"{documents.log_group_arn}:*",
            cloud_watch_logs_role_arn=role.arn,
            advanced_event_selectors=thaw(documents.selectors),
            tags=self._tags,
            opts=self._after(*stored, *delivered),
        )
        self._make_alarms(key, counted)
        return trail.arn

    def _after(self, *before: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self._parent, depends_on=list(before))

    def _make_key(self) -> aws.kms.Key:
        key = aws.kms.Key(
            f"{self._name}-key",
            description=f"The audit trail {self._documents.name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS,
            policy=as_json(self._documents.key_policy),
            tags=self._tags,
            opts=self._after(),
        )
        aws.kms.Alias(f"{self._name}-alias", name=self._documents.key_alias, target_key_id=key.id, opts=self._after())
        return key

    def _make_buckets(self, key: aws.kms.Key) -> list[pulumi.Resource]:
        documents = self._documents
        access = self._make_bucket("access", documents.access_log_bucket)
        access_policy = self._guard_bucket("access", documents.access_log_bucket, documents.access_log_policy, access)
        bucket = self._make_bucket("bucket", documents.bucket, object_lock_enabled=True)
        policy = self._guard_bucket("bucket", documents.bucket, documents.bucket_policy, bucket)
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-bucket-encryption",
            bucket=documents.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._after(bucket),
        )
        lock = aws.s3.BucketObjectLockConfiguration(
            f"{self._name}-bucket-lock",
            bucket=documents.bucket,
            object_lock_enabled="Enabled",
            rule={"default_retention": {"mode": documents.lock_mode, "days": documents.lock_days}},
            opts=self._after(*policy),
        )
        logging = aws.s3.BucketLogging(
            f"{self._name}-bucket-logging",
            bucket=documents.bucket,
            target_bucket=documents.access_log_bucket,
            target_prefix=f"{documents.bucket}/",
            opts=self._after(bucket, *access_policy),
        )
        return [*policy, encryption, lock, logging]

    def _make_bucket(self, part: str, bucket: str, **more: Any) -> aws.s3.Bucket:  # noqa: ANN401 - the SDK's arguments
        return aws.s3.Bucket(f"{self._name}-{part}", bucket=bucket, tags=self._tags, **more, opts=self._after())

    def _guard_bucket(self, part: str, bucket: str, policy: Any, made: aws.s3.Bucket) -> list[pulumi.Resource]:  # noqa: ANN401 - JSON
        """Make a bucket private, versioned and its owner's; its policy comes after the block of public ones."""
        private = aws.s3.BucketPublicAccessBlock(
            f"{self._name}-{part}-private",
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._after(made),
        )
        versions = aws.s3.BucketVersioning(
            f"{self._name}-{part}-versions",
            bucket=bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self._after(made),
        )
        guard = aws.s3.BucketPolicy(
            f"{self._name}-{part}-policy", bucket=bucket, policy=as_json(policy), opts=self._after(private)
        )
        return [private, versions, guard]

    def _make_log_group(self, key: aws.kms.Key) -> tuple[list[pulumi.Resource], aws.iam.Role]:
        documents = self._documents
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=documents.log_group,
            retention_in_days=documents.retention_days,
            kms_key_id=key.arn,
            tags=self._tags,
            opts=self._after(),
        )
        role = aws.iam.Role(
            f"{self._name}-delivery",
            name=documents.role_name,
            path=documents.role_path,
            description="Lets CloudTrail write the trail's events to its log group",
            assume_role_policy=as_json(documents.role_trust),
            tags=self._tags,
            opts=self._after(),
        )
        policy = aws.iam.RolePolicy(
            f"{self._name}-delivery-policy",
            name="deliver",
            role=documents.role_name,
            policy=as_json(documents.role_policy),
            opts=self._after(role),
        )
        return [group, policy], role

    def _make_filters(self, group: pulumi.Resource) -> list[aws.cloudwatch.LogMetricFilter]:
        documents = self._documents
        return [
            aws.cloudwatch.LogMetricFilter(
                f"{self._name}-filter-{control.name}",
                name=control.name,
                log_group_name=documents.log_group,
                pattern=control.pattern,
                metric_transformation={
                    "name": control.name,
                    "namespace": documents.metric_namespace,
                    "value": "1",
                    "default_value": "0",
                },
                opts=self._after(group),
            )
            for control in documents.filters
        ]

    def _make_alarms(self, key: aws.kms.Key, filters: list[aws.cloudwatch.LogMetricFilter]) -> None:
        documents = self._documents
        topic = aws.sns.Topic(
            f"{self._name}-alarms", name=documents.topic, kms_master_key_id=key.arn, tags=self._tags, opts=self._after()
        )
        guard = aws.sns.TopicPolicy(
            f"{self._name}-alarms-policy",
            arn=documents.topic_arn,
            policy=as_json(documents.topic_policy),
            opts=self._after(topic),
        )
        for address in documents.notify:
            aws.sns.TopicSubscription(
                f"{self._name}-alarms-to-{address}",
                topic=documents.topic_arn,
                protocol="email",
                endpoint=address,
                opts=self._after(topic),
            )
        for control, counted in zip(documents.filters, filters, strict=True):
            number = f" (CIS {control.number})" if control.number else ""
            aws.cloudwatch.MetricAlarm(
                f"{self._name}-alarm-{control.name}",
                name=f"{documents.name}-{control.name}",
                alarm_description=f"{control.title}{number}",
                namespace=documents.metric_namespace,
                metric_name=control.name,
                statistic="Sum",
                period=PERIOD_SECONDS,
                evaluation_periods=1,
                threshold=1,
                comparison_operator="GreaterThanOrEqualToThreshold",
                treat_missing_data="notBreaching",
                alarm_actions=[documents.topic_arn],
                tags=self._tags,
                opts=self._after(guard, counted),
            )
