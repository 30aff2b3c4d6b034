"""A role whose pattern matches the bucket of prod as well, without naming it or prod's account."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_role("demo-crossing", baseline.allow(["s3:GetObject"], ["arn:aws:s3:::acme-*-documents/*"]))
