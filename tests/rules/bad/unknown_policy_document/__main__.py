"""A role whose policy is not known at preview: it holds another resource's output."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
other = aws.iam.Role(
    "demo-other", assume_role_policy=json.dumps(baseline.TRUST), permissions_boundary=baseline.BOUNDARY
)
role = baseline.make_role("demo-unknown")
aws.iam.RolePolicy(
    "demo-document",
    role=role.name,
    policy=other.arn.apply(lambda arn: json.dumps(baseline.allow("sts:AssumeRole", arn))),
)
