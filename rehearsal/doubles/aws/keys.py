"""`aws.kms.Key` and `aws.kms.Alias`: a key's id is KMS's own, an alias' id is its name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, document
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values

DELETION_DAYS: Final = 30
PENDING: Final = "PendingDeletion"


def _tags(tags: Values) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": str(value)} for key, value in sorted(tags.items())]


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    optional = {"Policy": inputs.get("policy"), "Description": inputs.get("description")}
    tags = inputs.get("tags") or {}
    kms = aws.client("kms")
    given = {name: value for name, value in optional.items() if value}
    made = kms.create_key(Tags=_tags(tags), **given)["KeyMetadata"]
    if inputs.get("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=made["KeyId"])
    return made["KeyId"], {"arn": made["Arn"], "keyId": made["KeyId"], "tagsAll": tags}


def _read(aws: Aws, key: str) -> Live | None:
    kms = aws.client("kms")
    try:
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
    except kms.exceptions.NotFoundException:
        return None
    if found["KeyState"] == PENDING:
        return None
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key).get("Tags", [])}
    inputs = {
        "description": found.get("Description"),
        "policy": document(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]),
        "enableKeyRotation": kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
        "tags": tags,
    }
    return Live(inputs, {"arn": found["Arn"], "keyId": found["KeyId"], "tagsAll": tags})


def _update(aws: Aws, key: str, old: Values, new: Values) -> Values:
    kms, tags = aws.client("kms"), new.get("tags") or {}
    kms.update_key_description(KeyId=key, Description=new.get("description") or "")
    if new.get("policy"):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=new["policy"])
    (kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation)(KeyId=key)
    if gone := set(old.get("tags") or ()) - tags.keys():
        kms.untag_resource(KeyId=key, TagKeys=sorted(gone))
    if tags:
        kms.tag_resource(KeyId=key, Tags=_tags(tags))
    return {"tagsAll": tags}


def _delete(aws: Aws, key: str, state: Values) -> None:
    kms = aws.client("kms")
    with suppress(kms.exceptions.NotFoundException):
        days = int(state.get("deletionWindowInDays") or DELETION_DAYS)
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)


KEY: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    computed=frozenset({"arn", "keyId", "tagsAll"}),
    documents=frozenset({"policy"}),
    known=frozenset({"deletionWindowInDays", "description", "enableKeyRotation", "policy", "tags"}),
    only_if_set=frozenset({"policy"}),  # without one, KMS gives the account's own
)


def _create_alias(aws: Aws, inputs: Values) -> tuple[str, Values]:
    aws.client("kms").create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return inputs["name"], {}


def _read_alias(aws: Aws, name: str) -> Live | None:
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    found: list[dict[str, Any]] = [alias for page in pages for alias in page["Aliases"] if alias["AliasName"] == name]
    if not found:
        return None
    return Live({"name": name, "targetKeyId": found[0]["TargetKeyId"]}, {"arn": found[0]["AliasArn"]})


def _update_alias(aws: Aws, name: str, _old: Values, new: Values) -> Values:
    aws.client("kms").update_alias(AliasName=name, TargetKeyId=new["targetKeyId"])
    return {}


def _delete_alias(aws: Aws, name: str, _state: Values) -> None:
    kms = aws.client("kms")
    with suppress(kms.exceptions.NotFoundException):
        kms.delete_alias(AliasName=name)


ALIAS: Final[ResourceType[Aws]] = ResourceType(
    create=_create_alias,
    read=_read_alias,
    update=_update_alias,
    delete=_delete_alias,
    required=frozenset({"targetKeyId"}),
    replace=frozenset({"name"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn"}),
    known=frozenset({"name", "targetKeyId"}),
    named_by="name",
)
