"""`trail-alarms`: what must not happen unnoticed raises an alarm that tells somebody.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 4.1 to 4.15; ours are an agent's session that was refused
something, and a role that somebody else than its broker asked for. A filter is judged by what it matches (samples of
CloudTrail's records), not by how it is spelled; one that can't be read matches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.compile.trail_alarms import Control, benchmark_controls, environment_controls
from narrowgate.rules.estate import AuditLog
from narrowgate.rules.filter_patterns import FilterPatternError, matches
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-alarms"


def judge(subject: AuditLog, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each control of which some sample raises no alarm over a trail's log group."""
    controls = benchmark_controls() if settings.bindings is None else environment_controls(settings.bindings)
    for trail in subject.trails:
        found = report(NAME, trail)
        if not trail.log_group:
            yield found(
                f"the trail {trail.name!r} is not sent to CloudWatch Logs, so nothing can raise an alarm",
                detail="Somebody calls cloudtrail:StopLogging, and nobody is told.",
                fix="Set cloudWatchLogsGroupArn and cloudWatchLogsRoleArn.",
            )
            continue
        heard = {alarm.metric for alarm in subject.alarms if alarm.tells}
        patterns = [
            each.pattern for each in subject.filters if each.log_group == trail.log_group and each.metric in heard
        ]
        for control in controls:
            missed = _find_missed(control, patterns)
            if missed:
                number = f" (CIS {control.number})" if control.number else ""
                yield found(
                    f"no alarm tells of this, seen by the trail {trail.name!r}: {control.title}{number}",
                    detail=f"This passes unnoticed: {missed}.",
                    fix=f"Add a metric filter with the pattern {control.pattern} and an alarm to a topic.",
                )


def _find_missed(control: Control, patterns: list[str]) -> str:
    """Return which of the control's samples no pattern matches, in words; empty where all are."""
    for sample in control.samples:
        if not any(_is_heard(pattern, sample) for pattern in patterns):
            source = sample.get("eventSource", "")
            return f"{sample.get('eventName', 'an event')} of {source}" if source else str(sample["eventName"])
    return ""


def _is_heard(pattern: str, sample: dict[str, object]) -> bool:
    try:
        return matches(pattern, sample)
    except FilterPatternError:
        return False


RULE = Rule(NAME, "What must not happen unnoticed raises an alarm.", (AuditLog,), judge)
