"""CI's identity provider, as far as a rehearsal needs one: it signs the token of a job, as GitHub Actions does.

One CI serves all environments, as in a company: what keeps a job out of one is its subject, not its key. A token names
the job's repository, ref, environment and event in GitHub's claims. This module must not know any AWS or Vault.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rehearsal.state import make_folder, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.layout import Layout

# The issuer that the committed environments name: only its key is this machine's.
ISSUER: Final = "https://token.actions.githubusercontent.com"
ALGORITHM: Final = "ES256"
TTL_SECONDS: Final = 300


def ensure_key(layout: Layout) -> Path:
    """Return the file of CI's signing key, which is made on the first call."""
    file = layout.ci / "signing.key"
    if not file.exists():
        make_folder(layout.ci)
        key = ec.generate_private_key(ec.SECP256R1())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        write_private(file, key.private_bytes(encoding, form, serialization.NoEncryption()))
    return file


def read_public_key(layout: Layout) -> str:
    """Return the public key, as PEM text, with which jobs' tokens are verified."""
    key = serialization.load_pem_private_key(ensure_key(layout).read_bytes(), password=None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def write_issuers(layout: Layout) -> Path:
    """Write what the emulated AWS would fetch from CI, its issuer's public key, and return the file."""
    file = make_folder(layout.ci) / "issuers.json"
    write_private(file, json.dumps({ISSUER: read_public_key(layout)}))
    return file


def sign_job(layout: Layout, subject: str, audience: str, *, ttl_seconds: int = TTL_SECONDS, **claims: Any) -> str:  # noqa: ANN401 - a claim's value is any JSON
    """Return the token of the job `subject`; `claims` replace or add claims."""
    now = int(time.time())
    payload = {
        "iss": ISSUER,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_urlsafe(16),
        **claims,
    }
    return jwt.encode(payload, ensure_key(layout).read_bytes(), algorithm=ALGORITHM)
