"""What a rule is: a name, the subjects that it judges, and a pure judgement over one of them.

A rule sees one subject at a time and no others, so it can be run as resources arrive. This module holds the type and
the wording that all rules share; it must not know any rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from narrowgate.rules.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from narrowgate.rules.settings import Settings


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `judge` yields a finding for each way in which a subject of one of `subjects` breaks it.

    `title` says in one line what must be so; the rule's page is `docs/rules/<name>.md`.
    """

    name: str
    title: str
    subjects: tuple[type[Any], ...]
    judge: Callable[[Any, Settings], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes findings of one rule about one subject."""

    rule: str
    at: str
    line: int = 1

    def __call__(self, message: str, *, detail: str, fix: str, severity: Severity = Severity.ERROR) -> Finding:
        """Return the finding."""
        return Finding(
            rule=self.rule,
            resource=self.at,
            message=message,
            detail=detail,
            fix=fix,
            severity=severity,
            line=self.line,
        )


def report(rule: str, subject: Any, *, line: int | None = None) -> Reporter:  # noqa: ANN401 - all subjects have at and line
    """Return a reporter for `rule` about `subject`, at `line` where that is known better than the subject's own."""
    return Reporter(rule, subject.at, subject.line if line is None else line)
