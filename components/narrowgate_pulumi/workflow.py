"""`AgentWorkflow`: one agent identity, with its own auth mount, its own policies and a `ToolAccess` for each tool.

It deploys the documents of `narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import pulumi
import pulumi_vault as vault

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.texts import thaw
from narrowgate_pulumi.tool import ToolAccess

if TYPE_CHECKING:
    from narrowgate.compile.documents import Json, WorkflowDocuments

# Vault's API says `policies` of a login by `token_policies`; the SDK has the same names but for the role's own.
LOGIN_TYPES = ("jwt",)


class UnsupportedLoginError(NarrowgateError):
    """The documents ask for something that the deploy cannot express; deploying less would be a guess."""

    code = "login-unsupported"


class LoginState(TypedDict, total=False):
    """What an operator has done to a workflow's login, outside the stack."""

    revoked: bool
    """The workflow is revoked: everything stands but its login. Default False."""
    generation: int
    """How often it was revoked so far: after a restore, its login is made anew. Default 0."""


class AgentWorkflowArgs(LoginState):
    """What `AgentWorkflow` takes."""

    documents: WorkflowDocuments
    """The workflow's compiled documents."""


class AgentWorkflow(pulumi.ComponentResource):
    """All identities, policies and grants of one workflow. Outputs: `manifest`, what its agent needs to know.

    The auth mount comes last and goes first: nobody can log in before everything is in place, and removing a workflow
    revokes its logins and their leases before what they stand on is taken away.
    """

    manifest: pulumi.Output[dict[str, Any]]

    def __init__(self, name: str, args: AgentWorkflowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:AgentWorkflow", name, {}, opts)
        documents = args["documents"]
        tools: list[pulumi.Resource] = [
            ToolAccess(
                f"{name}.{tool.access.tool}",
                {"documents": tool},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for tool in documents.tools
        ]
        policy = vault.Policy(
            f"{name}-policy",
            name=documents.agent_policy.name,
            policy=documents.agent_policy.text,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._admit_agent(name, args, [*tools, policy])
        manifest = thaw(documents.manifest)
        self.manifest = pulumi.Output.from_input(manifest)
        self.register_outputs({"manifest": manifest})

    def _admit_agent(self, name: str, args: AgentWorkflowArgs, before: list[pulumi.Resource]) -> None:
        documents = args["documents"]
        mount, role = documents.auth_mount, documents.auth_role
        if mount.type not in LOGIN_TYPES:
            raise UnsupportedLoginError(
                f"the workflow {name} logs in by {mount.type}, which cannot be deployed yet",
                hint=f"set identity to {' or '.join(LOGIN_TYPES)}",
            )
        backend = vault.jwt.AuthBackend(
            f"{name}-auth",
            path=mount.path,
            type=mount.type,
            **thaw(mount.config),
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )
        if args.get("revoked", False):
            return
        vault.jwt.AuthBackendRole(
            f"{name}-auth-role",
            backend=mount.path,
            role_name=role.name,
            **_role_arguments(name, role.settings),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[backend],  # the path is known, so no edge tells
                # A revocation deletes the role behind the engine's back: the next generation makes it anew.
                replacement_trigger=args.get("generation", 0) or None,
                delete_before_replace=True,
            ),
        )


def _role_arguments(name: str, settings: Json) -> dict[str, Any]:
    """Return a JWT role's settings as the SDK takes them: a list of accepted claim values is one text with commas."""
    arguments: dict[str, Any] = thaw(settings)
    claims = {
        claim: [value] if isinstance(value, str) else value
        for claim, value in arguments.get("bound_claims", {}).items()
    }
    if torn := [value for values in claims.values() for value in values if "," in value]:
        raise UnsupportedLoginError(
            f"the workflow {name} binds a claim to {torn[0]!r}: Vault's provider would take it for several values",
            hint="use names without a comma",
        )
    if claims:
        arguments["bound_claims"] = {claim: ",".join(values) for claim, values in claims.items()}
    return arguments
