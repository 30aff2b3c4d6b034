"""`document-known`: all that a rule must read is known when it judges.

Source: the engine's own behaviour: at preview a value that depends on another resource's output is unknown, and a
policy that reads it is skipped with an advisory. What can't be read may allow anything, so it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import Unknown
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "document-known"


def judge(subject: Unknown, _: Settings) -> Iterator[Finding]:
    """Yield a finding: what is unknown can't be judged."""
    yield report(NAME, subject)(
        f"{subject.what} is not known, so no rule can judge it",
        detail=f"It could hold anything: {subject.why}.",
        fix="Write it from names known before deploy (give resources explicit names) instead of another one's outputs.",
    )


RULE = Rule(NAME, "Documents are known when they are judged.", (Unknown,), judge)
