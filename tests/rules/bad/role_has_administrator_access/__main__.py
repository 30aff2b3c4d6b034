"""A role with a managed policy whose text is not at hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
role = baseline.make_role("demo-managed")
aws.iam.RolePolicyAttachment(
    "demo-attachment", role=role.name, policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"
)
