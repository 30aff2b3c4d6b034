"""Two PKI roles, of two workflows, that issue one certificate name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline
import pulumi_vault as vault

baseline.deploy()
for workflow in ("summaries", "onboarding"):
    vault.pkisecret.SecretBackendRole(
        f"vault-{workflow}.ledger",
        backend="narrowgate-pki",
        name=f"{workflow}.ledger",
        allowed_uri_sans=["spiffe://dev.acme.example/dev/summaries/ledger"],
        allow_any_name=False,
        client_flag=True,
        server_flag=False,
        ttl="900",
        max_ttl="900",
    )
