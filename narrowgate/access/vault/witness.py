"""What the proofs about policies share: the request they find, the settings they keep, and the rule that decides.

Must not search.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.acl import SLASH_FALLBACK, AccessList, MergedRule, make_pattern, merge
from narrowgate.access.vault.classes import PathClass, TooManyClassesError
from narrowgate.access.vault.decision import Decision, decide
from narrowgate.access.vault.policy import ALL_CAPABILITIES, Permissions, Policy, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from narrowgate.access.vault.inclusion import Ask


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
class Setting:
    """What stays the same through one search; `later` tells that `now` is not the present."""

    control_groups: bool
    server: Server
    now: datetime
    later: bool
    bound: int

    @property
    def moment(self) -> datetime | None:
        """Return the time of a decision to report, None for the present."""
        return self.now if self.later else None


def moments(policies: Iterable[Policy], now: datetime | None) -> list[tuple[datetime, bool]]:
    """Return the present and, for each rule that expires later, the time just after; true marks the later ones."""
    present = now or datetime.now(UTC)
    ends = {rule.expiration for policy in policies for rule in policy.rules if rule.expiration is not None}
    return [(present, False), *((end + timedelta(microseconds=1), True) for end in sorted(ends) if end >= present)]


def explain(error: Exception, bound: int) -> str:
    """Return why a search was given up."""
    if isinstance(error, TooManyClassesError):
        return f"the policies tell more than {bound} kinds of paths apart"
    return str(error)


def merge_side(policies: list[Policy], identity: Mapping[str, str], setting: Setting) -> AccessList:
    """Return the access list of one side, for one identity and time."""
    return merge(policies, identity, now=setting.now, server=setting.server)


_EVERYTHING = MergedRule(make_pattern("*"), Permissions(capabilities=ALL_CAPABILITIES), ())


def rules_of(acl: AccessList) -> list[MergedRule]:
    """Return the merged rules, and for the root policy one rule that permits everything."""
    return [_EVERYTHING] if acl.is_root else acl.rules()


def _winner(rules: list[MergedRule], ids: Iterable[int]) -> MergedRule | None:
    found = [rules[index] for index in ids]
    exact = next((rule for rule in found if rule.pattern.is_exact), None)
    return exact or max(found, key=lambda rule: rule.pattern.priority, default=None)


def deciding_permissions(
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


def ask_again(acl: AccessList, path: str, capability: str, ask: Ask, setting: Setting) -> Decision:
    """Judge a found request by the very function that judges requests."""
    return decide(
        acl,
        path,
        capability,
        ask.parameters,
        wrap_ttl=None if ask.wrap_ns is None else f"{ask.wrap_ns}ns",
        control_groups=setting.control_groups,
        sudo_required=False,  # whether a path needs sudo depends on the server; sudo itself is compared by name
    )
