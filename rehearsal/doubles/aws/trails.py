"""`aws.cloudtrail.Trail`: its id is its ARN."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values

# The SDK's property, the API's parameter, what the API calls it when it answers
_SETTINGS: Final = {
    "s3BucketName": ("S3BucketName", "S3BucketName"),
    "s3KeyPrefix": ("S3KeyPrefix", "S3KeyPrefix"),
    "isMultiRegionTrail": ("IsMultiRegionTrail", "IsMultiRegionTrail"),
    "isOrganizationTrail": ("IsOrganizationTrail", "IsOrganizationTrail"),
    "includeGlobalServiceEvents": ("IncludeGlobalServiceEvents", "IncludeGlobalServiceEvents"),
    "enableLogFileValidation": ("EnableLogFileValidation", "LogFileValidationEnabled"),
    "kmsKeyId": ("KmsKeyId", "KmsKeyId"),
    "cloudWatchLogsGroupArn": ("CloudWatchLogsLogGroupArn", "CloudWatchLogsLogGroupArn"),
    "cloudWatchLogsRoleArn": ("CloudWatchLogsRoleArn", "CloudWatchLogsRoleArn"),
}
_COMPARISONS: Final = {
    "equals": "Equals",
    "notEquals": "NotEquals",
    "startsWiths": "StartsWith",
    "notStartsWiths": "NotStartsWith",
    "endsWiths": "EndsWith",
    "notEndsWiths": "NotEndsWith",
}


def _encode(selectors: list[Values]) -> list[dict[str, Any]]:
    """Return advanced event selectors as the API takes them."""
    return [
        {
            "Name": selector.get("name") or "",
            "FieldSelectors": [
                {"Field": each["field"], **{_COMPARISONS[how]: each[how] for how in _COMPARISONS if each.get(how)}}
                for each in selector["fieldSelectors"]
            ],
        }
        for selector in selectors
    ]


def _decode(selectors: list[dict[str, Any]]) -> list[Values]:
    """Return advanced event selectors as a program writes them."""
    return [
        {
            "name": selector.get("Name") or "",
            "fieldSelectors": [
                {"field": each["Field"], **{how: each[api] for how, api in _COMPARISONS.items() if each.get(api)}}
                for each in selector["FieldSelectors"]
            ],
        }
        for selector in selectors
    ]


def _same_selectors(one: list[Values], other: list[Values]) -> bool:
    return bool(json.dumps(_encode(one), sort_keys=True) == json.dumps(_encode(other), sort_keys=True))


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    trails, tags = aws.client("cloudtrail"), inputs.get("tags") or {}
    arn = trails.create_trail(Name=inputs["name"], TagsList=tag_list(tags), **_given(inputs))["TrailARN"]
    # The emulator takes neither tags nor a log group when it makes a trail
    trails.add_tags(ResourceId=arn, TagsList=tag_list(tags))
    return arn, {"arn": arn, "homeRegion": aws.region, **_update(aws, arn, {}, inputs)}


def _given(inputs: Values) -> dict[str, Any]:
    return {api: inputs[key] for key, (api, _) in _SETTINGS.items() if inputs.get(key) is not None}


def _read(aws: Aws, arn: str) -> Live | None:
    trails = aws.client("cloudtrail")
    try:
        found = trails.get_trail(Name=arn)["Trail"]
    except trails.exceptions.TrailNotFoundException:
        return None
    selectors = trails.get_event_selectors(TrailName=arn).get("AdvancedEventSelectors")
    tags = tag_map(trails.list_tags(ResourceIdList=[arn])["ResourceTagList"][0].get("TagsList"))
    inputs = {
        "name": found["Name"],
        **{key: found.get(api) for key, (_, api) in _SETTINGS.items()},
        "enableLogging": trails.get_trail_status(Name=arn)["IsLogging"],
        "advancedEventSelectors": None if selectors is None else _decode(selectors),
        "tags": tags,
    }
    return Live(inputs, {"arn": found["TrailARN"], "homeRegion": found["HomeRegion"], "tagsAll": tags})


def _update(aws: Aws, arn: str, old: Values, new: Values) -> Values:
    trails, tags = aws.client("cloudtrail"), new.get("tags") or {}
    cleared = {api: "" for key, (api, _) in _SETTINGS.items() if old.get(key) and not new.get(key)}
    trails.update_trail(Name=arn, **{**_given(new), **cleared})
    if new.get("advancedEventSelectors"):
        selectors = _encode(new["advancedEventSelectors"])
        trails.put_event_selectors(TrailName=arn, AdvancedEventSelectors=selectors)
    (trails.start_logging if new["enableLogging"] else trails.stop_logging)(Name=arn)
    if gone := set(old.get("tags") or ()) - tags.keys():
        trails.remove_tags(ResourceId=arn, TagsList=[{"Key": key} for key in sorted(gone)])
    if old and tags:
        trails.add_tags(ResourceId=arn, TagsList=tag_list(tags))
    return {"tagsAll": tags}


def _delete(aws: Aws, arn: str, _state: Values) -> None:
    with suppress(aws.client("cloudtrail").exceptions.TrailNotFoundException):
        aws.client("cloudtrail").delete_trail(Name=arn)


TRAIL: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    required=frozenset({"s3BucketName"}),
    replace=frozenset({"name"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "homeRegion", "tagsAll"}),
    known=frozenset({"name", *_SETTINGS, "enableLogging", "advancedEventSelectors", "tags"}),
    equal={"advancedEventSelectors": _same_selectors},
    named_by="name",
    defaults={"enableLogging": True, "includeGlobalServiceEvents": True},
)
