"""CloudWatch's resources: a log group, the metric filters over it, and the alarms over their metrics."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values


def _create_group(aws: Aws, inputs: Values) -> tuple[str, Values]:
    name, tags = inputs["name"], inputs.get("tags") or {}
    key = {"kmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
    aws.client("logs").create_log_group(logGroupName=name, tags=tags, **key)
    return name, _update_group(aws, name, {}, inputs)


def _find_group(aws: Aws, name: str) -> dict[str, Any] | None:
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next((group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None)


def _read_group(aws: Aws, name: str) -> Live | None:
    found = _find_group(aws, name)
    if found is None:
        return None
    arn = found["arn"].removesuffix(":*")
    tags = aws.client("logs").list_tags_for_resource(resourceArn=arn).get("tags") or {}
    inputs = {
        "name": name,
        "retentionInDays": found.get("retentionInDays"),
        "kmsKeyId": found.get("kmsKeyId"),
        "tags": tags,
    }
    return Live(inputs, {"arn": arn, "tagsAll": tags})


def _update_group(aws: Aws, name: str, old: Values, new: Values) -> Values:
    logs, tags = aws.client("logs"), new.get("tags") or {}
    arn = f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:{name}"
    if new.get("retentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=new["retentionInDays"])
    elif old.get("retentionInDays"):
        logs.delete_retention_policy(logGroupName=name)
    if gone := set(old.get("tags") or ()) - tags.keys():
        logs.untag_resource(resourceArn=arn, tagKeys=sorted(gone))
    if old and tags:
        logs.tag_resource(resourceArn=arn, tags=tags)
    return {"arn": arn, "tagsAll": tags}


def _delete_group(aws: Aws, name: str, _state: Values) -> None:
    logs = aws.client("logs")
    with suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=name)


LOG_GROUP: Final[ResourceType[Aws]] = ResourceType(
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    # AWS changes the key in place; the emulator has no call for it
    replace=frozenset({"name", "kmsKeyId"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "tagsAll"}),
    known=frozenset({"name", "retentionInDays", "kmsKeyId", "tags"}),
    named_by="name",
)


def _put_filter(aws: Aws, _id: str, _old: Values, new: Values) -> Values:
    wanted = new["metricTransformation"]
    default = {"defaultValue": float(wanted["defaultValue"])} if wanted.get("defaultValue") else {}
    aws.client("logs").put_metric_filter(
        logGroupName=new["logGroupName"],
        filterName=new["name"],
        filterPattern=new["pattern"],
        metricTransformations=[
            {
                "metricName": wanted["name"],
                "metricNamespace": wanted["namespace"],
                "metricValue": wanted["value"],
                **default,
            }
        ],
    )
    return {}


def _create_filter(aws: Aws, inputs: Values) -> tuple[str, Values]:
    return f"{inputs['logGroupName']}:{inputs['name']}", _put_filter(aws, "", {}, inputs)


def _read_filter(aws: Aws, resource_id: str) -> Live | None:
    group, _, name = resource_id.rpartition(":")
    logs = aws.client("logs")
    try:
        found = logs.describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"]
    except logs.exceptions.ResourceNotFoundException:
        return None
    for each in found:
        if each["filterName"] == name:
            metric = each["metricTransformations"][0]
            read = {
                "name": metric["metricName"],
                "namespace": metric["metricNamespace"],
                "value": metric["metricValue"],
            }
            if metric.get("defaultValue") is not None:
                read["defaultValue"] = f"{metric['defaultValue']:g}"
            return Live(
                {"name": name, "logGroupName": group, "pattern": each["filterPattern"], "metricTransformation": read}
            )
    return None


def _delete_filter(aws: Aws, resource_id: str, _state: Values) -> None:
    group, _, name = resource_id.rpartition(":")
    logs = aws.client("logs")
    with suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_metric_filter(logGroupName=group, filterName=name)


METRIC_FILTER: Final[ResourceType[Aws]] = ResourceType(
    create=_create_filter,
    read=_read_filter,
    update=_put_filter,
    delete=_delete_filter,
    required=frozenset({"logGroupName", "pattern", "metricTransformation"}),
    replace=frozenset({"name", "logGroupName"}),
    identity=frozenset({"name", "logGroupName"}),
    known=frozenset({"name", "logGroupName", "pattern", "metricTransformation"}),
    named_by="name",
)

# The SDK's property, the API's parameter
_ALARM: Final = {
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "evaluationPeriods": "EvaluationPeriods",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
}


def _put_alarm(aws: Aws, name: str, old: Values, new: Values) -> Values:
    watch, tags = aws.client("cloudwatch"), new.get("tags") or {}
    given = {parameter: new[key] for key, parameter in _ALARM.items() if new.get(key) is not None}
    # Tags of an alarm that is there are left alone by this call
    watch.put_metric_alarm(AlarmName=name, Tags=tag_list(tags), ActionsEnabled=new["actionsEnabled"], **given)
    arn = f"arn:{aws.partition}:cloudwatch:{aws.region}:{aws.account}:alarm:{name}"
    if gone := set(old.get("tags") or ()) - tags.keys():
        watch.untag_resource(ResourceARN=arn, TagKeys=sorted(gone))
    if old and tags:
        watch.tag_resource(ResourceARN=arn, Tags=tag_list(tags))
    return {"arn": arn, "tagsAll": tags}


def _create_alarm(aws: Aws, inputs: Values) -> tuple[str, Values]:
    return inputs["name"], _put_alarm(aws, inputs["name"], {}, inputs)


def _read_alarm(aws: Aws, name: str) -> Live | None:
    watch = aws.client("cloudwatch")
    found = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not found:
        return None
    arn = found[0]["AlarmArn"]
    tags = tag_map(watch.list_tags_for_resource(ResourceARN=arn).get("Tags"))
    read = {key: found[0].get(parameter) for key, parameter in _ALARM.items()}
    inputs = {"name": name, "actionsEnabled": found[0]["ActionsEnabled"], **read, "tags": tags}
    return Live(inputs, {"arn": arn, "tagsAll": tags})


def _delete_alarm(aws: Aws, name: str, _state: Values) -> None:
    aws.client("cloudwatch").delete_alarms(AlarmNames=[name])


ALARM: Final[ResourceType[Aws]] = ResourceType(
    create=_create_alarm,
    read=_read_alarm,
    update=_put_alarm,
    delete=_delete_alarm,
    required=frozenset({"comparisonOperator", "evaluationPeriods"}),
    replace=frozenset({"name"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "tagsAll"}),
    known=frozenset({"name", "actionsEnabled", "tags", *_ALARM}),
    unordered=frozenset({"alarmActions"}),
    named_by="name",
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
)
