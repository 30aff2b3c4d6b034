"""A role that becomes admin by a policy of the same stack, attached by references that are unknown at preview."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
role = baseline.make_role("demo-attached")
policy = aws.iam.Policy("demo-policy", policy=json.dumps(baseline.allow(["s3:GetObject", "iam:AttachRolePolicy"])))
aws.iam.RolePolicyAttachment("demo-attachment", role=role.name, policy_arn=policy.arn)
