"""`aws.iam.Role`, with its inline policies and attachments where a program manages them on the role itself."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rehearsal.doubles.aws.clients import Aws, document, tag_list, tag_map
from rehearsal.doubles.aws.names import name_check
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values

ROLE_NAME = 64
DEFAULTS = {"maxSessionDuration": 3600, "path": "/", "forceDetachPolicies": False}


def create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    """Create a role; where its own policies are refused, the role does not stay."""
    optional = {"Description": "description", "PermissionsBoundary": "permissionsBoundary"}
    role = aws.iam.create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Path=inputs["path"],
        MaxSessionDuration=inputs["maxSessionDuration"],
        Tags=tag_list(inputs.get("tags")),
        **{parameter: inputs[key] for parameter, key in optional.items() if inputs.get(key)},
    )["Role"]
    try:
        _set_policies(aws, inputs["name"], {}, inputs)
    except aws.iam.exceptions.ClientError:
        delete(aws, inputs["name"], {**inputs, "forceDetachPolicies": True})
        raise
    return role["RoleName"], {**_computed(role), "tagsAll": inputs.get("tags") or {}}


def read(aws: Aws, name: str) -> Live | None:
    """Read a role and what hangs on it."""
    try:
        role = aws.iam.get_role(RoleName=name)["Role"]
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    inputs = {
        "name": role["RoleName"],
        "assumeRolePolicy": document(role["AssumeRolePolicyDocument"]),
        "path": role["Path"],
        "maxSessionDuration": role["MaxSessionDuration"],
        "description": role.get("Description"),
        "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        "tags": tag_map(role.get("Tags")),
        "inlinePolicies": [
            {"name": policy, "policy": document(_inline_document(aws, name, policy))} for policy in _inline(aws, name)
        ],
        "managedPolicyArns": _attached(aws, name),
    }
    return Live(inputs, {**_computed(role), "tagsAll": inputs["tags"]})


def update(aws: Aws, name: str, old: Values, new: Values) -> Values:
    """Change a role in place."""
    if not ROLE.same("assumeRolePolicy", old.get("assumeRolePolicy"), new["assumeRolePolicy"]):
        aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    aws.iam.update_role(
        RoleName=name, Description=new.get("description") or "", MaxSessionDuration=new["maxSessionDuration"]
    )
    boundary = new.get("permissionsBoundary")
    if boundary and boundary != old.get("permissionsBoundary"):
        aws.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    elif old.get("permissionsBoundary") and not boundary:
        aws.iam.delete_role_permissions_boundary(RoleName=name)
    gone = set(old.get("tags") or ()) - set(new.get("tags") or ())
    if gone:
        aws.iam.untag_role(RoleName=name, TagKeys=sorted(gone))
    if new.get("tags"):
        aws.iam.tag_role(RoleName=name, Tags=tag_list(new["tags"]))
    _set_policies(aws, name, old, new)
    return {"tagsAll": new.get("tags") or {}}


def delete(aws: Aws, name: str, state: Values) -> None:
    """Delete a role with the policies that the program managed on it; with `forceDetachPolicies`, with all of them."""
    forced = bool(state.get("forceDetachPolicies"))
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        if forced or state.get("managedPolicyArns"):
            for arn in _attached(aws, name):
                aws.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        if forced or state.get("inlinePolicies"):
            for policy in _inline(aws, name):
                aws.iam.delete_role_policy(RoleName=name, PolicyName=policy)
        aws.iam.delete_role(RoleName=name)


def _set_policies(aws: Aws, name: str, old: Values, new: Values) -> None:
    """Make the role's own inline policies and attachments what `new` says, where it says anything."""
    if "inlinePolicies" in new or "inlinePolicies" in old:
        wanted = {policy["name"]: policy["policy"] for policy in new.get("inlinePolicies") or () if policy.get("name")}
        for policy in set(_inline(aws, name)) - wanted.keys():
            aws.iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, text in wanted.items():
            aws.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
    if "managedPolicyArns" in new or "managedPolicyArns" in old:
        arns, present = set(new.get("managedPolicyArns") or ()), set(_attached(aws, name))
        for arn in sorted(present - arns):
            aws.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(arns - present):
            aws.iam.attach_role_policy(RoleName=name, PolicyArn=arn)


def _inline(aws: Aws, name: str) -> list[str]:
    return list(aws.iam.list_role_policies(RoleName=name)["PolicyNames"])


def _inline_document(aws: Aws, name: str, policy: str) -> object:
    return aws.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]


def _attached(aws: Aws, name: str) -> list[str]:
    return [policy["PolicyArn"] for policy in aws.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]


def _computed(role: dict[str, Any]) -> Values:
    return {
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def same_inline_policies(one: list[dict[str, str]], other: list[dict[str, str]]) -> bool:
    """Say whether two lists of inline policies mean the same, whatever their order and spelling."""

    def by_name(policies: list[dict[str, str]]) -> dict[str, Any]:
        return {policy.get("name", ""): json.loads(policy.get("policy", "{}")) for policy in policies}

    return by_name(one) == by_name(other)


ROLE: ResourceType[Aws] = ResourceType(
    create=create,
    read=read,
    update=update,
    delete=delete,
    required=frozenset({"assumeRolePolicy"}),
    replace=frozenset({"name", "path"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "createDate", "uniqueId", "tagsAll"}),
    documents=frozenset({"assumeRolePolicy"}),
    known=frozenset(
        {
            "assumeRolePolicy",
            "description",
            "forceDetachPolicies",
            "inlinePolicies",
            "managedPolicyArns",
            "maxSessionDuration",
            "name",
            "namePrefix",
            "path",
            "permissionsBoundary",
            "tags",
        }
    ),
    unordered=frozenset({"managedPolicyArns"}),
    only_if_set=frozenset({"inlinePolicies", "managedPolicyArns"}),
    equal={"inlinePolicies": same_inline_policies},
    named_by="name",
    defaults=DEFAULTS,
    checks=(name_check(ROLE_NAME),),
)
