"""What policies leave in reach: whether any request in a range is allowed, and what all rules say together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

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
from narrowgate.access.vault.decision import Policies, Reason, listed
from narrowgate.access.vault.errors import VaultPolicyError, VaultRequestError
from narrowgate.access.vault.identities import TooManyIdentitiesError, identities
from narrowgate.access.vault.inclusion import UndecidedError, find_ask
from narrowgate.access.vault.policy import ALL_CAPABILITIES, Server
from narrowgate.access.vault.templates import normalize_identity
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
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Search:
    """Whether some request in a range is allowed. `gated` is one that an approval would allow, if there is any."""

    found: bool | None
    reason: str
    witness: Witness | None = None
    gated: Witness | None = None


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
    settings = [Setting(control_groups, server, at, later, bound) for at, later in moments(ordered, now)]
    asked = make_pattern(path_pattern)
    gated: Witness | None = None
    try:
        tried = identities(ordered, [path_pattern]) if identity is None else [normalize_identity(identity)]
        for each, setting in product(tried, settings):
            acl = merge_side(ordered, each, setting)
            for witness in _reachable(acl, asked, wanted, each, setting):
                if not witness.gated:
                    return Search(True, str(witness), witness, gated)  # noqa: FBT003 - the answer
                gated = gated or witness
    except (TooManyIdentitiesError, TooManyClassesError, UndecidedError, VaultPolicyError) as error:
        return Search(None, explain(error, bound), gated=gated)
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


def _reachable(
    acl: AccessList, asked: Pattern, wanted: frozenset[str], identity: Mapping[str, str], setting: Setting
) -> Iterator[Witness]:
    rules = rules_of(acl)
    own = frozenset(range(len(rules)))
    mark = len(rules)
    for place in path_classes([*(rule.pattern for rule in rules), asked], setting.bound):
        for capability in sorted(wanted):
            if not _covers(mark, place, capability):
                continue
            ask = find_ask(deciding_permissions(rules, place, own, capability, setting.server), capability)
            if ask is not None:
                decision = ask_again(acl, place.path, capability, ask, setting)
                if decision.allowed or decision.reason is Reason.GATED:
                    yield Witness(
                        place.path, capability, ask.parameters, ask.wrap_ns, dict(identity), decision, at=setting.moment
                    )


def _covers(mark: int, place: PathClass, capability: str) -> bool:
    """Tell whether the pattern asked for covers requests of a class; list and scan requests end in a slash."""
    if capability not in SLASH_FALLBACK:
        return mark in place.matched
    return place.without_slash is not None and (mark in place.matched or mark in place.without_slash)
