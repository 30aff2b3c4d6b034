"""A Vault policy that no workflow has."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_policy(
    "tool.summaries.extra", 'path "narrowgate-kv/data/summaries/extra" {\n  capabilities = ["read"]\n}\n'
)
