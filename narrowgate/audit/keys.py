"""Is a signature of Vault's transit engine good? Offline, by the public keys that Vault exports.

A signature names the version of the key that made it (`vault:v2:…`), so a rotated key goes on verifying. This module
must not reach Vault: the keys are handed in.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE: Final = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})")


class PublicKeys:
    """Ed25519 public keys by the key's name and version. Called with a key's name, a message and its signature."""

    def __init__(self, keys: Mapping[str, Mapping[int, bytes]]) -> None:
        self._keys = keys

    def __call__(self, name: str, message: bytes, signature: str) -> bool:
        """Return whether `signature` is `name`'s, of exactly `message`. An unknown key or version signs nothing."""
        match = SIGNATURE.fullmatch(signature)
        if match is None:
            return False
        raw = self._keys.get(name, {}).get(int(match[1]))
        if raw is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(match[2], validate=True), message)
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True
