"""An auth mount of ours that accepts another issuer's tokens."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_vault as vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
vault.jwt.AuthBackend(
    "demo-mount",
    path="agents/summaries",
    type="jwt",
    bound_issuer="https://idp.evil.example",
    jwks_url="https://idp.evil.example/keys",
)
