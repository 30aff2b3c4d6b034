"""Vault as the ledger's witness: it signs checkpoints by the workflow's key, and keeps anchors that nobody rewrites."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from narrowgate.audit.ledger import CheckpointError

if TYPE_CHECKING:
    from narrowgate.runtime.manifest import ManifestLedger
    from narrowgate.runtime.session import Login


class VaultWitness:
    """Signs and anchors by the agent's own login; `entity` is that login's entity."""

    def __init__(self, login: Login, places: ManifestLedger, entity: str) -> None:
        self._login = login
        self._places = places
        self._entity = entity
        self.key = places.sign.replace("/sign/", "/")

    def sign(self, message: bytes) -> str:
        """Return Vault's signature of `message`. Raises CheckpointError, or what the login raises."""
        answer, _ = self._login.fetch(self._places.sign, {"input": base64.b64encode(message).decode()})
        data = answer.get("data")
        if not isinstance(data, Mapping) or not data.get("signature"):
            raise CheckpointError("Vault answered without a signature.")
        return str(data["signature"])

    def anchor(self, name: str, data: Mapping[str, Any]) -> str:
        """Create an anchor and return its path. A retry needs another name: the first may have arrived."""
        place = f"{self._places.anchors}/{self._entity}/{name}-{secrets.token_hex(4)}"
        self._login.fetch(place, {"options": {"cas": 0}, "data": dict(data)})
        return place
