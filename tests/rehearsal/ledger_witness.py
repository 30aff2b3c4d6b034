"""A witness for tests that need no Vault: it signs with a real key of its own, and keeps anchors in a list."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from narrowgate.audit.keys import PublicKeys
from narrowgate.audit.ledger import CheckpointError
from narrowgate.audit.ledger.checkpoints import Anchor, read_anchor

if TYPE_CHECKING:
    from collections.abc import Mapping


class LocalWitness:
    """Signs as the key `transit/<workflow>`; `works` says whether it does its duty."""

    def __init__(self, workflow: str = "triage") -> None:
        self._private = Ed25519PrivateKey.generate()
        self.key = f"transit/{workflow}"
        self.kept: dict[str, dict[str, Any]] = {}
        self.works = True

    def sign(self, message: bytes) -> str:
        if not self.works:
            raise CheckpointError("No signer answers.")
        return "vault:v1:" + base64.b64encode(self._private.sign(message)).decode()

    def anchor(self, name: str, data: Mapping[str, Any]) -> str:
        assert name not in self.kept, "an anchor is never written twice"
        self.kept[name] = dict(data)
        return f"anchors/{name}"

    @property
    def anchors(self) -> list[Anchor]:
        return [read_anchor(data, f"anchors/{name}") for name, data in self.kept.items()]

    @property
    def raw_keys(self) -> dict[str, dict[int, bytes]]:
        return {self.key: {1: self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)}}

    @property
    def public_keys(self) -> PublicKeys:
        return PublicKeys(self.raw_keys)
