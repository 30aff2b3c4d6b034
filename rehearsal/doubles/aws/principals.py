"""`aws.iam.User`, `AccessKey` and `Group`: no tool of an agent has one, but a bad example may."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.aws.names import name_check
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values

USER_NAME: Final = 64
GROUP_NAME: Final = 128


def _user_outputs(user: dict[str, Any], tags: Values) -> Values:
    return {"arn": user["Arn"], "uniqueId": user["UserId"], "tagsAll": tags}


def _create_user(aws: Aws, inputs: Values) -> tuple[str, Values]:
    boundary = {"PermissionsBoundary": inputs["permissionsBoundary"]} if inputs.get("permissionsBoundary") else {}
    tags = inputs.get("tags") or {}
    user = aws.iam.create_user(UserName=inputs["name"], Path=inputs["path"], Tags=tag_list(tags), **boundary)["User"]
    return user["UserName"], _user_outputs(user, tags)


def _read_user(aws: Aws, name: str) -> Live | None:
    try:
        user = aws.iam.get_user(UserName=name)["User"]
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    inputs = {
        "name": user["UserName"],
        "path": user["Path"],
        "permissionsBoundary": (user.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        "tags": tag_map(user.get("Tags")),
    }
    return Live(inputs, _user_outputs(user, inputs["tags"]))


def _update_user(aws: Aws, name: str, old: Values, new: Values) -> Values:
    boundary = new.get("permissionsBoundary")
    if boundary:
        aws.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
    elif old.get("permissionsBoundary"):
        aws.iam.delete_user_permissions_boundary(UserName=name)
    tags = new.get("tags") or {}
    gone = set(old.get("tags") or ()) - tags.keys()
    if gone:
        aws.iam.untag_user(UserName=name, TagKeys=sorted(gone))
    if tags:
        aws.iam.tag_user(UserName=name, Tags=tag_list(tags))
    return {"tagsAll": tags}


def _delete_user(aws: Aws, name: str, _state: Values) -> None:
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        aws.iam.delete_user(UserName=name)


def _create_key(aws: Aws, inputs: Values) -> tuple[str, Values]:
    key = aws.iam.create_access_key(UserName=inputs["user"])["AccessKey"]
    _update_key(aws, key["AccessKeyId"], {}, inputs)
    return key["AccessKeyId"], {
        "secret": key["SecretAccessKey"],
        "createDate": key["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _read_key(aws: Aws, resource_id: str) -> Live | None:
    try:
        user = aws.iam.get_access_key_last_used(AccessKeyId=resource_id)["UserName"]
        keys = aws.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    found = next((key for key in keys if key["AccessKeyId"] == resource_id), None)
    return None if found is None else Live({"user": user, "status": found["Status"]})


def _update_key(aws: Aws, resource_id: str, _old: Values, new: Values) -> Values:
    aws.iam.update_access_key(UserName=new["user"], AccessKeyId=resource_id, Status=new["status"])
    return {}


def _delete_key(aws: Aws, resource_id: str, state: Values) -> None:
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        aws.iam.delete_access_key(UserName=state["user"], AccessKeyId=resource_id)


def _create_group(aws: Aws, inputs: Values) -> tuple[str, Values]:
    group = aws.iam.create_group(GroupName=inputs["name"], Path=inputs["path"])["Group"]
    return group["GroupName"], {"arn": group["Arn"], "uniqueId": group["GroupId"]}


def _read_group(aws: Aws, name: str) -> Live | None:
    try:
        group = aws.iam.get_group(GroupName=name)["Group"]
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    return Live(
        {"name": group["GroupName"], "path": group["Path"]}, {"arn": group["Arn"], "uniqueId": group["GroupId"]}
    )


def _delete_group(aws: Aws, name: str, _state: Values) -> None:
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        aws.iam.delete_group(GroupName=name)


USER: Final[ResourceType[Aws]] = ResourceType(
    create=_create_user,
    read=_read_user,
    update=_update_user,
    delete=_delete_user,
    replace=frozenset({"name", "path"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "uniqueId", "tagsAll"}),
    known=frozenset({"name", "path", "permissionsBoundary", "tags", "forceDestroy"}),
    named_by="name",
    defaults={"path": "/", "forceDestroy": False},
    checks=(name_check(USER_NAME),),
)
ACCESS_KEY: Final[ResourceType[Aws]] = ResourceType(
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    required=frozenset({"user"}),
    replace=frozenset({"user"}),
    computed=frozenset({"secret", "createDate"}),
    known=frozenset({"user", "status"}),
    secrets=frozenset({"secret"}),
    defaults={"status": "Active"},
)
GROUP: Final[ResourceType[Aws]] = ResourceType(
    create=_create_group,
    read=_read_group,
    delete=_delete_group,
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "uniqueId"}),
    known=frozenset({"name", "path"}),
    named_by="name",
    defaults={"path": "/"},
    checks=(name_check(GROUP_NAME),),
)
