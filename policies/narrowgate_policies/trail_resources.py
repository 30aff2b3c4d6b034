"""From the resources of an audit trail (CloudTrail, KMS, S3, CloudWatch; our components) to facts.

What is not known of a setting counts as not set: a trail whose switch nobody can read is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from narrowgate.compile.trail import S3_OBJECT
from narrowgate.rules.facts import (
    BucketLog,
    BucketPrivacy,
    EncryptionKey,
    Fact,
    Foundation,
    MetricAlarm,
    MetricFilter,
    Trail,
    TrailReference,
)
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource

Reader = Callable[[Resource], Iterator[Fact]]

_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_WHOLE: Final = {
    S3_OBJECT: "arn:aws:s3:::*",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:*",
    "AWS::Lambda::Function": "arn:aws:lambda:*",
}
_SERVICE_COLONS: Final = 2  # `arn:aws:s3` names a whole service
# Comparisons that the first event of an alarm's period satisfies, with the greatest threshold for that
_FIRST_EVENT: Final = {"GreaterThanOrEqualToThreshold": 1.0, "GreaterThanThreshold": 0.0}


def read_foundation(resource: Resource) -> Iterator[Fact]:
    """Read narrowgate:index:Environment."""
    yield Foundation(at=resource.urn)


def read_audit_trail(resource: Resource) -> Iterator[Fact]:
    """Read narrowgate:index:AuditTrail: it makes a trail, which is a resource of its own, or refers to one."""
    arn = resource.text("organizationTrailArn")
    if arn:
        yield TrailReference(at=resource.urn, arn=arn)


def read_trail(resource: Resource) -> Iterator[Fact]:
    """Read aws:cloudtrail/trail:Trail."""
    management, data = _selected(resource)
    yield Trail(
        at=resource.urn,
        name=resource.text("name", resource.urn),
        bucket=_called(resource, "s3BucketName"),
        key=_called(resource, "kmsKeyId"),
        log_group=group_name(_called(resource, "cloudWatchLogsGroupArn")),
        all_regions=_is_set(resource, "isMultiRegionTrail"),
        global_events=_is_set(resource, "includeGlobalServiceEvents", usual=True),
        validated=_is_set(resource, "enableLogFileValidation"),
        logging=_is_set(resource, "enableLogging", usual=True),
        management=management,
        data=data,
    )


def group_name(text: str) -> str:
    """Return a log group's name, from its ARN (with or without `:*`) or its name."""
    return text.partition(":log-group:")[2].removesuffix(":*") if text.startswith("arn:") else text


def _called(resource: Resource, name: str) -> str:
    """Return what another resource is called; empty where that is not known, which no rule takes for anything."""
    value = resource.get(name)
    if value is not UNKNOWN:
        return "" if value is None else str(value)
    found = resource.resolve(name)
    return found[0] if len(found) == 1 else ""


def _is_set(resource: Resource, name: str, *, usual: bool = False) -> bool:
    return resource.get(name, usual) is True


def _selected(resource: Resource) -> tuple[bool, tuple[str, ...]]:
    """Return whether all management events are logged, and the data of which reads and writes both are."""
    basic, advanced = resource.get("eventSelectors"), resource.get("advancedEventSelectors")
    if UNKNOWN in (basic, advanced):
        return False, ()
    if advanced:
        return _advanced(advanced)
    if basic:
        return _basic(basic)
    return True, ()  # without a selector: all management events, and no data


def _basic(selectors: list[Any]) -> tuple[bool, tuple[str, ...]]:
    management = False
    data: list[str] = []
    for selector in selectors:
        if selector is UNKNOWN or selector.get("readWriteType", "All") != "All":
            continue
        excluded = selector.get("excludeManagementEventSources")
        management |= selector.get("includeManagementEvents", True) is True and not excluded
        for each in selector.get("dataResources") or ():
            kind = str(each.get("type"))
            data += [_entry(kind, value) for value in each.get("values") or () if value is not UNKNOWN]
    return management, tuple(data)


def _entry(kind: str, value: str) -> str:
    """Return what a basic selector's value takes: a whole service, a beginning of objects' ARNs, or one thing."""
    if value.count(":") <= _SERVICE_COLONS:
        return _WHOLE.get(kind, value)
    return f"{value}*" if kind == S3_OBJECT else value


def _advanced(selectors: list[Any]) -> tuple[bool, tuple[str, ...]]:
    management = False
    data: list[str] = []
    for selector in selectors:
        fields = {} if selector is UNKNOWN else {each["field"]: each for each in selector.get("fieldSelectors") or ()}
        category = fields.get("eventCategory", {}).get("equals")
        if category == ["Management"]:
            management |= fields.keys() == {"eventCategory"}
        elif category == ["Data"] and fields.keys() <= {"eventCategory", "resources.type", "resources.ARN"}:
            data += _named(fields)
    return management, tuple(data)


def _named(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ARNs, or beginnings of ARNs, that one selector of data events takes."""
    arns = fields.get("resources.ARN")
    if arns is None:
        yield from (_WHOLE[kind] for kind in fields.get("resources.type", {}).get("equals") or () if kind in _WHOLE)
        return
    taken = {name for name, value in arns.items() if value and name != "field"}
    if taken <= {"equals", "startsWiths"}:  # anything else leaves something out
        yield from (value for value in arns.get("equals") or () if value is not UNKNOWN)
        yield from (f"{value}*" for value in arns.get("startsWiths") or () if value is not UNKNOWN)


def read_key(resource: Resource) -> Iterator[Fact]:
    """Read aws:kms/key:Key."""
    made = (resource.output("arn"), resource.output("keyId"))
    called = (resource.urn, *(name for name in made if isinstance(name, str)))
    yield EncryptionKey(at=resource.urn, names=called, rotated=_is_set(resource, "enableKeyRotation"))


def read_privacy(resource: Resource) -> Iterator[Fact]:
    """Read aws:s3/bucketPublicAccessBlock and aws:s3/accountPublicAccessBlock."""
    missing = tuple(name for name in _BLOCKS if not _is_set(resource, name))
    account = "account" in resource.type
    bucket = "" if account else _called(resource, "bucket") or resource.urn
    yield BucketPrivacy(at=resource.urn, bucket=bucket, missing=missing)


def read_bucket_log(resource: Resource) -> Iterator[Fact]:
    """Read aws:s3/bucketLogging:BucketLogging."""
    yield BucketLog(at=resource.urn, bucket=_called(resource, "bucket"), target=_called(resource, "targetBucket"))


def read_filter(resource: Resource) -> Iterator[Fact]:
    """Read aws:cloudwatch/logMetricFilter:LogMetricFilter."""
    metric = resource.get("metricTransformation", {})
    known = {} if metric is UNKNOWN else metric
    yield MetricFilter(
        at=resource.urn,
        name=resource.text("name", resource.urn),
        log_group=group_name(_called(resource, "logGroupName")),
        pattern=resource.text("pattern"),
        metric=f"{known.get('namespace', '')}/{known.get('name', '')}",
    )


def read_alarm(resource: Resource) -> Iterator[Fact]:
    """Read aws:cloudwatch/metricAlarm:MetricAlarm."""
    threshold, comparison = resource.get("threshold"), resource.text("comparisonOperator")
    rings = isinstance(threshold, int | float) and threshold <= _FIRST_EVENT.get(comparison, -1.0)
    tells = bool(resource.get("alarmActions")) and _is_set(resource, "actionsEnabled", usual=True)
    counts = resource.text("statistic") in {"Sum", "SampleCount", "Maximum"}
    yield MetricAlarm(
        at=resource.urn,
        metric=f"{resource.text('namespace')}/{resource.text('metricName')}",
        tells=rings and tells and counts,
    )


TRAIL_READERS: Final[Mapping[str, Reader]] = {
    "narrowgate:index:Environment": read_foundation,
    "narrowgate:index:AuditTrail": read_audit_trail,
    "aws:cloudtrail/trail:Trail": read_trail,
    "aws:kms/key:Key": read_key,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": read_privacy,
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock": read_privacy,
    "aws:s3/bucketLogging:BucketLogging": read_bucket_log,
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": read_filter,
    "aws:cloudwatch/metricAlarm:MetricAlarm": read_alarm,
}
