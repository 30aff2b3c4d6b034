"""An auth role whose bound claim fits many agents."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_login(
    "onboarding",
    bound_claims={"/act/sub": "agent:*"},
    bound_claims_type="glob",
    token_policies=["agent.onboarding"],
)
