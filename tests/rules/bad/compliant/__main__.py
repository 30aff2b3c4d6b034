"""Two workflows that keep every rule: preview passes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import baseline

baseline.deploy()
