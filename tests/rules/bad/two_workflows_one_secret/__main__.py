"""Two policies, of two workflows, that read one KV secret."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
for workflow in ("summaries", "onboarding"):
    baseline.make_policy(
        f"tool.{workflow}.rates",
        'path "narrowgate-kv/data/rates/api-key" {\n  capabilities = ["read"]\n}\n',
    )
