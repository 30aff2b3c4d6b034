"""Runs rules over facts: all at once (`judge`), or as resources arrive (`RunningJudgement`).

Whatever a rule can't decide is a finding, and so is a rule that crashes: nothing gets through because of a bug here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.access.exceptions import is_excepted
from narrowgate.errors import NarrowgateError
from narrowgate.rules.estate import Estate, Subject
from narrowgate.rules.registry import RULES
from narrowgate.rules.rule import Rule, report
from narrowgate.rules.settings import Settings
from narrowgate.rules.system_identities import REPLACED_RULES, is_system_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from narrowgate.rules.facts import Fact
    from narrowgate.rules.finding import Finding


class RunningJudgement:
    """Judges resources one by one and remembers them, so that the second user of an identity is the one refused."""

    def __init__(self, settings: Settings | None = None, rules: Sequence[Rule] = RULES) -> None:
        self._estate = Estate()
        self._settings = settings or Settings()
        self._rules = rules

    def add(self, at: str, facts: Iterable[Fact]) -> list[Finding]:
        """Set what is known of the resource `at` and return what is wrong since then, each finding once."""
        return _unique(self._judge_subjects(self._estate.put(at, facts)))

    def finish(self, anew: Mapping[str, Iterable[Fact]]) -> list[Finding]:
        """Set what is `anew` known of resources, by place, now that all are; return what is wrong since then, sorted.

        What a stack lacks is judged here alone.
        """
        known = {at: tuple(facts) for at, facts in anew.items()}
        for at, facts in known.items():
            self._estate.put(at, facts)
        # Once all is known, so that each subject is judged with what another resource says anew.
        touched = [subject for at, facts in known.items() for subject in self._estate.put(at, facts)]
        return sorted(_unique(self._judge_subjects([*touched, *self._estate.whole()])))

    def _judge_subjects(self, subjects: Iterable[Subject]) -> Iterator[Finding]:
        for subject in subjects:
            yield from judge_subject(subject, self._settings, self._rules)


def judge(facts: Iterable[Fact], settings: Settings | None = None, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Return every finding of `rules` over `facts`, sorted, each once; an identity is judged with all its policies."""
    estate = Estate()
    by_place: dict[str, list[Fact]] = {}
    for fact in facts:
        by_place.setdefault(fact.at, []).append(fact)
    for at, known in by_place.items():
        estate.put(at, known)
    found = (
        finding for subject in estate.subjects() for finding in judge_subject(subject, settings or Settings(), rules)
    )
    return sorted(_unique(found))


def judge_subject(subject: Subject, settings: Settings, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Yield the findings of all `rules` about one subject; a crash of a rule is one.

    A system identity is judged by its own table in place of the rules that a tool's identity must keep, and has no
    exceptions. What can't be decided is excepted from nothing either.
    """
    is_system = is_system_identity(subject, settings)
    replaced = REPLACED_RULES if is_system else frozenset()
    exceptions = () if is_system else settings.exceptions
    for rule in rules:
        if rule.name in replaced or not isinstance(subject, rule.subjects):
            continue
        try:
            for finding in rule.judge(subject, settings):
                if not is_excepted(finding.rule, finding.resource, settings.environment, exceptions):
                    yield finding
        except NarrowgateError as error:
            yield report(rule.name, subject)(
                f"nobody can tell what it allows: {error}",
                detail="What can't be read may allow anything.",
                fix=error.hint or "Write it so that the server would accept it.",
            )
        except Exception as error:  # noqa: BLE001 - a rule's bug must refuse the resource, never let it through
            yield report(rule.name, subject)(
                f"the rule failed and so refuses: {type(error).__name__}: {error}",
                detail="What the rule could not judge may allow anything.",
                fix="Report this as a bug with the resource's inputs; until then spell the resource more simply.",
            )


def _unique(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))
