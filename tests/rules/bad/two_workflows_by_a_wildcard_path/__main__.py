"""A policy that reaches the credentials of all workflows by a pattern."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_policy("tool.onboarding.documents", 'path "+/sts/sum*" {\n  capabilities = ["read"]\n}\n')
