"""A second policy on a tool's role of ours, written by hand: it reads another team's documents."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
role = baseline.ROLES["summaries-documents"]
aws.iam.RolePolicy(
    "demo-wider",
    name="wider",
    role=role,
    policy=json.dumps(baseline.allow("s3:GetObject", "arn:aws:s3:::acme-dev-documents/payroll/*")),
)
