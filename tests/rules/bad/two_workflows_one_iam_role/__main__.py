"""Two Vault roles, of two workflows, that assume one IAM role."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_vault_role("onboarding.documents", baseline.role_arn("summaries-documents"))
