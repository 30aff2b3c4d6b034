"""An auth role that lets in any token of the issuer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_login("onboarding", bound_claims=None, token_policies=["agent.onboarding"])
