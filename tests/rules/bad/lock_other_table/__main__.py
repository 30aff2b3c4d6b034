"""A group role of ours that is granted another table."""

from __future__ import annotations

import sys
from pathlib import Path

from narrowgate_pulumi import PostgresAccess

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
PostgresAccess(
    "demo-group",
    {
        "group": "ng_dev_summaries_tickets_67caac32",
        "broker": "vault_broker",
        "host": "postgres.dev.example.com",
        "port": 5432,
        "database": "operations",
        "sslmode": "verify-full",
        "tables": [
            {"schema": "public", "table": "salaries", "privilege": "SELECT", "columns": ["amount"], "rows": [{}]}
        ],
        "functions": [],
    },
)
