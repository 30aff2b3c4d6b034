"""The pack: one mandatory policy for each rule, judged as resources are registered and once more over the whole stack.

As resources are registered, so that also an `up` without a preview refuses the second user of an identity before it is
made; over the whole stack, because only then the engine tells what an unknown value depends on. The engine asks each
policy in turn about each resource, and unpacking its properties is most of the cost, so the first policy judges by all
rules at once and the others are asked only when they have something to say.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from narrowgate.rules import RULES, Finding, RunningJudgement, Settings, judge
from narrowgate_policies.configuration import read_settings
from narrowgate_policies.properties import holds_unknown, plain
from narrowgate_policies.resource import Resource
from narrowgate_policies.translate import called, facts_of
from narrowgate_policies.wording import violation_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from narrowgate.rules.rule import Rule

NAME: Final = "narrowgate"
WHOLE_STACK: Final = "whole-stack"


class Bench:
    """Judges by all rules at once and keeps, for the call under way, what each rule has to say."""

    def __init__(self, stacks: Path) -> None:
        self._stacks = stacks
        self._inputs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._judgement: RunningJudgement | None = None
        self._settings: Settings | None = None
        self._call = threading.local()
        self._said: set[tuple[str, str]] = set()

    def hear(self, args: ResourceValidationArgs) -> None:
        """Judge one resource; what is wrong waits for the policies of the rules (`collect`)."""
        inputs = plain(args.props)
        resource = Resource(type=args.resource_type, urn=args.urn, properties=inputs, later=pulumi.runtime.is_dry_run())
        with self._lock:
            self._inputs[args.urn] = inputs
            if self._judgement is None:
                self._judgement = RunningJudgement(self._read_settings())
            findings = self._judgement.add(args.urn, facts_of(resource))
            self._said |= {(finding.rule, finding.message) for finding in findings}
        waiting: dict[str, list[Finding]] = {}
        for finding in findings:
            waiting.setdefault(finding.rule, []).append(finding)
        self._call.waiting = waiting

    def waits(self, rule: str) -> bool:
        """Tell whether `rule` has something to say about the resource heard last in this call."""
        return rule in getattr(self._call, "waiting", {})

    def collect(self, rule: str) -> list[Finding]:
        """Return, once, what `rule` has to say."""
        found: list[Finding] = getattr(self._call, "waiting", {}).pop(rule, [])
        return found

    def hear_stack(self, args: StackValidationArgs) -> list[Finding]:
        """Judge all resources together and return what was not said before."""
        facts = []
        by_urn = {each.urn: each for each in args.resources}
        unpacked: dict[str, dict[str, Any]] = {}

        def unpack(urn: str) -> dict[str, Any]:
            if urn not in unpacked:
                unpacked[urn] = plain(by_urn[urn].props)
            return unpacked[urn]

        for each in args.resources:

            def resolve(name: str, depends: Mapping[str, Any] = each.property_dependencies) -> tuple[str, ...]:
                targets = [found.urn for found in depends.get(name, ()) if found.urn in by_urn]
                return tuple(called(by_urn[urn].resource_type, urn, unpack(urn), name) for urn in targets)

            outputs = unpack(each.urn)
            properties = self._as_given(each.urn, outputs)
            resource = Resource(
                type=each.resource_type, urn=each.urn, properties=properties, resolve=resolve, outputs=outputs
            )
            facts += facts_of(resource)
        with self._lock:
            found = judge(facts, self._read_settings())
            return [finding for finding in found if (finding.rule, finding.message) not in self._said]

    def _as_given(self, urn: str, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return what the resource was given, as far as it is known, else what it came out as.

        Over the whole stack a resource shows its outputs: more than it was given, and as its provider spells them.
        """
        given = self._inputs.get(urn)
        if given is None:
            return outputs
        return {name: outputs.get(name) if holds_unknown(value) else value for name, value in given.items()}

    def _read_settings(self) -> Settings:
        if self._settings is None:
            self._settings = read_settings(self._stacks)
        return self._settings


class RulePolicy(ResourceValidationPolicy):
    """One rule as the engine sees it. The `first` of them judges for all."""

    def __init__(self, rule: Rule, bench: Bench, *, first: bool) -> None:
        super().__init__(rule.name, rule.title, self._report, EnforcementLevel.MANDATORY)
        self._bench = bench
        self._first = first

    def has_validation(self) -> bool:
        """Tell the SDK whether it must unpack the resource for this policy."""
        return self._first or self._bench.waits(self.name)

    def _report(self, args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        if self._first:
            try:
                self._bench.hear(args)
            except Exception:  # noqa: BLE001 - a bug here must refuse the resource, never let it through
                report_violation(f"the pack failed and so refuses {args.urn}:\n{traceback.format_exc()}", args.urn)
        for finding in self._bench.collect(self.name):
            report_violation(violation_text(finding), args.urn)


def stack_policy(bench: Bench) -> StackValidationPolicy:
    """Return the policy that judges the whole stack; its violations name their rule."""

    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        try:
            findings = bench.hear_stack(args)
        except Exception:  # noqa: BLE001 - as above
            report_violation(f"the pack failed and so refuses the stack:\n{traceback.format_exc()}", None)
            return
        for finding in findings:
            report_violation(violation_text(finding, name_rule=True), finding.resource)

    return StackValidationPolicy(
        WHOLE_STACK, "All rules hold over the whole stack.", validate, EnforcementLevel.MANDATORY
    )


def policies(stacks: Path) -> list[Any]:
    """Return the pack's policies: one for each rule, and the one over the whole stack."""
    bench = Bench(stacks)
    return [RulePolicy(rule, bench, first=index == 0) for index, rule in enumerate(RULES)] + [stack_policy(bench)]


def serve(stacks: Path) -> None:
    """Serve the pack to the engine until it ends; `stacks` is the folder of the environments' access locks."""
    PolicyPack(NAME, policies(stacks), EnforcementLevel.MANDATORY)
