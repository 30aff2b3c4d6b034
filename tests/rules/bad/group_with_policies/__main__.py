"""A Vault group whose policies flow into every member's token."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_vault as vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
vault.identity.Group("demo-group", name="all-agents", type="internal", policies=["tool.summaries.documents"])
