"""Settings of an auth mount of ours that believe another cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_vault as vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
vault.kubernetes.AuthBackendConfig(
    "demo-settings", backend="agents/summaries", kubernetes_host="https://cluster.evil.example"
)
