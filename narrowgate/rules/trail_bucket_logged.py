"""`trail-bucket-logged`: who reads or deletes a trail's files is logged itself, in another bucket.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.estate import AuditLog
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-bucket-logged"


def judge(subject: AuditLog, _settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each trail whose bucket has no access log, or only one in itself."""
    for trail in subject.trails:
        targets = {log.target for log in subject.logs if log.bucket == trail.bucket}
        if targets - {trail.bucket, ""}:
            continue
        where = "logs access to itself in itself" if targets else "has no access log"
        yield report(NAME, trail)(
            f"the bucket {trail.bucket} of the trail {trail.name!r} {where}",
            detail="Who may s3:DeleteObject in it takes away the record, and nothing tells who that was.",
            fix="Add a BucketLogging whose targetBucket is another bucket, in the same stack.",
        )


RULE = Rule(NAME, "Who touches a trail's bucket is logged elsewhere.", (AuditLog,), judge)
