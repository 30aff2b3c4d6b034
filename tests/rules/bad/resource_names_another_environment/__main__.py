"""A resource that no reader knows, which names the Vault of prod in its text."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_aws as aws

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
aws.ssm.Parameter("demo-address", type="String", value='{"vault": "https://vault.prod.example.com:8200/v1"}')
