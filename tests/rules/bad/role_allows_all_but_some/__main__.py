"""A role whose policy says only what it does not allow."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "NotAction": ["aws-portal:*", "budgets:*"], "Resource": "*"}],
}
baseline.deploy()
baseline.make_role("demo-notaction", document)
