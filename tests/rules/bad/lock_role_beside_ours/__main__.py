"""A hand-written role under our path, that the broker may assume: the lock does not have it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
baseline.make_role("demo-extra")
