"""`trail-bucket-private`: a trail's bucket can't be opened to the public, whatever policy or ACL it gets.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 2.1.4, for the bucket of CloudTrail. A bucket that does
not stand in the stack can't be judged, so it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.estate import AuditLog
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-bucket-private"


def judge(subject: AuditLog, _settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each trail whose bucket has no whole public access block, of its own or the account's."""
    for trail in subject.trails:
        blocks = [block for block in subject.privacy if block.bucket in {"", trail.bucket}]
        if any(not block.missing for block in blocks):
            continue
        missing = blocks[0].missing if blocks else ()
        yield report(NAME, trail)(
            f"the bucket {trail.bucket} of the trail {trail.name!r} "
            + (f"does not set {', '.join(missing)}" if missing else "has no public access block"),
            detail="One s3:PutBucketPolicy with Principal * shows everyone who does what in the account.",
            fix="Give the bucket a BucketPublicAccessBlock with all four blocks set, in the same stack.",
        )


RULE = Rule(NAME, "A trail's bucket can't be made public.", (AuditLog,), judge)
