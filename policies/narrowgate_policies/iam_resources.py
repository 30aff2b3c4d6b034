"""From the resources of AWS IAM (providers `aws` and `aws-native`) to facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from narrowgate.rules.facts import (
    Fact,
    IamAttachment,
    IamIdentity,
    IamLongLivedKey,
    IamManagedPolicy,
    IamMembership,
    IamPolicy,
)
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource

Reader = Callable[[Resource], Iterator[Fact]]

ANY_PERMISSION = "it may allow any action on any resource"
ANY_CALLER = "it may let anybody in"
ANY_HOLDER = "the permissions may go to any identity"
ANY_POLICY = "it may be AdministratorAccess"


def name_of(resource: Resource, key: str = "name") -> str:
    """Return what an identity is called: its name, or its URN where the name is not known yet."""
    return resource.text(key) or resource.urn


def read_role(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/role:Role with all that stands in it."""
    name = name_of(resource)
    yield IamIdentity(
        at=resource.urn,
        kind="role",
        name=name,
        path=resource.text("path", "/"),
        boundary=resource.reference("permissionsBoundary", "the boundary may permit anything"),
        trust=resource.document("assumeRolePolicy", ANY_CALLER),
        max_session_seconds=_seconds(resource.get("maxSessionDuration")),
        tags=_tags(resource.get("tags")),
    )
    yield from _inline(resource, "role", name, _INLINE)
    for arn in resource.references("managedPolicyArns", ANY_POLICY):
        yield IamAttachment(at=resource.urn, kind="role", holder=name, policy=arn)


def read_native_role(resource: Resource) -> Iterator[Fact]:
    """Read aws-native:iam:Role and :User, whose policies stand in them as CloudFormation spells them."""
    kind = _NATIVE_KINDS[resource.type]
    name = name_of(resource, f"{kind}Name")
    yield IamIdentity(
        at=resource.urn,
        kind=kind,
        name=name,
        path=resource.text("path", "/"),
        boundary=resource.reference("permissionsBoundary", "the boundary may permit anything"),
        trust=resource.document("assumeRolePolicyDocument", ANY_CALLER) if kind == "role" else None,
        max_session_seconds=_seconds(resource.get("maxSessionDuration")) if kind == "role" else 0,
        tags=_tags(resource.get("tags")),
    )
    yield from _inline(resource, kind, name, _NATIVE_INLINE)
    for arn in resource.references("managedPolicyArns", ANY_POLICY):
        yield IamAttachment(at=resource.urn, kind=kind, holder=name, policy=arn)
    if kind == "user":
        for group in resource.references("groups", ANY_HOLDER):
            yield IamMembership(at=resource.urn, user=name, groups=(group,))
        if resource.get("loginProfile"):
            yield IamLongLivedKey(at=resource.urn, kind="password", user=name)


def read_user(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/user:User."""
    yield IamIdentity(
        at=resource.urn,
        kind="user",
        name=name_of(resource),
        path=resource.text("path", "/"),
        boundary=resource.reference("permissionsBoundary", "the boundary may permit anything"),
        tags=_tags(resource.get("tags")),
    )


def read_group(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/group:Group."""
    yield IamIdentity(at=resource.urn, kind="group", name=name_of(resource), path=resource.text("path", "/"))


def read_managed_policy(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/policy:Policy."""
    document = resource.document("policy", ANY_PERMISSION)
    if document is not None:
        yield IamManagedPolicy(at=resource.urn, name=name_of(resource), document=document)


def read_native_managed_policy(resource: Resource) -> Iterator[Fact]:
    """Read aws-native:iam:ManagedPolicy, which names whom it is attached to."""
    name = name_of(resource, "managedPolicyName")
    document = resource.document("policyDocument", ANY_PERMISSION)
    if document is None:
        return
    yield IamManagedPolicy(at=resource.urn, name=name, document=document)
    for kind in ("role", "user", "group"):
        for holder in resource.references(f"{kind}s", ANY_HOLDER):
            yield IamPolicy(at=resource.urn, kind=kind, holder=holder, name=name, document=document)


def inline_policy(kind: str, holder: str, document: str, name: str = "name") -> Reader:
    """Return a reader of an inline policy that is a resource of its own; arguments are the properties' names."""

    def read(resource: Resource) -> Iterator[Fact]:
        text = resource.document(document, ANY_PERMISSION)
        if text is None:
            return
        found = resource.reference(holder, ANY_HOLDER)
        yield IamPolicy(at=resource.urn, kind=kind, holder=found or "", name=resource.text(name), document=text)

    return read


def attachment(kind: str, holder: str) -> Reader:
    """Return a reader of a resource that attaches the managed policy `policyArn` to the identity in `holder`."""

    def read(resource: Resource) -> Iterator[Fact]:
        policy = resource.reference("policyArn", ANY_POLICY)
        found = resource.reference(holder, ANY_HOLDER)
        if policy is not None:
            yield IamAttachment(at=resource.urn, kind=kind, holder=found or resource.urn, policy=policy)

    return read


def read_policy_attachment(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/policyAttachment:PolicyAttachment, which names roles, users and groups at once."""
    policy = resource.reference("policyArn", ANY_POLICY)
    for kind in ("role", "user", "group"):
        for holder in resource.references(f"{kind}s", ANY_HOLDER):
            if policy is not None:
                yield IamAttachment(at=resource.urn, kind=kind, holder=holder, policy=policy)


def read_exclusive_attachments(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/*PolicyAttachmentsExclusive: all managed policies of one identity."""
    kind = "user" if "user" in resource.type else "group" if "group" in resource.type else "role"
    holder = resource.reference(f"{kind}Name", ANY_HOLDER) or resource.urn
    for arn in resource.references("policyArns", ANY_POLICY):
        yield IamAttachment(at=resource.urn, kind=kind, holder=holder, policy=arn)


def long_lived_key(kind: str, user: str = "user") -> Reader:
    """Return a reader of a resource that gives the user in `user` a secret that does not expire."""

    def read(resource: Resource) -> Iterator[Fact]:
        yield IamLongLivedKey(at=resource.urn, kind=kind, user=resource.text(user, "a user made here"))

    return read


def read_membership(resource: Resource) -> Iterator[Fact]:
    """Read aws:iam/userGroupMembership and groupMembership."""
    if resource.get("users") is not None:
        group = resource.text("group", resource.urn)
        for user in resource.references("users", ANY_HOLDER):
            yield IamMembership(at=resource.urn, user=user, groups=(group,))
    else:
        groups = tuple(resource.references("groups", ANY_HOLDER))
        yield IamMembership(at=resource.urn, user=resource.text("user", resource.urn), groups=groups)


@dataclass(frozen=True, slots=True)
class _InlineList:
    """How a list of inline policies is spelled: the property, and what name and document are called in it."""

    key: str
    name: str
    document: str


_INLINE: Final = _InlineList("inlinePolicies", "name", "policy")
_NATIVE_INLINE: Final = _InlineList("policies", "policyName", "policyDocument")


def _inline(resource: Resource, kind: str, holder: str, spelled: _InlineList) -> Iterator[Fact]:
    key = spelled.key
    policies = resource.get(key, [])
    if policies is UNKNOWN:
        resource.known_document(UNKNOWN, f"{key} of {resource.type}", ANY_PERMISSION)
        return
    for index, policy in enumerate(policies):
        given = policy if policy is UNKNOWN else policy.get(spelled.document)
        text = resource.known_document(given, f"{key}[{index}] of {resource.type}", ANY_PERMISSION)
        if text is not None:
            yield IamPolicy(
                at=resource.urn, kind=kind, holder=holder, name=str(policy.get(spelled.name, index)), document=text
            )


def _seconds(value: Any) -> int:  # noqa: ANN401 - JSON
    return int(value) if isinstance(value, (int, float, str)) and value != "" else 3600


def _tags(value: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        value = {tag["key"]: tag.get("value", "") for tag in value if isinstance(tag, dict) and "key" in tag}
    if not isinstance(value, dict):
        return {}
    return {str(key): "" if text is UNKNOWN else str(text) for key, text in value.items()}


_NATIVE_KINDS: Mapping[str, str] = {"aws-native:iam:Role": "role", "aws-native:iam:User": "user"}

IAM_READERS: Mapping[str, Reader] = {
    "aws:iam/role:Role": read_role,
    "aws:iam/user:User": read_user,
    "aws:iam/group:Group": read_group,
    "aws:iam/policy:Policy": read_managed_policy,
    "aws:iam/rolePolicy:RolePolicy": inline_policy("role", "role", "policy"),
    "aws:iam/userPolicy:UserPolicy": inline_policy("user", "user", "policy"),
    "aws:iam/groupPolicy:GroupPolicy": inline_policy("group", "group", "policy"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": attachment("role", "role"),
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": attachment("user", "user"),
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": attachment("group", "group"),
    "aws:iam/policyAttachment:PolicyAttachment": read_policy_attachment,
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": read_exclusive_attachments,
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive": read_exclusive_attachments,
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive": read_exclusive_attachments,
    "aws:iam/accessKey:AccessKey": long_lived_key("access key"),
    "aws:iam/userLoginProfile:UserLoginProfile": long_lived_key("password"),
    "aws:iam/serviceSpecificCredential:ServiceSpecificCredential": long_lived_key("service credential", "userName"),
    "aws:iam/signingCertificate:SigningCertificate": long_lived_key("signing certificate", "userName"),
    "aws:iam/sshKey:SshKey": long_lived_key("SSH key", "username"),
    "aws:iam/userGroupMembership:UserGroupMembership": read_membership,
    "aws:iam/groupMembership:GroupMembership": read_membership,
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy": inline_policy(
        "permission-set", "permissionSetArn", "inlinePolicy"
    ),
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": lambda resource: iter(
        [
            IamAttachment(
                at=resource.urn,
                kind="permission-set",
                holder=resource.text("permissionSetArn", resource.urn),
                policy=resource.text("managedPolicyArn", "an unknown managed policy"),
            )
        ]
    ),
    "aws-native:iam:Role": read_native_role,
    "aws-native:iam:User": read_native_role,
    "aws-native:iam:ManagedPolicy": read_native_managed_policy,
    "aws-native:iam:RolePolicy": inline_policy("role", "roleName", "policyDocument", "policyName"),
    "aws-native:iam:UserPolicy": inline_policy("user", "userName", "policyDocument", "policyName"),
    "aws-native:iam:GroupPolicy": inline_policy("group", "groupName", "policyDocument", "policyName"),
    "aws-native:iam:AccessKey": long_lived_key("access key", "userName"),
}
