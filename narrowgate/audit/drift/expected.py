"""What may stand below an environment's paths: what the lock compiles to, and the foundation's own identities.

The foundation's are compiled from the environment's bindings, as its deploy does, and join the lock's documents: so one
comparison judges all. This module must not talk to any system.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from narrowgate.access.enforcement import load_lock
from narrowgate.access.locked import LockedDocuments
from narrowgate.audit.drift.facts import Place
from narrowgate.compile import compile_plan, names
from narrowgate.compile.backends.postgres import binding_of
from narrowgate.compile.documents import IamRole
from narrowgate.compile.trail import compile_trail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from narrowgate.compile.documents import (
        AuthMount,
        AuthRole,
        FoundationDocuments,
        GateIdentity,
        PlanDocuments,
        SystemIdentity,
    )
    from narrowgate.plan import Environment

DEFAULT_SESSION_SECONDS: Final = 3600
"""How long a role's sessions may last where nothing is said (IAM API Reference, CreateRole)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What may stand: `locked` holds the lock's documents and the foundation's, by name.

    `secret_mounts` are paths with their types, `collections` the paths where secrets engines list their roles,
    `shared` those of them where others' roles stand too. `token_mounts` says, by the path of an identity token's role,
    whose logins' accessor its claims may name; `workflow_mounts` where each workflow logs in. `databases` are all, with
    their TLS mode and Vault's login in them.
    """

    environment: Environment
    locked: LockedDocuments
    secret_mounts: Mapping[str, str]
    collections: tuple[str, ...]
    shared: frozenset[str]
    token_mounts: Mapping[str, str]
    workflow_mounts: Mapping[str, str]
    databases: Mapping[Place, tuple[str, str]]

    @property
    def group_prefix(self) -> str:
        """Return what the environment's group roles in PostgreSQL begin with."""
        return names.group_role_name(self.environment.name, "w", "t").rpartition("w_t")[0]

    @property
    def bound_roles(self) -> frozenset[str]:
        """Return the ARNs of principals that the bindings name: brokers and people on call, which their owners made."""
        aws, operator = self.environment.aws, self.environment.operator
        named = (aws.broker_arn, aws.gated_broker_arn, "" if operator is None else operator.aws_principal)
        return frozenset(arn for arn in named if arn)

    @classmethod
    def read(cls, environment: Environment, lock_path: Path) -> Expected:
        """Return what the lock at `lock_path` and the bindings of `environment` say; raise `LockError` as it does."""
        locked = LockedDocuments.read(environment, lock_path)
        documents = compile_plan(load_lock(lock_path, environment=environment.name).plan(environment))
        return cls.of_documents(documents, locked)

    @classmethod
    def of_documents(cls, documents: PlanDocuments, locked: LockedDocuments) -> Expected:
        """Return what `documents` say; `locked` are theirs, by name."""
        environment, foundation = documents.environment, documents.foundation
        mounts = _secret_mounts(foundation)
        collections = {f"{path}/roles" for path, kind in mounts.items() if kind in _MINTING}
        collections |= {f"{path}/static-roles" for path, kind in mounts.items() if kind == "database"}
        collections |= {role.role.path.rpartition("/")[0] for role in locked.secret_roles.values()}
        adopted = {path for path in collections if path.rpartition("/")[0] in foundation.adopted}
        tokens = {
            tool.bearer.role.path: workflow.auth_mount.path
            for workflow in documents.workflows
            for tool in workflow.tools
            if tool.bearer is not None
        }
        return cls(
            environment=environment,
            locked=_with_foundation(locked, foundation, environment),
            secret_mounts=MappingProxyType(mounts),
            collections=tuple(sorted(collections | {_SIGNING_ROLES})),
            shared=frozenset(adopted | {_SIGNING_ROLES}),
            token_mounts=MappingProxyType(tokens),
            workflow_mounts=MappingProxyType({w.access.name: w.auth_mount.path for w in documents.workflows}),
            databases=MappingProxyType(dict(_databases(environment))),
        )


_MINTING: Final = frozenset({"aws", "database", "pki"})
_SIGNING_ROLES: Final = "identity/oidc/role"


def _secret_mounts(foundation: FoundationDocuments) -> dict[str, str]:
    mounts = {
        foundation.aws_mount: "aws",
        foundation.database_mount: "database",
        foundation.kv_mount: "kv",
        foundation.pki_mount: "pki",
        foundation.anchor_mount: "kv",
        foundation.signing_mount: "transit",
        foundation.revocations_mount: "kv",
    }
    gate = foundation.approvals
    if gate is not None:
        mounts |= dict.fromkeys(gate.stores, "kv") | {gate.database_mount: "database"}
        mounts |= {} if gate.aws_mount is None else {gate.aws_mount: "aws"}
    return mounts


def _with_foundation(
    locked: LockedDocuments, foundation: FoundationDocuments, environment: Environment
) -> LockedDocuments:
    """Return the lock's documents with the foundation's identities beside them."""
    identities: list[SystemIdentity] = []
    gate: list[GateIdentity] = []
    mounts: list[AuthMount] = []
    page: AuthRole | None = None
    if foundation.deployer is not None:
        identities += [foundation.deployer.deployer, foundation.deployer.preview]
        mounts.append(foundation.deployer.auth_mount)
    if foundation.operator is not None:
        identities.append(foundation.operator.operator)
        mounts.append(foundation.operator.auth_mount)
    if foundation.approvals is not None:
        gate += [foundation.approvals.approver, *foundation.approvals.executors]
        page = foundation.approvals.page_login
        mounts += [foundation.approvals.approvers_mount, foundation.approvals.executors_mount]
    logins = [identity.auth_role for identity in identities] + [each.login for each in gate]
    logins += [] if page is None else [page]
    policies = [identity.policy for identity in identities] + [each.policy for each in gate]
    roles = {role.name: role for role in (*map(_as_role, identities), *_trail_roles(environment))}
    return replace(
        locked,
        roles={**locked.roles, **roles},
        policies={**locked.policies, **{policy.name: policy.text for policy in policies}},
        auth_roles={**locked.auth_roles, **{(login.mount, login.name): login for login in logins}},
        auth_mounts={**locked.auth_mounts, **{mount.path: mount for mount in mounts}},
    )


def _as_role(identity: SystemIdentity) -> IamRole:
    """Return a system identity's role; it is under no boundary, which an empty ARN says."""
    role = identity.role
    return IamRole(
        name=role.name,
        path=role.path,
        trust_policy=role.trust_policy,
        policies=role.policies,
        boundary_arn="",
        max_session_seconds=role.max_session_seconds,
        tags=role.tags,
    )


def _trail_roles(environment: Environment) -> Iterator[IamRole]:
    trail = compile_trail(environment)
    if trail is not None:
        policies: dict[str, Any] = {"deliver": trail.role_policy}
        yield IamRole(
            name=trail.role_name,
            path=trail.role_path,
            trust_policy=trail.role_trust,
            policies=policies,
            boundary_arn="",
            max_session_seconds=DEFAULT_SESSION_SECONDS,
            tags=trail.tags,
        )


def _databases(environment: Environment) -> Iterator[tuple[Place, tuple[str, str]]]:
    for tool in environment.tools:
        if {"host", "database"} <= dict(tool.values).keys():
            bound = binding_of(environment, tool.tool)
            yield Place(bound.host, bound.port, bound.database), (bound.sslmode, bound.broker)
