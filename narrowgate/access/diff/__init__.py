"""What a change of access means: which workflow gains and loses what, proven over IAM, Vault and PostgreSQL."""

from narrowgate.access.diff.changes import Change, Kind, PlanComparison
from narrowgate.access.diff.compare import compare_plans

__all__ = ["Change", "Kind", "PlanComparison", "compare_plans"]
