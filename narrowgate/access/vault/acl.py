"""The merged access list of a token: how the server joins its policies, and which rule it finds for a path.

Source of the rules: observed on OpenBao 2.7 (and, where it differs, Vault 1.18): an exact path wins; else the rule
whose first wildcard comes last, then one that does not end in `*`, then with fewer `+`, then the longer, then the
lexicographically greater. Rules of one path are joined whatever policy they stand in. Must not judge a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.errors import VaultPolicyError
from narrowgate.access.vault.policy import Permissions, Policy, Rule, Server
from narrowgate.access.vault.templates import Filled, fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SLASH_FALLBACK = frozenset({"list", "scan"})


@dataclass(frozen=True, slots=True)
class Pattern:
    """The path of a rule as the server files it: exact, a prefix, or with `+` segments (and maybe a prefix too)."""

    text: str
    literal: str
    is_prefix: bool
    has_segments: bool
    parts: tuple[str, ...]
    priority: tuple[int, bool, int, int, bytes]

    @property
    def is_exact(self) -> bool:
        """Tell whether only the one path written matches."""
        return not self.is_prefix and not self.has_segments

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches a path (without its leading slash)."""
        if not self.has_segments:
            return path.startswith(self.literal) if self.is_prefix else path == self.literal
        return self._matches_segments(path.split("/"))

    def _matches_segments(self, segments: list[str]) -> bool:
        count = len(self.parts)
        if len(segments) < count or (not self.is_prefix and len(segments) != count):
            return False
        for index, (part, segment) in enumerate(zip(self.parts, segments, strict=False)):
            if part in ("+", segment):
                continue
            if not (self.is_prefix and index == count - 1 and segment.startswith(part)):
                return False
        return True


def make_pattern(path: str) -> Pattern:
    """Return the pattern for a rule's path, of which one leading slash is dropped.

    `*` is a wildcard only at the end and `+` only as a whole segment; yet any `+` after a slash puts the path among
    those with segments, whose first `+` then counts as their first wildcard.
    """
    text = path.removeprefix("/")
    has_segments = text == "+" or "/+" in text or text.startswith("+/")
    is_prefix = text.endswith("*")
    literal = text[:-1] if is_prefix else text
    parts = tuple(literal.split("/"))
    raw = literal.encode("utf-8", "surrogateescape")
    first = text.encode("utf-8", "surrogateescape").index(b"+") if has_segments else len(raw)
    plus = sum(part == "+" for part in parts) if has_segments else 0
    return Pattern(text, literal, is_prefix, has_segments, parts, (first, not is_prefix, -plus, len(raw), raw))


@dataclass(frozen=True, slots=True)
class MergedRule:
    """All that the policies say about one path: its pattern, what they permit together, and the rules joined."""

    pattern: Pattern
    permissions: Permissions
    sources: tuple[Rule, ...]

    @property
    def path(self) -> str:
        """Return the path as the server files it."""
        return self.pattern.text

    def source_for(self, capability: str) -> Rule:
        """Return the first rule that denies, or that grants the capability; else the first of all."""
        if self.permissions.denied:
            return next(rule for rule in self.sources if rule.permissions.denied)
        for rule in self.sources:
            if capability in rule.permissions.capabilities:
                return rule
        return self.sources[0]


@dataclass(slots=True)
class AccessList:
    """The merged rules of one token. Build it once with `merge` and ask it many times."""

    is_root: bool = False
    blocked: str = ""
    server: Server = Server.ANY
    exact: dict[str, MergedRule] = field(default_factory=dict)
    prefixes: dict[str, MergedRule] = field(default_factory=dict)
    segments: list[MergedRule] = field(default_factory=list)

    def rules(self) -> list[MergedRule]:
        """Return all merged rules, the first to be tried first, exact ones in front."""
        wild = sorted([*self.prefixes.values(), *self.segments], key=lambda rule: rule.pattern.priority, reverse=True)
        return [*sorted(self.exact.values(), key=lambda rule: rule.path), *wild]

    def find(self, path: str, capability: str) -> MergedRule | None:
        """Return the one rule that decides, or None. List and scan look without the path's last slash too."""
        path = path.lstrip("/")
        shorter = path.removesuffix("/")
        fallback = capability in SLASH_FALLBACK and shorter != path
        if path in self.exact:
            return self.exact[path]
        if fallback and shorter in self.exact:
            return self.exact[shorter]
        if not fallback:
            return self._find_wild(path)
        if self.server is Server.VAULT:
            return self._find_wild(shorter) or self._find_wild(path)
        return self._find_wild(path) or self._find_wild(shorter)

    def _find_wild(self, path: str) -> MergedRule | None:
        best = self._longest_prefix(path)
        for rule in self.segments:
            if (best is None or rule.pattern.priority > best.pattern.priority) and rule.pattern.matches(path):
                best = rule
        return best

    def _longest_prefix(self, path: str) -> MergedRule | None:
        if not self.prefixes:
            return None
        for end in range(len(path), -1, -1):
            rule = self.prefixes.get(path[:end])
            if rule is not None:
                return rule
        return None


def in_token_order(policies: Iterable[Policy]) -> list[Policy]:
    """Return the policies as a token holds them: sorted by name.

    The order matters: of the control groups written for one path, the first alone counts.
    """
    return sorted(policies, key=lambda policy: policy.name)


def merge(
    policies: Iterable[Policy],
    identity: Mapping[str, str] | None,
    *,
    now: datetime | None = None,
    server: Server = Server.ANY,
) -> AccessList:
    """Return the access list of a token with these policies, in the order given.

    `identity` is as `templates.normalize_identity` returns it; None leaves the templates in the paths. Raises
    VaultPolicyError where the server refuses the set as a whole (`root` beside another policy).
    """
    listed = list(policies)
    if any(policy.is_root for policy in listed):
        if len(listed) > 1:
            raise VaultPolicyError("other policies present along with root", hint="Use the root policy alone.")
        return AccessList(is_root=True, server=server)
    moment = now or datetime.now(UTC)
    acl = AccessList(server=server)
    found: dict[str, MergedRule] = {}
    for policy in listed:
        for rule in policy.rules:
            if rule.expiration is not None and rule.expiration < moment:
                continue
            filled = Filled(rule.path) if identity is None else fill(rule.path, identity)
            if filled.blocked:
                return AccessList(blocked=f"{rule}: {filled.blocked}", server=server)
            if not filled.dropped:
                _add(found, make_pattern(filled.path), rule)
    for merged in found.values():
        _file(acl, merged)
    return acl


def _add(found: dict[str, MergedRule], pattern: Pattern, rule: Rule) -> None:
    known = found.get(pattern.text)
    if known is None:
        found[pattern.text] = MergedRule(pattern, rule.permissions, (rule,))
    else:
        permissions = join_permissions(known.permissions, rule.permissions)
        found[pattern.text] = MergedRule(pattern, permissions, (*known.sources, rule))


def _file(acl: AccessList, merged: MergedRule) -> None:
    pattern = merged.pattern
    if pattern.has_segments:
        acl.segments.append(merged)
    elif pattern.is_prefix:
        acl.prefixes[pattern.literal] = merged
    else:
        acl.exact[pattern.literal] = merged


def join_permissions(first: Permissions, second: Permissions) -> Permissions:
    """Return what two rules of one path permit together; `first` comes first in the token's order.

    A deny ends all. Capabilities add up, yet so do restrictions, and they then bind every capability; the shorter
    of two wrapping TTLs counts; the control group of `second` is lost.
    """
    if first.denied:
        return first
    if second.denied:
        return Permissions(denied=True, control_group=first.control_group)
    required = (*first.required_parameters, *second.required_parameters)
    return Permissions(
        capabilities=first.capabilities | second.capabilities,
        allowed_parameters=_join_lists(first.allowed_parameters, second.allowed_parameters),
        denied_parameters=_join_lists(first.denied_parameters, second.denied_parameters),
        required_parameters=tuple(dict.fromkeys(required)),
        min_wrapping_ttl_ns=_shorter(first.min_wrapping_ttl_ns, second.min_wrapping_ttl_ns),
        max_wrapping_ttl_ns=_shorter(first.max_wrapping_ttl_ns, second.max_wrapping_ttl_ns),
        pagination_limit=_shorter(max(first.pagination_limit, 0), second.pagination_limit),
        list_filter_path=first.list_filter_path or second.list_filter_path,
        mfa_methods=first.mfa_methods | second.mfa_methods,
        control_group=first.control_group,
    )


def _join_lists(
    first: Mapping[str, tuple[Any, ...]] | None, second: Mapping[str, tuple[Any, ...]] | None
) -> Mapping[str, tuple[Any, ...]] | None:
    if not second:
        return first
    if first is None:
        return second
    joined = dict(first)
    for name, values in second.items():
        if name in joined and values and joined[name]:
            joined[name] = (*values, *joined[name])
        elif name in joined:
            joined[name] = ()  # an empty list admits any value, and wins
        else:
            joined[name] = values
    return joined


def _shorter(first: int, second: int) -> int:
    """Return the smaller of two bounds of which 0 means none, as the server joins them."""
    if second > 0 and (first == 0 or second < first):
        return second
    return first
