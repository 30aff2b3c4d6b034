"""From compiled documents to facts: so that the rules judge a plan before anything is deployed, as in the engine.

This module translates; it must not judge.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from narrowgate.compile.documents import SETTINGS_APART
from narrowgate.rules.facts import (
    DatabaseGroup,
    Fact,
    IamIdentity,
    IamManagedPolicy,
    IamPolicy,
    VaultAuthMount,
    VaultAuthRole,
    VaultAuthSettings,
    VaultGroup,
    VaultPolicy,
    VaultSecretRole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.compile import documents


def facts_of_documents(plan: documents.PlanDocuments) -> list[Fact]:
    """Return the facts of all that a plan would deploy; `at` of each says which workflow and tool it is of."""
    facts = list(_foundation(plan))
    for workflow in plan.workflows:
        facts += _workflow(workflow)
    return facts


def _foundation(plan: documents.PlanDocuments) -> Iterator[Fact]:
    foundation = plan.foundation
    yield IamManagedPolicy(
        at=f"{plan.environment.name} boundary",
        name=foundation.boundary_name,
        document=json.dumps(foundation.boundary_policy),
    )
    if foundation.deployer is not None:
        mount = foundation.deployer.auth_mount
        yield VaultAuthMount(at="CI's auth mount", path=mount.path, method=mount.type, settings=mount.config)
        for identity in (foundation.deployer.deployer, foundation.deployer.preview):
            yield from _system_identity(identity)
    if foundation.approvals is not None:
        yield from _gate(foundation.approvals)
    if foundation.operator is not None:
        mount = foundation.operator.auth_mount
        yield VaultAuthMount(at="operators' auth mount", path=mount.path, method=mount.type, settings=mount.config)
        yield from _system_identity(foundation.operator.operator)


def _gate(gate: documents.ApprovalsDocuments) -> Iterator[Fact]:
    for mount in (gate.approvers_mount, gate.executors_mount):
        yield VaultAuthMount(at=f"{mount.path}' auth mount", path=mount.path, method=mount.type, settings=mount.config)
    for group in gate.groups:
        yield VaultGroup(at=f"group {group}", name=group, policies=(), kind="external")
    if gate.page_login is not None:
        yield _jwt_login(gate.page_login, f"{gate.page_login.name} login")
    for identity in (gate.approver, *gate.executors):
        yield VaultPolicy(at=f"{identity.login.name} policy", name=identity.policy.name, text=identity.policy.text)
        yield _jwt_login(identity.login, f"{identity.login.name} login")


def _jwt_login(login: documents.AuthRole, at: str) -> VaultAuthRole:
    return VaultAuthRole(at=at, method="jwt", mount=login.mount, name=login.name, settings=dict(login.settings))


def _gated(gated: documents.GatedDocuments, label: str) -> Iterator[Fact]:
    yield VaultPolicy(at=f"{label} gated policy", name=gated.policy.name, text=gated.policy.text)
    yield _jwt_login(gated.login, f"{label} login of a request")
    for kind, minted in gated.mints:
        if minted.aws is not None:
            yield from _iam_role(minted.aws.role, f"{label} {kind}")
            yield _secret_role("aws", minted.aws.vault_role, f"{label} {kind}")
        if minted.postgres is not None:
            yield _group(minted.postgres, f"{label} {kind}")
            yield _secret_role("database", minted.postgres.vault_role, f"{label} {kind}")
        if minted.bearer is not None:
            yield _secret_role("identity", minted.bearer.role, f"{label} {kind}")


def _system_identity(identity: documents.SystemIdentity) -> Iterator[Fact]:
    role, login = identity.role, identity.auth_role
    yield IamIdentity(
        at=f"{identity.kind} IAM role",
        kind="role",
        name=role.name,
        path=role.path,
        trust=json.dumps(role.trust_policy),
        max_session_seconds=role.max_session_seconds,
        tags=dict(role.tags),
    )
    for name, document in role.policies.items():
        at = f"{identity.kind} IAM role"
        yield IamPolicy(at=at, kind="role", holder=role.name, name=name, document=json.dumps(document))
    yield VaultPolicy(at=f"{identity.kind} Vault policy", name=identity.policy.name, text=identity.policy.text)
    settings = dict(login.settings)
    yield VaultAuthRole(
        at=f"{identity.kind} login", method="jwt", mount=login.mount, name=login.name, settings=settings
    )


def _workflow(workflow: documents.WorkflowDocuments) -> Iterator[Fact]:
    name, mount, role = workflow.access.name, workflow.auth_mount, workflow.auth_role
    apart = mount.type in SETTINGS_APART
    held = {} if apart else mount.config
    yield VaultAuthMount(at=f"{name} auth mount", path=mount.path, method=mount.type, settings=held)
    if apart:
        yield VaultAuthSettings(at=f"{name} auth settings", path=mount.path, method=mount.type, settings=mount.config)
    yield VaultAuthRole(
        at=f"{name} login", method=mount.type, mount=role.mount, name=role.name, settings=dict(role.settings)
    )
    yield VaultPolicy(at=f"{name} agent policy", name=workflow.agent_policy.name, text=workflow.agent_policy.text)
    for tool in workflow.tools:
        yield from _tool(tool)
    for gated in workflow.gated:
        yield from _gated(gated, f"{name}.{gated.description['tool']} {gated.action}")


def _tool(tool: documents.ToolDocuments) -> Iterator[Fact]:
    label = f"{tool.access.workflow}.{tool.access.tool}"
    if tool.policy is not None:
        yield VaultPolicy(at=f"{label} policy", name=tool.policy.name, text=tool.policy.text)
    if tool.aws is not None:
        yield from _iam_role(tool.aws.role, label)
        yield _secret_role("aws", tool.aws.vault_role, label)
    if tool.postgres is not None:
        yield _group(tool.postgres, label)
        yield _secret_role("database", tool.postgres.vault_role, label)
    if tool.bearer is not None:
        yield _secret_role("identity", tool.bearer.role, label)
    if tool.pki is not None:
        yield _secret_role("pki", tool.pki.role, label)
    if tool.engine is not None:
        yield _secret_role("other", tool.engine, label)


def _group(group: documents.PostgresDocuments, label: str) -> DatabaseGroup:
    names = ("broker", "host", "port", "database", "sslmode", "tables", "functions")
    inputs = {name: getattr(group, name) for name in names}
    return DatabaseGroup(at=f"{label} group role", name=group.group_role, inputs={"group": group.group_role, **inputs})


def _iam_role(role: documents.IamRole, label: str) -> Iterator[Fact]:
    at = f"{label} IAM role"
    yield IamIdentity(
        at=at,
        kind="role",
        name=role.name,
        path=role.path,
        boundary=role.boundary_arn,
        trust=json.dumps(role.trust_policy),
        max_session_seconds=role.max_session_seconds,
        tags=dict(role.tags),
    )
    for name, document in role.policies.items():
        yield IamPolicy(at=at, kind="role", holder=role.name, name=name, document=json.dumps(document))


def _secret_role(engine: str, role: documents.VaultSecretRole, label: str) -> VaultSecretRole:
    return VaultSecretRole(
        at=f"{label} Vault role",
        engine=engine,
        mount=role.mount,
        name=role.name,
        credentials=(role.credential_path,),
        settings=dict(role.settings),
    )
