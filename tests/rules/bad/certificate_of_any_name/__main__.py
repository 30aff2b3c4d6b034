"""A PKI role whose caller chooses the name: `*` spans slashes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline
import pulumi_vault as vault

baseline.deploy()
vault.pkisecret.SecretBackendRole(
    "vault-summaries.ledger",
    backend="narrowgate-pki",
    name="summaries.ledger",
    allowed_uri_sans=["spiffe://dev.acme.example/dev/*"],
    ttl="900",
    max_ttl="900",
)
