"""Whether a token with given policies may make one request, and which rule says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from narrowgate.access.vault.acl import SLASH_FALLBACK, AccessList, MergedRule, in_token_order, merge
from narrowgate.access.vault.durations import to_nanoseconds
from narrowgate.access.vault.errors import VaultRequestError
from narrowgate.access.vault.parameters import as_query, limit_refusal, refusal
from narrowgate.access.vault.parsing import parse
from narrowgate.access.vault.policy import ALL_CAPABILITIES, ControlGroup, Permissions, Policy, Rule, Server
from narrowgate.access.vault.sudo import requires_sudo
from narrowgate.access.vault.templates import normalize_identity

if TYPE_CHECKING:
    from datetime import datetime, timedelta

Policies: TypeAlias = Policy | str | Iterable[Policy | str]

_WITH_BODY = frozenset({"create", "update", "patch"})
# Requests that have no capability of their own: the server asks for another one.
_ALIASES = {"renew": "update", "revoke": "update", "rollback": "update"}


class Reason(StrEnum):
    """Why a request is allowed or not."""

    ALLOWED = "Allowed"
    IMPLICITLY_DENIED = "ImplicitlyDenied"
    EXPLICITLY_DENIED = "ExplicitlyDenied"
    PARAMETER_DENIED = "ParameterDenied"
    GATED = "Gated"
    WRAPPING_REQUIRED = "WrappingRequired"
    SUDO_REQUIRED = "SudoRequired"
    TEMPLATE_REFUSED = "TemplateRefused"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request. `rule` is the deciding rule as written, `merged` all that is said about its path.

    A request that a control group holds for approval is not allowed: its reason is `Gated`, and `control_group`
    tells who approves.
    """

    allowed: bool
    reason: Reason
    path: str
    capability: str
    detail: str = ""
    rule: Rule | None = None
    merged: MergedRule | None = None
    control_group: ControlGroup | None = None

    @property
    def gated(self) -> bool:
        """Tell whether the request would be allowed once approved."""
        return self.reason is Reason.GATED


def evaluate(  # noqa: PLR0913 - a request has this many sides; all but the first four are named
    policies: Policies,
    path: str,
    capability: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    wrap_ttl: str | float | timedelta | None = None,
    identity: Mapping[str, str] | None = None,
    server: Server = Server.ANY,
    control_groups: bool = True,
    sudo_required: bool | None = None,
    now: datetime | None = None,
) -> Decision:
    """Decide whether a token with `policies` may use `capability` on `path`.

    `path` is the path that the server sees (a LIST over HTTP ends in `/`); `parameters` is the request's body, or
    its query on a read; `wrap_ttl` (seconds, or a text such as `5m`) asks for response wrapping. `identity` fills
    templates: `{"entity.id": "…", "entity.metadata.team": "…"}`; what it does not hold drops the rules that ask for
    it. `sudo_required` tells whether the path is one of those that need `sudo` beside the capability; by default
    the built-in paths of the server do. `control_groups=False` decides for a server that does not know them, and so
    ignores them.

    Raises VaultRequestError for an unknown capability or an invalid TTL, VaultPolicyError for policies that the
    server refuses.
    """
    acl = access_list(policies, identity=identity, server=server, now=now)
    return decide(
        acl, path, capability, parameters, wrap_ttl=wrap_ttl, control_groups=control_groups, sudo_required=sudo_required
    )


def access_list(
    policies: Policies,
    *,
    identity: Mapping[str, str] | None = None,
    server: Server = Server.ANY,
    now: datetime | None = None,
) -> AccessList:
    """Return the merged access list of a token with these policies, for asking more than one question."""
    return merge(in_token_order(listed(policies)), normalize_identity(identity), now=now, server=server)


def listed(policies: Policies) -> list[Policy]:
    """Return policies given in any of the accepted forms as a list of parsed ones."""
    if isinstance(policies, (Policy, str)):
        policies = [policies]
    return [policy if isinstance(policy, Policy) else parse(policy) for policy in policies]


def decide(  # noqa: PLR0913 - as evaluate
    acl: AccessList,
    path: str,
    capability: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    wrap_ttl: str | float | timedelta | None = None,
    control_groups: bool = True,
    sudo_required: bool | None = None,
) -> Decision:
    """Decide one request against an access list; arguments as in `evaluate`."""
    capability = _ALIASES.get(capability, capability)
    if capability not in ALL_CAPABILITIES:
        raise VaultRequestError(
            f"unknown capability {capability!r}", hint=f"Known are {', '.join(sorted(ALL_CAPABILITIES))}."
        )
    path = path.lstrip("/")
    if acl.is_root:
        return Decision(
            allowed=True,
            reason=Reason.ALLOWED,
            path=path,
            capability=capability,
            detail="the root policy permits everything",
        )
    if acl.blocked:
        return Decision(
            allowed=False, reason=Reason.TEMPLATE_REFUSED, path=path, capability=capability, detail=acl.blocked
        )
    merged = acl.find(path, capability)
    if merged is None:
        return Decision(
            allowed=False,
            reason=Reason.IMPLICITLY_DENIED,
            path=path,
            capability=capability,
            detail="no rule matches the path",
        )
    wrap_ns = _wrap_nanoseconds(wrap_ttl)
    sudo = requires_sudo(path, acl.server) if sudo_required is None else sudo_required
    reason, detail = judge(merged.permissions, capability, parameters or {}, wrap_ns, sudo=sudo)
    group = merged.permissions.control_group if control_groups else None
    if reason is Reason.ALLOWED and group is not None and group.controls(capability):
        reason, detail = Reason.GATED, f"held for approval by {', '.join(_approvers(group, capability))}"
    return Decision(
        allowed=reason is Reason.ALLOWED,
        reason=reason,
        path=path,
        capability=capability,
        detail=detail,
        rule=merged.source_for(capability),
        merged=merged,
        control_group=group,
    )


def judge(  # noqa: PLR0911 - one return for each reason, in the order that the server checks them
    permissions: Permissions, capability: str, parameters: Mapping[str, Any], wrap_ns: int | None, *, sudo: bool
) -> tuple[Reason, str]:
    """Decide a request by the permissions found for its path, control groups aside."""
    if permissions.denied:
        return Reason.EXPLICITLY_DENIED, "the path is denied"
    if capability not in permissions.capabilities:
        return Reason.IMPLICITLY_DENIED, f"the deciding rule does not grant {capability}"
    if capability == "sudo":
        return Reason.ALLOWED, ""
    if problem := wrapping_refusal(permissions, wrap_ns):
        return Reason.WRAPPING_REQUIRED, problem
    if problem := _data_refusal(permissions, capability, parameters):
        return Reason.PARAMETER_DENIED, problem
    if sudo and "sudo" not in permissions.capabilities:
        return Reason.SUDO_REQUIRED, "the path needs sudo as well"
    return Reason.ALLOWED, ""


def _data_refusal(permissions: Permissions, capability: str, parameters: Mapping[str, Any]) -> str | None:
    if capability == "read":
        return refusal(permissions, as_query(parameters))
    if capability in _WITH_BODY:
        return refusal(permissions, parameters)
    return limit_refusal(permissions, parameters) if capability in SLASH_FALLBACK else None


def wrapping_refusal(permissions: Permissions, wrap_ns: int | None) -> str | None:
    """Return why the wrapping TTL asked for (None: no wrapping) is refused, or None.

    A TTL of 0 asks for no wrapping and yet passes a rule that has only `max_wrapping_ttl`, as seen on OpenBao.
    """
    least, most = permissions.min_wrapping_ttl_ns, permissions.max_wrapping_ttl_ns
    if most > 0 and (wrap_ns is None or wrap_ns > most):
        return "a response wrapping TTL within max_wrapping_ttl is required"
    if least > 0 and (wrap_ns is None or wrap_ns < least):
        return "a response wrapping TTL of at least min_wrapping_ttl is required"
    if least and most and most < least:
        return "the policies leave no wrapping TTL that all of them accept"
    return None


def capabilities(acl: AccessList, path: str) -> tuple[str, ...]:
    """Return what the server's `sys/capabilities` says for a path: sorted, `("deny",)` for none, `("root",)`."""
    if acl.is_root:
        return ("root",)
    merged = None if acl.blocked else acl.find(path, "list")
    if merged is None or merged.permissions.denied or not merged.permissions.capabilities:
        return ("deny",)
    return tuple(sorted(merged.permissions.capabilities))


def _wrap_nanoseconds(wrap_ttl: str | float | timedelta | None) -> int | None:
    if wrap_ttl is None:
        return None
    try:
        length = to_nanoseconds(wrap_ttl)
    except ValueError as error:
        raise VaultRequestError(f"invalid wrap TTL: {error}", hint="Give seconds, or a text such as '5m'.") from error
    if length < 0:
        raise VaultRequestError("a wrap TTL cannot be negative", hint="Give seconds, or a text such as '5m'.")
    return length


def _approvers(group: ControlGroup, capability: str) -> list[str]:
    return [
        f"{factor.approvals} of {' or '.join(factor.group_names) or 'anyone'}"
        for factor in group.factors
        if factor.controls(capability)
    ]
