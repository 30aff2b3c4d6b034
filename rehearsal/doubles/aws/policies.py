"""Policies of IAM: managed ones, and those inside or attached to a role, a user or a group."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, document, tag_list, tag_map
from rehearsal.doubles.aws.names import name_check
from rehearsal.doubles.resource import DoubleError, Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values

POLICY_NAME: Final = 128
VERSIONS: Final = 5  # a managed policy keeps at most so many


def name_parameter(holder: str) -> str:
    """Return the API's parameter that names a holder: `RoleName` for `role`."""
    return f"{holder.capitalize()}Name"


def inline_policy(holder: str) -> ResourceType[Aws]:
    """Return the type of a policy inside a `holder` (role, user or group); its id is `holder:name`."""

    def call(aws: Aws, verb: str, resource_id: str, **parameters: str) -> Any:  # noqa: ANN401 -- what the API answers
        name, separator, policy = resource_id.partition(":")
        if not separator:
            raise DoubleError(f"{resource_id!r} is not an id of this type: it must look like {holder}:name")
        method = getattr(aws.iam, f"{verb}_{holder}_policy")
        return method(**{name_parameter(holder): name}, PolicyName=policy, **parameters)

    def create(aws: Aws, inputs: Values) -> tuple[str, Values]:
        resource_id = f"{inputs[holder]}:{inputs['name']}"
        return resource_id, update(aws, resource_id, {}, inputs)

    def read(aws: Aws, resource_id: str) -> Live | None:
        try:
            policy = call(aws, "get", resource_id)
        except aws.iam.exceptions.NoSuchEntityException:
            return None
        inputs = {holder: policy[name_parameter(holder)], "name": policy["PolicyName"]}
        return Live({**inputs, "policy": document(policy["PolicyDocument"])})

    def update(aws: Aws, resource_id: str, _old: Values, new: Values) -> Values:
        call(aws, "put", resource_id, PolicyDocument=new["policy"])
        return {}

    def delete(aws: Aws, resource_id: str, _state: Values) -> None:
        with suppress(aws.iam.exceptions.NoSuchEntityException):
            call(aws, "delete", resource_id)

    return ResourceType(
        create=create,
        read=read,
        update=update,
        delete=delete,
        required=frozenset({holder, "policy"}),
        replace=frozenset({holder, "name"}),
        identity=frozenset({holder, "name"}),
        known=frozenset({holder, "name", "namePrefix", "policy"}),
        documents=frozenset({"policy"}),
        named_by="name",
        checks=(name_check(POLICY_NAME),),
    )


def attachment(holder: str) -> ResourceType[Aws]:
    """Return the type of a managed policy's attachment to a `holder`; its id is `holder/arn`."""

    def create(aws: Aws, inputs: Values) -> tuple[str, Values]:
        name, arn = inputs[holder], inputs["policyArn"]
        getattr(aws.iam, f"attach_{holder}_policy")(**{name_parameter(holder): name}, PolicyArn=arn)
        return f"{name}/{arn}", {}

    def read(aws: Aws, resource_id: str) -> Live | None:
        name, _, arn = resource_id.partition("/")
        pages = aws.iam.get_paginator(f"list_attached_{holder}_policies")
        try:
            attached = [
                p["PolicyArn"]
                for page in pages.paginate(**{name_parameter(holder): name})
                for p in page["AttachedPolicies"]
            ]
        except aws.iam.exceptions.NoSuchEntityException:
            return None
        return Live({holder: name, "policyArn": arn}) if arn in attached else None

    def delete(aws: Aws, resource_id: str, _state: Values) -> None:
        name, _, arn = resource_id.partition("/")
        with suppress(aws.iam.exceptions.NoSuchEntityException):
            getattr(aws.iam, f"detach_{holder}_policy")(**{name_parameter(holder): name}, PolicyArn=arn)

    both = frozenset({holder, "policyArn"})
    return ResourceType(create=create, read=read, delete=delete, required=both, identity=both, known=both)


def _outputs(policy: dict[str, Any], tags: Values) -> Values:
    return {
        "arn": policy["Arn"],
        "policyId": policy["PolicyId"],
        "attachmentCount": policy.get("AttachmentCount", 0),
        "tagsAll": tags,
    }


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    description = {"Description": inputs["description"]} if inputs.get("description") else {}
    tags = inputs.get("tags") or {}
    policy = aws.iam.create_policy(
        PolicyName=inputs["name"],
        PolicyDocument=inputs["policy"],
        Path=inputs["path"],
        Tags=tag_list(tags),
        **description,
    )["Policy"]
    return policy["Arn"], _outputs(policy, tags)


def _read(aws: Aws, arn: str) -> Live | None:
    try:
        policy = aws.iam.get_policy(PolicyArn=arn)["Policy"]
        version = aws.iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    inputs = {
        "name": policy["PolicyName"],
        "path": policy["Path"],
        "description": policy.get("Description"),
        "policy": document(version["Document"]),
        "tags": tag_map(policy.get("Tags")),
    }
    return Live(inputs, _outputs(policy, inputs["tags"]))


def _update(aws: Aws, arn: str, old: Values, new: Values) -> Values:
    if not MANAGED_POLICY.same("policy", old.get("policy"), new["policy"]):
        versions = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
        if len(versions) >= VERSIONS:
            oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
            aws.iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
        aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=new["policy"], SetAsDefault=True)
    tags = new.get("tags") or {}
    gone = set(old.get("tags") or ()) - tags.keys()
    if gone:
        aws.iam.untag_policy(PolicyArn=arn, TagKeys=sorted(gone))
    if tags:
        aws.iam.tag_policy(PolicyArn=arn, Tags=tag_list(tags))
    return {"tagsAll": tags}


def _delete(aws: Aws, arn: str, _state: Values) -> None:
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        for version in aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                aws.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        aws.iam.delete_policy(PolicyArn=arn)


MANAGED_POLICY: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    required=frozenset({"policy"}),
    replace=frozenset({"name", "path", "description"}),
    identity=frozenset({"name", "path"}),
    computed=frozenset({"arn", "policyId", "attachmentCount", "tagsAll"}),
    known=frozenset({"name", "namePrefix", "path", "description", "policy", "tags"}),
    documents=frozenset({"policy"}),
    named_by="name",
    defaults={"path": "/"},
    checks=(name_check(POLICY_NAME),),
)
