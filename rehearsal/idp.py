"""The company's identity provider, as far as a rehearsal needs one: it knows users and their groups, and signs JWTs.

A token for an agent names the user (`sub`) and the agent that acts for them (`act.sub`, RFC 8693); a person's own
token has no `act`. It must not know any Vault; Vault knows its public key.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rehearsal.environments import describe
from rehearsal.state import make_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rehearsal.layout import EnvironmentLayout

ALGORITHM = "ES256"
TTL_SECONDS = 600
OPERATOR = "olivia"
OPERATOR_GROUP = "platform-engineers"

DIRECTORY: dict[str, tuple[str, ...]] = {
    "alice": ("on-call",),
    "sam": ("service-desk",),
    "vera": ("procurement",),
    "carl": ("incident-commanders",),
    "ann": ("vendor-approvers",),
    "mallory": (),
    OPERATOR: (OPERATOR_GROUP,),
}
"""The demo's people and their groups; a user who is not here has none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a token is about: a user, their groups, and the workflow whose agent acts for them (None: nobody does)."""

    user: str
    groups: tuple[str, ...]
    workflow: str | None = None


def look_up(user: str, groups: Sequence[str] | None = None, workflow: str | None = None) -> Subject:
    """Return `user` with `groups`, or with the groups that the directory knows where none are given."""
    return Subject(user, tuple(groups) if groups else DIRECTORY.get(user, ()), workflow)


def ensure_key(layout: EnvironmentLayout) -> Path:
    """Return the file of the signing key, which is made on the first call."""
    file = layout.idp / "signing.key"
    if not file.exists():
        make_folder(layout.idp)
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(
            file,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    return file


def ensure_client_secret(layout: EnvironmentLayout) -> Path:
    """Return the file of the secret that the approvers' page has at this provider, made on the first call."""
    file = layout.idp / "page-client.secret"
    if not file.exists():
        make_folder(layout.idp)
        write_private(file, secrets.token_urlsafe(32))
    return file


def read_public_key(layout: EnvironmentLayout) -> str:
    """Return the public key, as PEM text, with which tokens are verified."""
    key = serialization.load_pem_private_key(ensure_key(layout).read_bytes(), password=None)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def issuer(layout: EnvironmentLayout) -> str:
    """Return the issuer that the committed environment names: only its keys are this machine's."""
    return describe(layout).identity.issuer


def audience(layout: EnvironmentLayout, workflow: str | None) -> str:
    """Return the audience of a workflow's tokens, or of people's own (`people`)."""
    return f"{describe(layout).identity.audience_prefix}:{layout.environment}:{workflow or 'people'}"


def sign_token(layout: EnvironmentLayout, subject: Subject, *, ttl_seconds: int = TTL_SECONDS, **claims: Any) -> str:  # noqa: ANN401 - a claim's value is any JSON
    """Return a signed JWT about `subject` that ends after `ttl_seconds`; `claims` replace or add claims."""
    now = int(time.time())
    act = {"act": {"sub": describe(layout).identity.agent_prefix + subject.workflow}} if subject.workflow else {}
    payload = {
        "iss": issuer(layout),
        "sub": subject.user,
        **act,
        "groups": list(subject.groups),
        "aud": audience(layout, subject.workflow),
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_urlsafe(16),
        **claims,
    }
    return jwt.encode(payload, ensure_key(layout).read_bytes(), algorithm=ALGORITHM)
