"""A policy that is not known at preview, for a role that is as it should be: it holds another resource's output."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
other = aws.s3.Bucket("demo-other")
aws.iam.RolePolicy(
    "demo-document",
    role=baseline.ROLES["summaries-documents"],
    policy=other.arn.apply(lambda arn: json.dumps(baseline.allow("s3:GetObject", arn))),
)
