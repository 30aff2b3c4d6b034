"""What an operator does to a running environment: revoke, restore, examine.

It reads deployed facts (manifests, Vault, AWS) and takes access away. It must not grant any: what a workflow may do
comes by a reviewed deploy only.
"""

from narrowgate.operations.deploying import read_revocations

__all__ = ["read_revocations"]
