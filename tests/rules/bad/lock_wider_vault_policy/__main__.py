"""The policy of a tool, wider than the lock has it: the agent chooses the session's policy."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_policy(
    "tool.summaries.tickets",
    'path "narrowgate-database/creds/summaries.tickets" {\n  capabilities = ["read", "list"]\n}\n',
)
