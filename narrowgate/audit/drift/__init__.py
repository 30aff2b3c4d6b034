"""Drift: what stands in AWS, Vault and PostgreSQL below an environment's paths, against its access lock.

`Expected.read` says what may stand, `read_standing` what does, `find_drift` how they differ: `facts`, `expected`,
`comparison`, `grants` and `row_conditions` are pure, the readers talk to the systems. This room must change nothing.
"""

from __future__ import annotations
