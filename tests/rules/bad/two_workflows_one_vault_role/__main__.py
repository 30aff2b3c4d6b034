"""Two policies, of two workflows, that reach one Vault role."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_policy(
    "tool.onboarding.documents",
    'path "narrowgate-aws/sts/summaries.documents" {\n  capabilities = ["read"]\n}\n',
)
