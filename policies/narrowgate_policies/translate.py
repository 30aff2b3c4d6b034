"""The table of all readers, and how a resource is called by those that refer to it.

A resource type that no reader knows gives no fact but its texts, unless it is known to grant access in a way that no
rule can read: then it gives an unknown fact, which is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from narrowgate.rules.facts import DatabaseGroup, Fact, ResourceTexts, StackReference
from narrowgate_policies.iam_resources import IAM_READERS
from narrowgate_policies.properties import UNKNOWN, holds_unknown
from narrowgate_policies.resource import Resource
from narrowgate_policies.trail_resources import TRAIL_READERS
from narrowgate_policies.vault_resources import VAULT_READERS

Reader = Callable[[Resource], Iterator[Fact]]


def read_stack_reference(resource: Resource) -> Iterator[Fact]:
    """Read pulumi:pulumi:StackReference."""
    yield StackReference(at=resource.urn, stack=resource.text("name", resource.urn))


def read_cloud_control(resource: Resource) -> Iterator[Fact]:
    """Read aws:cloudcontrol/resource:Resource, which can make any resource at all from a text."""
    kind = resource.get("typeName")
    if kind is UNKNOWN or str(kind).startswith(("AWS::IAM::", "AWS::SSO::")):
        resource.known_document(UNKNOWN, f"what {kind} grants", "its text may make an administrator")
    yield from ()


def read_cloudformation(resource: Resource) -> Iterator[Fact]:
    """Read aws:cloudformation stacks: with an IAM capability, its template may make any identity."""
    capabilities = resource.get("capabilities", [])
    if holds_unknown(capabilities) or any("IAM" in str(capability) for capability in capabilities):
        resource.known_document(UNKNOWN, f"what the template of {resource.type} grants", "it may make an administrator")
    yield from ()


def read_postgres_access(resource: Resource) -> Iterator[Fact]:
    """Read our own dynamic resource, `PostgresAccess`: a group role with its grants."""
    name = resource.text("group", resource.urn)
    if resource.document("tables", ANY_TABLE) is None or resource.document("functions", ANY_TABLE) is None:
        resource.known_document(UNKNOWN, f"what the group role {name} is granted", ANY_TABLE)
        return
    yield DatabaseGroup(at=resource.urn, name=name, inputs=resource.settings(str))


ANY_TABLE: Final = "it may grant any table and function"

READERS: Final[Mapping[str, Reader]] = {
    **IAM_READERS,
    **TRAIL_READERS,
    **VAULT_READERS,
    "pulumi-python:dynamic/narrowgate:PostgresAccess": read_postgres_access,
    "pulumi:pulumi:StackReference": read_stack_reference,
    "aws:cloudcontrol/resource:Resource": read_cloud_control,
    "aws:cloudformation/stack:Stack": read_cloudformation,
    "aws:cloudformation/stackSet:StackSet": read_cloudformation,
}

CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "aws:iam/policy:Policy": ("arn", "name"),
    "aws:iam/role:Role": ("name",),
    "aws:iam/user:User": ("name",),
    "aws:iam/group:Group": ("name",),
    "aws:s3/bucket:Bucket": ("bucket",),
    "aws:cloudwatch/logGroup:LogGroup": ("name",),
    "aws:kms/key:Key": ("arn",),
    "vault:index/mount:Mount": ("path",),
    "vault:index/policy:Policy": ("name",),
    "vault:index/authBackend:AuthBackend": ("path", "type"),
    "vault:jwt/authBackend:AuthBackend": ("path",),
    "vault:aws/secretBackend:SecretBackend": ("path",),
    "vault:database/secretsMount:SecretsMount": ("path",),
    "vault:identity/entity:Entity": ("name",),
    "aws-native:iam:ManagedPolicy": ("managedPolicyName",),
    "aws-native:iam:Role": ("roleName",),
}
"""Which property of a resource others mean when they refer to it, the first known one; else its URN."""

ROLE_TYPES: Final = frozenset({"aws:iam/role:Role", "aws-native:iam:Role"})


def called(kind: str, urn: str, properties: Mapping[str, object], referring: str) -> str:
    """Return what `referring` (a property's name) means by the resource `urn`: a name, a path, an ARN."""
    if kind in ROLE_TYPES and "arn" in referring.lower():
        arn = properties.get("arn")
        if isinstance(arn, str):
            return arn
    for name in CALLED.get(kind, ()):
        value = properties.get(name)
        if isinstance(value, str):
            return value
    return urn


def facts_of(resource: Resource) -> list[Fact]:
    """Return all facts of one resource, with one for each thing that could not be read."""
    read = READERS.get(resource.type)
    facts = [] if read is None else [*read(resource), *resource.unknowns]
    texts = {name: found for name, value in resource.properties.items() if (found := tuple(_texts(value)))}
    return [*facts, ResourceTexts(at=resource.urn, kind=resource.type, texts=texts)] if texts else facts


def _texts(value: object) -> Iterator[str]:
    """Yield each text in a property's value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, int):
        yield str(value)
