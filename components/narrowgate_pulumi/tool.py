"""`ToolAccess`: one tool of one workflow, as identities and grants of its own.

It deploys the documents of `narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

import pulumi
import pulumi_vault as vault

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.groups import assume_role, join_group
from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import (
        BearerDocuments,
        KvDocuments,
        PkiDocuments,
        ToolDocuments,
    )

# Vault's API takes these as numbers of seconds, the SDK as texts.
PKI_DURATIONS = ("max_ttl", "ttl")


class MissingAccessorError(NarrowgateError):
    """A tool's tokens name the requester, but nobody said at which auth mount that name stands."""

    code = "accessor-missing"
    hint = "pass the `accessor` of the workflow's auth mount as `auth_accessor`"


class ToolAccessArgs(TypedDict):
    """What `ToolAccess` takes."""

    documents: ToolDocuments
    """The tool's compiled documents."""
    auth_accessor: NotRequired[pulumi.Input[str]]
    """The accessor of the workflow's auth mount; needed where the tool's tokens name the requester."""


class ToolAccess(pulumi.ComponentResource):
    """What mints one tool's credentials, and the policy that lets its workflow's agent, and nobody else, ask for them.

    For a program that builds one tool; `AgentWorkflow` grants its tools as its own children. Outputs:
    `credential_path` (None for a tool whose every action is gated: no credential path exists for it).
    """

    credential_path: pulumi.Output[str | None]

    def __init__(self, name: str, args: ToolAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:ToolAccess", name, {}, opts)
        documents = args["documents"]
        grant_tool(name, documents, self, auth_accessor=args.get("auth_accessor"))
        self.credential_path = pulumi.Output.from_input(documents.credential_path)
        self.register_outputs({"credential_path": documents.credential_path})


def grant_tool(
    name: str, documents: ToolDocuments, parent: pulumi.Resource, *, auth_accessor: pulumi.Input[str] | None = None
) -> list[pulumi.Resource]:
    """Make what mints a tool's credentials, then the right to ask for them; return what is made last.

    By backend the first is an IAM role and the Vault role that assumes it; a PostgreSQL group role and the Vault role
    that logs in to it; a role of Vault's identity tokens; a role of its CA; or a KV path that waits for a person to
    fill it. A tool whose every action is gated makes nothing.

    Raises:
        MissingAccessorError: the tool's tokens name the requester, and `auth_accessor` is None.

    """
    made: list[pulumi.Resource] = []
    if documents.aws is not None:
        made = [assume_role(name, documents.aws, parent)]
    if documents.postgres is not None:
        made = [join_group(name, documents.postgres, parent)]
    if documents.bearer is not None:
        made = [sign_tokens(name, documents.bearer, parent, auth_accessor)]
    if documents.kv is not None:
        made = [_keep_secret(name, documents.kv, parent)]
    if documents.pki is not None:
        made = [_sign_certificates(name, documents.pki, parent)]
    if documents.policy is None:
        return made
    policy = vault.Policy(
        f"{name}-policy",
        name=documents.policy.name,
        policy=documents.policy.text,
        # the path comes before the right to read it, and goes after it
        opts=pulumi.ResourceOptions(parent=parent, depends_on=made),
    )
    return [policy]


def sign_tokens(
    name: str, documents: BearerDocuments, parent: pulumi.Resource, accessor: pulumi.Input[str] | None = None
) -> pulumi.Resource:
    """Make a role of Vault's identity tokens and return it; raise MissingAccessorError where it needs an `accessor`."""
    settings = thaw(documents.role.settings)
    placeholder = documents.accessor_placeholder
    if placeholder is not None:
        if accessor is None:
            raise MissingAccessorError(f"the tokens of {name} name the requester, and no auth mount says where")
        text: str = settings["template"]
        known = pulumi.Output.from_input(accessor)
        settings["template"] = known.apply(lambda value: text.replace(placeholder, value))
    return vault.identity.OidcRole(
        f"{name}-vault-role", name=documents.role.name, **settings, opts=pulumi.ResourceOptions(parent=parent)
    )


def _keep_secret(name: str, documents: KvDocuments, parent: pulumi.Resource) -> pulumi.Resource:
    return vault.generic.Endpoint(
        f"{name}-secret",
        path=documents.metadata_path,
        data_json=as_json({"custom_metadata": documents.custom_metadata}),
        ignore_absent_fields=True,  # Vault answers with the versions too
        # Deleting the metadata would delete the key that a person put there, also where a workflow is only renamed.
        disable_delete=True,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _sign_certificates(name: str, documents: PkiDocuments, parent: pulumi.Resource) -> pulumi.Resource:
    settings = thaw(documents.role.settings)
    settings.update({key: str(settings[key]) for key in PKI_DURATIONS if key in settings})
    return vault.pkisecret.SecretBackendRole(
        f"{name}-vault-role",
        backend=documents.role.mount,
        name=documents.role.name,
        **settings,
        opts=pulumi.ResourceOptions(parent=parent),
    )
