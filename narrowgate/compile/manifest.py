"""The manifest: all that a workflow's agent must know, and nothing secret. `narrowgate.runtime` reads only this.

Its format is versioned by `MANIFEST_VERSION`; readers refuse a newer one. This module must not decide any access.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.backends import BACKENDS
from narrowgate.compile.drafts import proposal_places
from narrowgate.compile.identity import login_parameters
from narrowgate.compile.words import describe_grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.compile.documents import (
        AuthMount,
        AuthRole,
        GatedDocuments,
        Json,
        LedgerDocuments,
        ToolDocuments,
    )
    from narrowgate.plan import ActionAccess, Environment, WorkflowAccess

MANIFEST_VERSION: Final = 1


def compile_manifest(  # noqa: PLR0913, PLR0917 - the documents of a workflow
    workflow: WorkflowAccess,
    environment: Environment,
    mount: AuthMount,
    role: AuthRole,
    tools: tuple[ToolDocuments, ...],
    ledger: LedgerDocuments,
    gated: tuple[GatedDocuments, ...] = (),
) -> Json:
    """Return the manifest of one workflow: JSON-ready, sorted keys."""
    vault, identity = environment.vault, environment.identity
    gates = {(str(each.description["tool"]), each.action): each for each in gated}
    return {
        "environment": environment.name,
        "ledger": {"anchors": ledger.anchor_path, "sign": ledger.sign_path},
        "login": {
            "agent": f"{identity.agent_prefix}{workflow.name}",
            "audience": names.audience(identity.audience_prefix, environment.name, workflow.name),
            "identity": workflow.identity,
            "issuer": identity.issuer,
            "max_ttl_seconds": workflow.max_ttl_seconds,
            "mount": mount.path,
            "requesters": list(workflow.requesters),
            "role": role.name,
            "ttl_seconds": workflow.ttl_seconds,
            **login_parameters(workflow, environment),
        },
        "owner": workflow.owner,
        **({"proposals": proposal_places(workflow.name)} if workflow.proposes else {}),
        "purpose": workflow.purpose,
        "tools": {tool.access.tool: _tool(tool, environment, gates) for tool in tools},
        "vault": {
            "address": vault.address,
            "ca_pem": vault.ca_pem,
            "namespace": vault.namespace,
            "revocations": vault.revocations_mount,
        },
        "version": MANIFEST_VERSION,
        "workflow": workflow.name,
    }


def _tool(documents: ToolDocuments, environment: Environment, gates: Mapping[tuple[str, str], GatedDocuments]) -> Json:
    access = documents.access
    described: dict[str, Any] = {
        "actions": {action.name: _action(action, gates.get((access.tool, action.name))) for action in access.actions},
        "backend": access.backend.value,
        "max_ttl_seconds": access.max_ttl_seconds,
        "path": None,
        "scope": json.loads(access.scope),
        "ttl_seconds": access.ttl_seconds,
    }
    if access.secret_fields:
        described["secret_fields"] = list(access.secret_fields)
    if documents.policy is not None:
        described["connection"] = BACKENDS[access.backend].describe_connection(documents, environment)
        described["path"] = documents.credential_path
        if documents.request is not None:
            described["request"] = documents.request
    return dict(sorted(described.items()))


def _action(action: ActionAccess, gate: GatedDocuments | None) -> Json:
    described: dict[str, Any] = {
        "access": action.access.value,
        "gated": action.gated,
        "grants": [describe_grant(grant) for grant in action.grants],
        "impact": action.impact.value,
    }
    if action.approval is not None:
        described["approval"] = {
            "expires_seconds": action.approval.expires_seconds,
            "factors": [{"groups": list(f.groups), "required": f.required} for f in action.approval.factors],
        }
    if action.execution is not None:
        described["inputs"] = json.loads(action.execution.inputs)
    if gate is not None:  # an agent can do nothing with it: a revocation ends what is held there
        described["gate"] = {"login": gate.login.name, "path": gate.credential_path}
    return dict(sorted(described.items()))
