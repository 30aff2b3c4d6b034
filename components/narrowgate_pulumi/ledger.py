"""What the ledger needs in Vault: mounts for anchors and signing keys, and a key for each workflow.

Mounts, keys and anchors are never deleted by a deploy: they prove what was done. It must not decide who may use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_vault as vault

from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import FoundationDocuments, LedgerDocuments


def found_ledger(name: str, documents: FoundationDocuments, parent: pulumi.Resource) -> vault.Mount:
    """Make the mounts of anchors and keys; return that of keys."""
    child = pulumi.ResourceOptions(parent=parent)
    vault.Mount(
        f"{name}-ledger",
        path=documents.anchor_mount,
        type="kv",
        options={"version": "2"},
        description="Checkpoints of agents' ledgers: created by agents, rewritten by nobody",
        opts=child,
    )
    return vault.Mount(
        f"{name}-transit",
        path=documents.signing_mount,
        type="transit",
        description="Keys by which agents sign the checkpoints of their ledgers",
        opts=child,
    )


def make_signing_key(
    name: str, documents: LedgerDocuments, parent: pulumi.Resource, *after: pulumi.Resource
) -> pulumi.Resource:
    """Make the key of one workflow or executor, once `after` is made; it stays when that goes."""
    return vault.generic.Endpoint(
        f"{name}-ledger-key",
        path=documents.key_path,
        data_json=as_json(thaw(documents.key_settings)),
        ignore_absent_fields=True,  # Vault answers with the public keys too
        disable_delete=True,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
