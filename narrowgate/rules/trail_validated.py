"""`trail-validated`: a trail signs its log files, so that a changed or deleted one is found.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.facts import Trail
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-validated"


def judge(trail: Trail, _settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a trail without digests."""
    if not trail.validated:
        yield report(NAME, trail)(
            f"the trail {trail.name!r} does not validate its log files",
            detail="Who gets to write to its bucket can s3:PutObject an hour's file without their own calls, unseen.",
            fix="Set enableLogFileValidation.",
        )


RULE = Rule(NAME, "A trail's log files are signed.", (Trail,), judge)
