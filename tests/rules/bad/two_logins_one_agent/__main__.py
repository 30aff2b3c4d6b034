"""Two auth roles that let the same agent in."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_login(
    "onboarding",
    backend="agents/drafting",
    role_name="onboarding",
    bound_claims={"/act/sub": "agent:summaries", "/groups": "procurement"},
    token_policies=["agent.onboarding"],
)
