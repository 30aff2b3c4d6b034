"""One resource as its reader sees it: properties, what they refer to, and what could not be read.

A property is either a *document* (unknown is refused at once) or a *reference* to another resource (a role's name, a
policy's ARN, a mount's path). At preview a reference to a resource that does not exist yet is unknown; then the whole
stack's judgement, which knows what depends on what, resolves it. This module must not know any resource type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from narrowgate.rules.facts import Unknown as UnknownFact
from narrowgate_policies.properties import UNKNOWN, document_text, holds_unknown

Resolve = Callable[[str], tuple[str, ...]]
"""From a property's name to what the resources that it depends on are called; empty where that can't be told."""


def resolve_nothing(_: str) -> tuple[str, ...]:
    """Resolve no reference."""
    return ()


JUDGED: Final = frozenset(
    {
        "boundClaims",
        "boundSubject",
        "creationStatements",
        "iamGroups",
        "policies",
        "policyArns",
        "policyDocument",
        "roleArns",
        "tokenPolicies",
        "username",
    }
)
"""Settings whose absence would let something through: unknown, they are refused."""

COMPOSED: Final = frozenset({"template"})
"""Settings that hold what another resource is called somewhere in their text, so that its name alone is not theirs."""


@dataclass(slots=True)
class Resource:
    """A registered resource; `outputs` is what it came out as, as far as that is known.

    `later` says that a reference which is unknown now is judged with the whole stack. `deferred` says that something
    can only be told then.
    """

    type: str
    urn: str
    properties: Mapping[str, Any]
    resolve: Resolve = resolve_nothing
    later: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict)
    unknowns: list[UnknownFact] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    deferred: bool = False

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Return a property as it is, `UNKNOWN` included; None counts as absent."""
        value = self.properties.get(name)
        return default if value is None else value

    def text(self, name: str, default: str = "") -> str:
        """Return a property that is a plain text; `default` where it is absent or unknown."""
        value = self.get(name)
        return default if value is None or value is UNKNOWN else str(value)

    def output(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return what the resource came out with; None as long as it does not exist."""
        value = self.outputs.get(name)
        self.deferred |= value is None
        return value

    def document(self, name: str, why: str) -> str | None:
        """Return a document as text, or None where there is none; an unknown one becomes a fact of its own."""
        return self.known_document(self.get(name), f"{name} of {self.type}", why)

    def known_document(self, value: Any, what: str, why: str) -> str | None:  # noqa: ANN401 - JSON
        """Return `value` as a document's text; `what` names it where it is unknown."""
        if value is None:
            return None
        if holds_unknown(value):
            self.unknowns.append(UnknownFact(at=self.urn, what=what, why=why))
            return None
        return document_text(value)

    def reference(self, name: str, why: str) -> str | None:
        """Return what another resource is called; None where that is absent, judged later, or unknown (then a fact)."""
        value = self.get(name)
        if value is None:
            return None
        if value is not UNKNOWN:
            return str(value)
        found = self.resolve(name)
        if len(found) == 1:
            return found[0]
        self._miss(name, why)
        return None

    def references(self, name: str, why: str) -> list[str]:
        """Return a list of such names: the known ones, and the unknown ones as far as they can be resolved."""
        value = self.get(name, [])
        if value is UNKNOWN:
            value = [UNKNOWN]
        known = [str(item) for item in value if item is not UNKNOWN]
        missing = len(value) - len(known)
        if not missing:
            return known
        found = [item for item in self.resolve(name) if item not in known]
        if len(found) < missing:
            self._miss(name, why)
        return known + found

    def settings(self, names: Callable[[str], str], *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return all known properties but `without`, renamed by `names`; an unknown one of `JUDGED` is a fact or waits.

        Other unknown ones are left out, and noted in `left_out`: a rule that misses a setting refuses.
        """
        known: dict[str, Any] = {}
        for name, value in self.properties.items():
            if name in without or value is None or name.startswith("__"):
                continue
            if holds_unknown(value):
                found = () if name in COMPOSED else self.resolve(name)
                if found:
                    known[names(name)] = list(found) if isinstance(value, list) else found[0]
                    continue
                self.left_out.add(names(name))
                if name in JUDGED:
                    self._miss(name, "a setting that says who may do what")
                continue
            known[names(name)] = value
        return known

    def _miss(self, name: str, why: str) -> None:
        if self.later:
            self.deferred = True
        else:
            self.unknowns.append(UnknownFact(at=self.urn, what=f"{name} of {self.type}", why=why))
