"""A second login for a workflow's policies: an auth role that no workflow has."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_vault as vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
vault.jwt.AuthBackendRole(
    "demo-login",
    backend="agents/summaries",
    role_name="second",
    role_type="jwt",
    user_claim="/sub",
    bound_claims={"/act/sub": "agent:second"},
    token_policies=["agent.second"],
    token_ttl=900,
    token_max_ttl=3600,
)
