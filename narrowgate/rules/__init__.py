"""Policy as code: pure judgements over facts; the pack, the program, `narrowgate check` and `lint` call them.

Rules ask `narrowgate.access` what a policy allows, not how it is spelled. This package must import neither pulumi,
hvac nor boto3.
"""

from narrowgate.rules.finding import Finding, Severity
from narrowgate.rules.judge import RunningJudgement, judge
from narrowgate.rules.registry import RULES
from narrowgate.rules.settings import Settings, settings_of

__all__ = ["RULES", "Finding", "RunningJudgement", "Settings", "Severity", "judge", "settings_of"]
