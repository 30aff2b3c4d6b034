"""Proofs about policies: that new ones grant nothing that old ones do not, and whether anything is in reach.

Three-valued: True and False are exact, each False with a request that `evaluate` has judged again; None says that
the question was given up, and why, and must be taken for the worse answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.acl import (
    SLASH_FALLBACK,
    AccessList,
    MergedRule,
    Pattern,
    in_token_order,
    make_pattern,
    merge,
)
from narrowgate.access.vault.classes import DEFAULT_BOUND, PathClass, TooManyClassesError, path_classes
from narrowgate.access.vault.decision import Decision, Policies, Reason, decide, listed
from narrowgate.access.vault.errors import VaultPolicyError, VaultRequestError
from narrowgate.access.vault.identities import TooManyIdentitiesError, identities
from narrowgate.access.vault.inclusion import Ask, UndecidedError, check_hidden, find_ask, find_excess, is_gated
from narrowgate.access.vault.policy import ALL_CAPABILITIES, Permissions, Policy, Server
from narrowgate.access.vault.templates import normalize_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Witness:
    """A concrete request, with the identity that makes it and the decisions of both sides (`old` None for one side).

    `wrap_ttl_ns` is in nanoseconds, None for no wrapping; `at` is set when the request is allowed only from then on.
    """

    path: str
    capability: str
    parameters: dict[str, Any]
    wrap_ttl_ns: int | None
    identity: dict[str, str]
    new: Decision
    old: Decision | None = None
    at: datetime | None = None

    @property
    def gated(self) -> bool:
        """Tell whether the request still waits for an approval."""
        return self.new.gated

    def __str__(self) -> str:
        """Return the request in words."""
        more = [f"with parameters {self.parameters}"] if self.parameters else []
        if self.wrap_ttl_ns is not None:
            more.append(f"wrapped for {self.wrap_ttl_ns / 1e9:g} s")
        more += [f"as {name} = {value!r}" for name, value in self.identity.items()]
        if self.gated:
            more.append("after approval")
        if self.at is not None:
            more.append(f"from {self.at.isoformat()}")
        return " ".join([self.capability, f'"{self.path}"', *more])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether `new` grants no request that `old` does not. `no_new_access` None: not decided, see `reason`."""

    no_new_access: bool | None
    reason: str
    witness: Witness | None = None
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """Whether some request in a range is allowed. `gated` is one that an approval would allow, if there is any."""

    found: bool | None
    reason: str
    witness: Witness | None = None
    gated: Witness | None = None


@dataclass(frozen=True, slots=True)
class _Setting:
    control_groups: bool
    server: Server
    now: datetime
    later: bool
    bound: int

    @property
    def moment(self) -> datetime | None:
        """Return the time of a decision to report, None for the present."""
        return self.now if self.later else None


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
    settings = [_Setting(control_groups, server, at, later, bound) for at, later in _moments(both, now)]
    seen = 0
    doubt = ""
    try:
        for identity, setting in product(identities(both), settings):
            sides = _merge(old_policies, identity, setting), _merge(new_policies, identity, setting)
            finder = _Finder(*sides, setting, identity)
            witness = finder.run()
            seen += finder.seen
            if witness is not None:
                return Comparison(False, f"new: {witness}", witness, seen)  # noqa: FBT003 - the answer
            doubt = doubt or finder.doubt
    except (TooManyIdentitiesError, TooManyClassesError, VaultPolicyError) as error:
        return Comparison(None, _explain(error, bound), classes=seen)
    if doubt:
        return Comparison(None, doubt, classes=seen)
    return Comparison(True, "every request that the new policies allow is allowed by the old ones", classes=seen)  # noqa: FBT003 - the answer


def find_request(  # noqa: PLR0913 - three sides and named settings
    policies: Policies,
    path_pattern: str,
    capabilities: str | Iterable[str],
    *,
    identity: Mapping[str, str] | None = None,
    server: Server = Server.ANY,
    control_groups: bool = True,
    now: datetime | None = None,
    bound: int = DEFAULT_BOUND,
) -> Search:
    """Search for a path that `path_pattern` covers and a capability of those given that the policies allow.

    The pattern is written as in a policy (`+`, `*` at the end). Without `identity` every identity is tried. List and
    scan also count for a path that the pattern covers but for a last slash. Raises VaultRequestError for an unknown
    capability.
    """
    wanted = frozenset({capabilities} if isinstance(capabilities, str) else capabilities)
    unknown = sorted(wanted - ALL_CAPABILITIES)
    if unknown:
        raise VaultRequestError(
            f"unknown capability {unknown[0]!r}", hint=f"Known are {', '.join(sorted(ALL_CAPABILITIES))}."
        )
    ordered = in_token_order(listed(policies))
    settings = [_Setting(control_groups, server, at, later, bound) for at, later in _moments(ordered, now)]
    asked = make_pattern(path_pattern)
    gated: Witness | None = None
    try:
        tried = identities(ordered) if identity is None else [normalize_identity(identity)]
        for each, setting in product(tried, settings):
            acl = _merge(ordered, each, setting)
            for witness in _reachable(acl, asked, wanted, each, setting):
                if not witness.gated:
                    return Search(True, str(witness), witness, gated)  # noqa: FBT003 - the answer
                gated = gated or witness
    except (TooManyIdentitiesError, TooManyClassesError, UndecidedError, VaultPolicyError) as error:
        return Search(None, _explain(error, bound), gated=gated)
    return Search(False, "no request in that range is allowed", gated=gated)  # noqa: FBT003 - the answer


def effective(
    policies: Policies,
    *,
    identity: Mapping[str, str] | None = None,
    server: Server = Server.ANY,
    now: datetime | None = None,
) -> list[MergedRule]:
    """Return what the policies say together, one merged rule for each path, in the order in which they are tried.

    Without `identity` the paths keep their templates, so that a reader sees what depends on who asks.
    """
    ordered = in_token_order(listed(policies))
    return merge(ordered, None if identity is None else normalize_identity(identity), now=now, server=server).rules()


def _moments(policies: Iterable[Policy], now: datetime | None) -> list[tuple[datetime, bool]]:
    """Return the present and, for each rule that expires later, the time just after; true marks the later ones."""
    present = now or datetime.now(UTC)
    ends = {rule.expiration for policy in policies for rule in policy.rules if rule.expiration is not None}
    return [(present, False), *((end + timedelta(microseconds=1), True) for end in sorted(ends) if end >= present)]


def _explain(error: Exception, bound: int) -> str:
    if isinstance(error, TooManyClassesError):
        return f"the policies tell more than {bound} kinds of paths apart"
    return str(error)


def _merge(policies: list[Policy], identity: Mapping[str, str], setting: _Setting) -> AccessList:
    return merge(policies, identity, now=setting.now, server=setting.server)


_EVERYTHING = MergedRule(make_pattern("*"), Permissions(capabilities=ALL_CAPABILITIES), ())


def _rules_of(acl: AccessList) -> list[MergedRule]:
    return [_EVERYTHING] if acl.is_root else acl.rules()


def _winner(rules: list[MergedRule], ids: Iterable[int]) -> MergedRule | None:
    found = [rules[index] for index in ids]
    exact = next((rule for rule in found if rule.pattern.is_exact), None)
    return exact or max(found, key=lambda rule: rule.pattern.priority, default=None)


def _decider(
    rules: list[MergedRule], place: PathClass, own: frozenset[int], capability: str, server: Server
) -> Permissions | None:
    """Return the permissions that decide for a class of paths, as `AccessList.find` does for one path."""
    full = _winner(rules, place.matched & own)
    if capability not in SLASH_FALLBACK or place.without_slash is None or (full and full.pattern.is_exact):
        return full.permissions if full else None
    short = _winner(rules, place.without_slash & own)
    if short and short.pattern.is_exact:
        return short.permissions
    first, second = (short, full) if server is Server.VAULT else (full, short)
    chosen = first or second
    return chosen.permissions if chosen else None


class _Finder:
    """One comparison for one identity: the search for a request that the new side allows and the old one does not."""

    def __init__(self, old: AccessList, new: AccessList, setting: _Setting, identity: Mapping[str, str]) -> None:
        self.doubt = ""
        self.seen = 0
        self._sides = (old, new)
        self._setting = setting
        self._identity = dict(identity)
        old_rules = _rules_of(old)
        self._rules = [*old_rules, *_rules_of(new)]
        self._old = frozenset(range(len(old_rules)))
        self._new = frozenset(range(len(old_rules), len(self._rules)))
        self._known: dict[tuple[int, int, str], Ask | None] = {}

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
        ids = place.matched | (place.without_slash or frozenset())
        granted = {name for index in ids & self._new for name in self._rules[index].permissions.capabilities}
        return sorted(granted)

    def _look(self, place: PathClass, capability: str) -> Witness | None:
        server = self._setting.server
        new = _decider(self._rules, place, self._new, capability, server)
        if new is None or new.denied or capability not in new.capabilities:
            return None
        old = _decider(self._rules, place, self._old, capability, server)
        key = (id(old), id(new), capability)
        if key not in self._known:
            self._known[key] = self._excess(old, new, capability)
        ask = self._known[key]
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
        return _ask(acl, path, capability, ask, self._setting)


def _ask(acl: AccessList, path: str, capability: str, ask: Ask, setting: _Setting) -> Decision:
    return decide(
        acl,
        path,
        capability,
        ask.parameters,
        wrap_ttl=None if ask.wrap_ns is None else f"{ask.wrap_ns}ns",
        control_groups=setting.control_groups,
        sudo_required=False,  # whether a path needs sudo depends on the server; sudo itself is compared by name
    )


def _reachable(
    acl: AccessList, asked: Pattern, wanted: frozenset[str], identity: Mapping[str, str], setting: _Setting
) -> Iterator[Witness]:
    rules = _rules_of(acl)
    own = frozenset(range(len(rules)))
    mark = len(rules)
    for place in path_classes([*(rule.pattern for rule in rules), asked], setting.bound):
        for capability in sorted(wanted):
            covered = mark in place.matched
            if capability in SLASH_FALLBACK and place.without_slash is not None:
                covered = covered or mark in place.without_slash
            if not covered:
                continue
            ask = find_ask(_decider(rules, place, own, capability, setting.server), capability)
            if ask is not None:
                decision = _ask(acl, place.path, capability, ask, setting)
                if decision.allowed or decision.reason is Reason.GATED:
                    yield Witness(
                        place.path, capability, ask.parameters, ask.wrap_ns, dict(identity), decision, at=setting.moment
                    )
