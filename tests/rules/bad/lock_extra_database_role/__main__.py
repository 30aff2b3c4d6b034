"""A database role in our mount, whose logins stand in a group role that the lock does not know."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_vault as vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
vault.database.SecretBackendRole(
    "demo-database",
    backend="narrowgate-database",
    name="summaries.payroll",
    db_name="operations",
    creation_statements=['CREATE ROLE "{{name}}" LOGIN PASSWORD \'{{password}}\' IN ROLE "payroll";'],
    default_ttl=900,
    max_ttl=3600,
)
