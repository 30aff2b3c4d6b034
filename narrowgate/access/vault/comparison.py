"""The proof that new policies grant nothing that old ones do not.

Three-valued: True and False are exact, False with a request that `evaluate` has judged again; None says that the
question was given up, and why, and must be taken for new access.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from narrowgate.access.vault.acl import SLASH_FALLBACK, AccessList, in_token_order
from narrowgate.access.vault.classes import DEFAULT_BOUND, PathClass, TooManyClassesError, path_classes
from narrowgate.access.vault.decision import Decision, Policies, listed
from narrowgate.access.vault.errors import VaultPolicyError
from narrowgate.access.vault.identities import TooManyIdentitiesError, identities
from narrowgate.access.vault.inclusion import Ask, UndecidedError, check_hidden, find_ask, find_excess, is_gated
from narrowgate.access.vault.policy import Permissions, Server
from narrowgate.access.vault.witness import (
    Setting,
    Witness,
    ask_again,
    deciding_permissions,
    explain,
    merge_side,
    moments,
    rules_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether `new` grants no request that `old` does not. `no_new_access` None: not decided, see `reason`."""

    no_new_access: bool | None
    reason: str
    witness: Witness | None = None
    classes: int = 0


def compare(  # noqa: PLR0913 - two sides and named settings
    old: Policies,
    new: Policies,
    *,
    server: Server = Server.ANY,
    control_groups: bool = True,
    now: datetime | None = None,
    bound: int = DEFAULT_BOUND,
) -> Comparison:
    """Prove that a token with `new` can do nothing that one with `old` cannot, or return a request that shows it.

    A request that is held for approval counts as access of its own: held before and free now is new access, and so
    is held now and refused before. Rules that expire are compared for the present and for every later time.
    Identities are any values without `/`, `*` and `+`. `control_groups=False` compares for a server that ignores
    control groups. Raises VaultPolicyError for policies that do not parse.
    """
    old_policies, new_policies = in_token_order(listed(old)), in_token_order(listed(new))
    both = [*old_policies, *new_policies]
    settings = [Setting(control_groups, server, at, later, bound) for at, later in moments(both, now)]
    seen = 0
    doubt = ""
    try:
        known: Known = {}
        for identity, setting in product(identities(both), settings):
            sides = merge_side(old_policies, identity, setting), merge_side(new_policies, identity, setting)
            finder = _Finder(*sides, setting, identity, known)
            witness = finder.run()
            seen += finder.seen
            if witness is not None:
                return Comparison(False, f"new: {witness}", witness, seen)  # noqa: FBT003 - the answer
            doubt = doubt or finder.doubt
    except (TooManyIdentitiesError, TooManyClassesError, VaultPolicyError) as error:
        return Comparison(None, explain(error, bound), classes=seen)
    if doubt:
        return Comparison(None, doubt, classes=seen)
    return Comparison(True, "every request that the new policies allow is allowed by the old ones", classes=seen)  # noqa: FBT003 - the answer


# What is known of two permissions and a capability. Holds the permissions, so that their ids stay theirs.
Known: TypeAlias = dict[tuple[int, int, str], tuple[Ask | None, Permissions | None, Permissions]]


class _Finder:
    """One comparison for one identity: the search for a request that the new side allows and the old one does not."""

    def __init__(
        self, old: AccessList, new: AccessList, setting: Setting, identity: Mapping[str, str], known: Known
    ) -> None:
        self.doubt = ""
        self.seen = 0
        self._sides = (old, new)
        self._setting = setting
        self._identity = dict(identity)
        old_rules = rules_of(old)
        self._rules = [*old_rules, *rules_of(new)]
        self._old = frozenset(range(len(old_rules)))
        self._new = frozenset(range(len(old_rules), len(self._rules)))
        self._known = known

    def run(self) -> Witness | None:
        """Return a request that only the new side allows, or None; what could not be decided is in `doubt`."""
        patterns = [rule.pattern for rule in self._rules]
        for place in path_classes(patterns, self._setting.bound):
            self.seen += 1
            for capability in self._asked(place):
                witness = self._look(place, capability)
                if witness is not None:
                    return witness
        return None

    def _asked(self, place: PathClass) -> list[str]:
        """Return the capabilities worth asking for; a list or scan request always ends in a slash."""
        ids = place.matched | (place.without_slash or frozenset())
        granted = {name for index in ids & self._new for name in self._rules[index].permissions.capabilities}
        return sorted(granted if place.without_slash is not None else granted - SLASH_FALLBACK)

    def _look(self, place: PathClass, capability: str) -> Witness | None:
        server = self._setting.server
        new = deciding_permissions(self._rules, place, self._new, capability, server)
        if new is None or new.denied or capability not in new.capabilities:
            return None
        old = deciding_permissions(self._rules, place, self._old, capability, server)
        key = (id(old), id(new), capability)
        if key not in self._known:
            self._known[key] = (self._excess(old, new, capability), old, new)
        ask = self._known[key][0]
        return self._confirm(place.path, capability, ask) if ask is not None else None

    def _excess(self, old: Permissions | None, new: Permissions, capability: str) -> Ask | None:
        control_groups = self._setting.control_groups
        try:
            was_gated = old is not None and is_gated(old, capability, control_groups=control_groups)
            if was_gated and not is_gated(new, capability, control_groups=control_groups):
                return find_ask(new, capability)  # whatever was held for approval is free now
            ask = find_excess(old, new, capability)
            if ask is None and old is not None and not old.denied and capability in old.capabilities:
                check_hidden(old, new, capability)
        except UndecidedError as error:
            self.doubt = self.doubt or str(error)
            return None
        return ask

    def _confirm(self, path: str, capability: str, ask: Ask) -> Witness | None:
        old, new = (self._decide(acl, path, capability, ask) for acl in self._sides)
        if (new.allowed and not old.allowed) or (new.gated and not old.gated and not old.allowed):
            return Witness(
                path, capability, ask.parameters, ask.wrap_ns, self._identity, new, old, self._setting.moment
            )
        self.doubt = f"a request that should show new access does not: {capability} {path!r}"
        return None

    def _decide(self, acl: AccessList, path: str, capability: str, ask: Ask) -> Decision:
        return ask_again(acl, path, capability, ask, self._setting)
