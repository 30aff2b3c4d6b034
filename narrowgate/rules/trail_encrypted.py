"""`trail-encrypted`: a trail's files are encrypted by a KMS key of their own, which is rotated.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.5 and 3.6. A key that does not stand in the stack can't
be judged, so it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.estate import AuditLog
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.facts import EncryptionKey
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-encrypted"


def judge(subject: AuditLog, _settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each trail without a key, and for each whose key is not rotated or not known."""
    for trail in subject.trails:
        found = report(NAME, trail)
        key = _find(trail.key, subject.keys)
        if not trail.key:
            yield found(
                f"the trail {trail.name!r} is encrypted by no KMS key",
                detail="Whoever may s3:GetObject in its bucket reads who did what, and when nobody is watching.",
                fix="Set kmsKeyId to a key whose policy lets only auditors decrypt.",
            )
        elif key is None:
            yield found(
                f"nobody can tell whether the key {trail.key} of the trail {trail.name!r} is rotated",
                detail="A key that was copied once reads every file that the trail ever writes.",
                fix="Make the key in the same stack, with enableKeyRotation.",
            )
        elif not key.rotated:
            yield found(
                f"the key of the trail {trail.name!r} is never rotated",
                detail="A key that was copied once reads every file that the trail ever writes.",
                fix="Set enableKeyRotation on the key.",
            )


def _find(name: str, keys: tuple[EncryptionKey, ...]) -> EncryptionKey | None:
    return next((key for key in keys if name in key.names), None)


RULE = Rule(NAME, "A trail is encrypted by a key that is rotated.", (AuditLog,), judge)
