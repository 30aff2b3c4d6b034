"""`trail-all-regions`: a trail logs all regions, global services, and all management events, and is switched on.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.facts import Trail
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-all-regions"

# What must be so, what is said where it is not, what is then unseen, what mends it
_ASKED: Final = (
    ("logging", "is switched off", "any call at all", "Set enableLogging."),
    ("all_regions", "logs one region only", "ec2:RunInstances in another region", "Set isMultiRegionTrail."),
    ("global_events", "leaves out global services", "iam:CreateUser", "Set includeGlobalServiceEvents."),
    ("management", "leaves out management events", "iam:CreateAccessKey", "Select all management events, unfiltered."),
)


def judge(trail: Trail, _settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each part of what happens that the trail does not see."""
    for asked, what, call, fix in _ASKED:
        if not getattr(trail, asked):
            yield report(NAME, trail)(
                f"the trail {trail.name!r} {what}",
                detail=f"An attacker's {call} leaves no record.",
                fix=fix,
            )


RULE = Rule(NAME, "A trail logs every region, and all that happens there.", (Trail,), judge)
