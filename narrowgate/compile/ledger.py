"""What the ledger needs in Vault: a signing key for each workflow, and a place where an agent anchors its checkpoints.

An agent can sign by its own workflow's key only, and create anchors below its own entity, which it can neither read,
change nor delete: what a checkpoint said then stays, whatever its writer would like later. Only creates that race each
other can leave a second version, which an auditor sees. The keys and anchors
outlive the workflow, since they prove its past. This module must not know any tool.
"""

from __future__ import annotations

from typing import Final

from narrowgate.compile.documents import LedgerDocuments
from narrowgate.compile.hcl import PathRule

ANCHOR_MOUNT: Final = "narrowgate-ledger"
SIGNING_MOUNT: Final = "narrowgate-transit"
KEY_SETTINGS: Final = {"type": "ed25519"}

# What a response may show in Vault's audit log: what joins it to AWS and PostgreSQL, and nothing that is a secret.
AUDIT_RESPONSE_KEYS: Final = {
    "aws": ("access_key", "arn"),
    "database": ("username",),
    "pki": ("serial_number",),
}


def compile_ledger(workflow: str) -> LedgerDocuments:
    """Return the paths of one workflow's key and anchors."""
    return LedgerDocuments(
        key_path=f"{SIGNING_MOUNT}/keys/{workflow}",
        sign_path=f"{SIGNING_MOUNT}/sign/{workflow}",
        anchor_path=f"{ANCHOR_MOUNT}/data/{workflow}",
        key_settings=KEY_SETTINGS,
    )


def agent_rules(documents: LedgerDocuments) -> tuple[PathRule, ...]:
    """Return what an agent's policy says of its ledger."""
    return (
        PathRule(documents.sign_path, ("update",), "sign checkpoints of the ledger"),
        PathRule(
            documents.anchor_path, ("create",), "anchor them where they cannot be rewritten", below_own_entity=True
        ),
    )
