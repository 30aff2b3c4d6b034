"""The pack's judgement of the stack under way: as resources are registered, and once more over the whole stack.

As resources are registered, so that also an `up` without a preview refuses the second user of an identity before it is
made; over the whole stack, because only then the engine tells what an unknown value depends on, and what is missing.
Most of what the whole stack is was heard before: only what it says anew is judged again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pulumi

from narrowgate.rules import Finding, RunningJudgement
from narrowgate_policies.configuration import read_settings
from narrowgate_policies.properties import holds_unknown, unpack
from narrowgate_policies.resource import Resource
from narrowgate_policies.translate import called, facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from google.protobuf.struct_pb2 import Struct  # type: ignore[import-untyped]  # protobuf ships no types

    from narrowgate.rules.facts import Fact


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A resource as the engine hands it over; `depends` says which resources (URNs) each property comes from."""

    type: str
    urn: str
    packed: Struct
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def properties(self) -> dict[str, Any]:
        """Return its properties, unpacked once."""
        return unpack(self.packed)


class Pack:
    """Judges by all rules; `stacks` is the folder of the environments' access locks."""

    def __init__(self, stacks: Path) -> None:
        self._stacks = stacks
        self._lock = threading.Lock()
        self._judgement: RunningJudgement | None = None
        self._heard: dict[str, dict[str, Any] | None] = {}
        self._said: set[tuple[str, str]] = set()

    def hear(self, resource: Judged) -> list[Finding]:
        """Judge one resource before it is made and return what is wrong since then."""
        given = resource.properties
        known = Resource(
            type=resource.type, urn=resource.urn, properties=given, later=bool(pulumi.runtime.is_dry_run())
        )
        with self._lock:
            # Noted before it is judged: what crashes here must be judged again with the stack.
            self._heard[resource.urn] = given
            found = self._running().add(resource.urn, facts_of(known))
            if not known.deferred and not holds_unknown(given):
                self._heard[resource.urn] = None
            self._said |= {(finding.rule, finding.message) for finding in found}
        return found

    def hear_stack(self, resources: Sequence[Judged]) -> list[Finding]:
        """Judge all resources together and return what was not said before."""
        by_urn = {each.urn: each for each in resources}
        with self._lock:
            anew = {each.urn: self._facts_in_stack(each, by_urn) for each in resources if not self._is_settled(each)}
            found = self._running().finish(anew)
        return [finding for finding in found if (finding.rule, finding.message) not in self._said]

    def _is_settled(self, resource: Judged) -> bool:
        """Tell whether the whole stack can say nothing of the resource that was not known when it was heard."""
        return self._heard.get(resource.urn, resource) is None

    def _facts_in_stack(self, resource: Judged, by_urn: Mapping[str, Judged]) -> list[Fact]:
        """Return the facts of a resource as it was given, as far as that is known, else as it came out.

        Over the whole stack a resource shows its outputs: more than it was given, and as its provider spells them.
        """

        def resolve(name: str) -> tuple[str, ...]:
            targets = [by_urn[urn] for urn in resource.depends.get(name, ()) if urn in by_urn]
            return tuple(called(each.type, each.urn, each.properties, name) for each in targets)

        outputs = resource.properties
        given = self._heard.get(resource.urn)
        if given is None:
            properties = outputs
        else:
            properties = {name: outputs.get(name) if holds_unknown(value) else value for name, value in given.items()}
        return facts_of(
            Resource(type=resource.type, urn=resource.urn, properties=properties, resolve=resolve, outputs=outputs)
        )

    def _running(self) -> RunningJudgement:
        if self._judgement is None:
            self._judgement = RunningJudgement(read_settings(self._stacks))
        return self._judgement
