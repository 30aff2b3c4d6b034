"""`AgentWorkflow`: one agent identity, with its own auth mount, its own policies and its tools' grants.

It deploys the documents of `narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_vault as vault

from narrowgate_pulumi.gated import gate_action
from narrowgate_pulumi.ledger import make_signing_key
from narrowgate_pulumi.logins import LoginState, admit_agent, open_mount
from narrowgate_pulumi.texts import thaw
from narrowgate_pulumi.tool import grant_tool

if TYPE_CHECKING:
    from narrowgate.compile.documents import WorkflowDocuments


class AgentWorkflowArgs(LoginState):
    """What `AgentWorkflow` takes."""

    documents: WorkflowDocuments
    """The workflow's compiled documents."""


class AgentWorkflow(pulumi.ComponentResource):
    """All identities, policies and grants of one workflow. Outputs: `manifest`, what its agent needs to know.

    Nobody can log in before everything is in place: the auth role comes last, and goes first. The auth mount comes
    after all tools that lease credentials and goes before them, so that removing a workflow ends its logins and their
    leases before what they stand on is taken away. Only tools whose tokens name the requester, by the mount's accessor,
    come between mount and role; no lease stands on them.
    """

    manifest: pulumi.Output[dict[str, Any]]

    def __init__(self, name: str, args: AgentWorkflowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:AgentWorkflow", name, {}, opts)
        documents = args["documents"]
        opts = pulumi.ResourceOptions(parent=self)
        policy = vault.Policy(
            f"{name}-policy", name=documents.agent_policy.name, policy=documents.agent_policy.text, opts=opts
        )
        waiting = [tool for tool in documents.tools if tool.bearer and tool.bearer.accessor_placeholder]
        before: list[pulumi.Resource] = [policy, make_signing_key(name, documents.ledger, self)]
        for tool in documents.tools:
            if tool not in waiting:
                before += grant_tool(f"{name}.{tool.access.tool}", tool, self)
        mount = open_mount(name, documents.auth_mount, self, after=before)
        tools: list[pulumi.Resource] = []
        for tool in waiting:
            tools += grant_tool(f"{name}.{tool.access.tool}", tool, self, auth_accessor=mount.accessor)
        for gated in documents.gated:
            tools.append(gate_action(f"{name}.{gated.description['tool']}.{gated.action}", gated, self))
        admit_agent(name, documents, self, after=[*mount.resources, *tools], state=args)
        manifest = thaw(documents.manifest)
        # Not from the manifest itself: the SDK makes an output of every value inside, a hundred for each workflow.
        self.manifest = pulumi.Output.from_input(name).apply(lambda _: manifest)
        self.register_outputs({"manifest": manifest})
