"""Two identity-token roles, of two workflows, whose tokens say the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline
import pulumi_vault as vault

baseline.deploy()
for workflow in ("summaries", "onboarding"):
    vault.identity.OidcRole(
        f"vault-{workflow}.payments",
        name=f"{workflow}.payments",
        key="narrowgate",
        client_id="https://payments.dev.example.com",
        template=json.dumps({"workflow": "summaries", "tool": "payments", "actions": [workflow]}),
        ttl=300,
    )
