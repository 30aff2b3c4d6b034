"""`trail-data-events`: a trail logs reads and writes of the data that the environment's tools touch.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.8 and 3.9 (S3 data events, reads and writes); for tables
and functions, the permission model (every tool call is logged). What must be logged is what the environment's bindings
list (`trail: data_events`), and a plan that reaches other data is refused when it is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.compile.trail import S3_OBJECT, covers, kind_of
from narrowgate.rules.facts import Trail
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-data-events"


def judge(trail: Trail, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a trail without S3 data events, and for each bound entry that it does not log."""
    found = report(NAME, trail)
    bound = settings.bindings.trail if settings.bindings is not None else None
    if not any(kind_of(entry) == S3_OBJECT for entry in trail.data):
        yield found(
            f"the trail {trail.name!r} logs no reads and writes of S3 objects",
            detail="An agent's s3:GetObject on any document leaves no record.",
            fix="Select the data events of AWS::S3::Object, reads and writes, of the buckets that tools use.",
        )
    for entry in bound.data_events if bound is not None else ():
        if not any(covers(logged, entry) for logged in trail.data):
            yield found(
                f"the trail {trail.name!r} does not log {entry}, which the environment's bindings list",
                detail=f"What an agent reads and writes in {entry} leaves no record.",
                fix=f"Select the data events of {entry}, reads and writes.",
            )


RULE = Rule(NAME, "A trail logs reads and writes of the tools' data.", (Trail,), judge)
