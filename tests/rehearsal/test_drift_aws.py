"""Roles that were made or changed by hand in AWS are drift."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from drift_bench import DOCUMENT, assert_found, find, first_role, run

from narrowgate.audit.drift.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from narrowgate.audit.drift.expected import Expected
    from narrowgate.compile.documents import IamRole
    from rehearsal.live import LiveRehearsal


def make_role(iam: Any, role: IamRole, **changes: object) -> None:  # noqa: ANN401 - boto3 makes clients at run time
    settings = {
        "RoleName": role.name,
        "Path": role.path,
        "AssumeRolePolicyDocument": json.dumps(role.trust_policy),
        "PermissionsBoundary": role.boundary_arn,
        "MaxSessionDuration": role.max_session_seconds,
        "Tags": [{"Key": key, "Value": value} for key, value in role.tags.items()],
        **changes,
    }
    iam.create_role(**settings)


def put_policies(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    for name, document in role.policies.items():
        iam.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document))


def remove_role(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role.name, PolicyName=name)
    for policy in iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role.name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=role.name)


@contextmanager
def changed_role(rehearsal: LiveRehearsal, role: IamRole) -> Iterator[Any]:
    """Give IAM's client; afterwards the role stands as the lock has it."""
    iam = rehearsal.aws("iam")
    try:
        yield iam
    finally:
        if any(each["RoleName"] == role.name for each in iam.list_roles()["Roles"]):
            remove_role(iam, role)
        make_role(iam, role)
        put_policies(iam, role)


def foreign_trust(role: IamRole) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}}
    return json.dumps({"Version": "2012-10-17", "Statement": [*role.trust_policy["Statement"], statement]})


def attach_managed(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    made = iam.create_policy(PolicyName="by-hand", Path="/narrowgate/dev/", PolicyDocument=json.dumps(DOCUMENT))
    iam.attach_role_policy(RoleName=role.name, PolicyArn=made["Policy"]["Arn"])


ROLE_CHANGES: dict[str, tuple[Callable[[Any, IamRole], object], Kind, str]] = {
    "a wider policy": (
        lambda iam, role: iam.put_role_policy(
            RoleName=role.name, PolicyName="grants-1", PolicyDocument=json.dumps(DOCUMENT)
        ),
        Kind.CHANGED,
        "s3:PutObject",
    ),
    "one more policy": (
        lambda iam, role: iam.put_role_policy(
            RoleName=role.name, PolicyName="more", PolicyDocument=json.dumps(DOCUMENT)
        ),
        Kind.CHANGED,
        "inline policy `more`",
    ),
    "a managed policy": (attach_managed, Kind.CHANGED, "policy/narrowgate/dev/by-hand"),
    "no policy": (
        lambda iam, role: iam.delete_role_policy(RoleName=role.name, PolicyName="grants-1"),
        Kind.CHANGED,
        "less than the lock",
    ),
    "a foreign trust": (
        lambda iam, role: iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=foreign_trust(role)),
        Kind.CHANGED,
        "222222222222",
    ),
    "a longer session": (
        lambda iam, role: iam.update_role(RoleName=role.name, MaxSessionDuration=43200),
        Kind.CHANGED,
        "43200",
    ),
    "no boundary": (
        lambda iam, role: iam.delete_role_permissions_boundary(RoleName=role.name),
        Kind.CHANGED,
        "boundary is none",
    ),
    "no role": (remove_role, Kind.MISSING, "not there"),
}


@pytest.mark.parametrize("change", sorted(ROLE_CHANGES))
def test_a_role_that_was_changed_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected, change: str) -> None:
    role = first_role(expected, "documents")
    apply, kind, detail = ROLE_CHANGES[change]
    with changed_role(rehearsal, role) as iam:
        apply(iam, role)
        assert_found(find(rehearsal, expected), kind, role.name, detail)
    if change == "a managed policy":
        iam.delete_policy(PolicyArn=f"arn:aws:iam::{rehearsal.account}:policy/narrowgate/dev/by-hand")
    assert find(rehearsal, expected) == []


@pytest.mark.parametrize("kind", ["tool", "gated", "system"])
def test_a_role_that_was_made_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected, kind: str) -> None:
    iam, role = rehearsal.aws("iam"), first_role(expected, "documents")
    iam.create_role(
        RoleName="by-hand",
        Path=f"/narrowgate/dev/{kind}/",
        AssumeRolePolicyDocument=json.dumps(role.trust_policy),
    )
    try:
        done = run(rehearsal, "--format", "json")
    finally:
        iam.delete_role(RoleName="by-hand")
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["system"], found["thing"], found["kind"]) == ("aws", "IAM role by-hand", "unknown")
