"""How a workflow's agent logs in: its auth mount, and the mount's one role, as each kind of login has them in the SDK.

A mount without a role lets nobody in. This module must not decide whom a role lets in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import pulumi
import pulumi_vault as vault

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.texts import thaw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from narrowgate.compile.documents import AuthMount, Json, WorkflowDocuments


class UnsupportedLoginError(NarrowgateError):
    """The documents ask for something that the deploy cannot express; deploying less would be a guess."""

    code = "login-unsupported"


@dataclass(frozen=True, slots=True)
class OpenedMount:
    """An auth mount with its settings: its `accessor`, and the `resources` that a role on it has to wait for."""

    accessor: pulumi.Output[str]
    resources: Sequence[pulumi.Resource]


@dataclass(frozen=True, slots=True)
class LoginResources:
    """One kind of login in the SDK: the class of its settings (None: the mount holds them) and that of its role.

    `role_name` is what the role's class calls its name; `arguments` turns the role's settings, which have Vault's own
    field names, into the class's.
    """

    settings: Callable[..., pulumi.CustomResource] | None
    role: Callable[..., pulumi.CustomResource]
    role_name: str = "role_name"
    arguments: Callable[[str, Json], dict[str, Any]] = lambda _name, settings: thaw(settings)


def open_mount(
    name: str, mount: AuthMount, parent: pulumi.Resource, *, after: Sequence[pulumi.Resource]
) -> OpenedMount:
    """Make the auth mount of the workflow `name`, with its settings, once `after` is made."""
    login = _find(name, mount.type)
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(after))
    if login is LOGINS["jwt"]:
        backend = vault.jwt.AuthBackend(
            f"{name}-auth", path=mount.path, type=mount.type, **thaw(mount.config), opts=opts
        )
        return OpenedMount(backend.accessor, [backend])
    plain = vault.AuthBackend(f"{name}-auth", path=mount.path, type=mount.type, opts=opts)
    if login.settings is None:
        return OpenedMount(plain.accessor, [plain])
    settings = login.settings(
        f"{name}-auth-settings",
        backend=mount.path,
        **thaw(mount.config),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[plain]),  # the path is known, so no edge tells
    )
    return OpenedMount(plain.accessor, [plain, settings])


class LoginState(TypedDict, total=False):
    """What an operator has done to a workflow's login, outside the stack."""

    revoked: bool
    """The workflow is revoked: everything stands but its login. Default False."""
    generation: int
    """How often it was revoked so far: after a restore, its login is made anew. Default 0."""


def admit_agent(
    name: str,
    documents: WorkflowDocuments,
    parent: pulumi.Resource,
    *,
    after: Sequence[pulumi.Resource],
    state: LoginState | None = None,
) -> None:
    """Make the one role of the workflow's auth mount: from now on its agent can log in, unless it is revoked."""
    login, role = _find(name, documents.auth_mount.type), documents.auth_role
    state = state or {}
    if state.get("revoked", False):
        return
    login.role(
        f"{name}-auth-role",
        backend=role.mount,
        **{login.role_name: role.name},
        **login.arguments(name, role.settings),
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(after),
            # A revocation deletes the role behind the engine's back: the next generation makes it anew. There is a
            # trigger from the start, since the engine takes none and the first one for the same.
            replacement_trigger=f"generation {state.get('generation', 0)}",
            delete_before_replace=True,
        ),
    )


def _find(name: str, kind: str) -> LoginResources:
    if kind not in LOGINS:
        raise UnsupportedLoginError(
            f"the workflow {name} logs in by {kind}, which cannot be deployed",
            hint=f"set identity to one of {', '.join(sorted(LOGINS))}",
        )
    return LOGINS[kind]


def jwt_arguments(name: str, settings: Json) -> dict[str, Any]:
    """Return a JWT role's settings as the SDK takes them: a list of accepted claim values is one text with commas."""
    arguments: dict[str, Any] = thaw(settings)
    claims = {
        claim: [value] if isinstance(value, str) else value
        for claim, value in arguments.get("bound_claims", {}).items()
    }
    if torn := [value for values in claims.values() for value in values if "," in value]:
        raise UnsupportedLoginError(
            f"the login of {name} binds a claim to {torn[0]!r}: Vault's provider would take it for several values",
            hint="use names without a comma",
        )
    if claims:
        arguments["bound_claims"] = {claim: ",".join(values) for claim, values in claims.items()}
    return arguments


def _aws_arguments(_name: str, settings: Json) -> dict[str, Any]:
    """Return an AWS role's settings: the SDK says the principals in the plural."""
    arguments: dict[str, Any] = thaw(settings)
    arguments["bound_iam_principal_arns"] = arguments.pop("bound_iam_principal_arn")
    return arguments


LOGINS: dict[str, LoginResources] = {
    "approle": LoginResources(None, vault.approle.AuthBackendRole),
    "aws": LoginResources(
        vault.aws.AuthBackendClient, vault.aws.AuthBackendRole, role_name="role", arguments=_aws_arguments
    ),
    "jwt": LoginResources(None, vault.jwt.AuthBackendRole, arguments=jwt_arguments),
    "kubernetes": LoginResources(vault.kubernetes.AuthBackendConfig, vault.kubernetes.AuthBackendRole),
}
