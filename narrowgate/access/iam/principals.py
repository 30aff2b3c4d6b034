"""Who a statement's Principal or NotPrincipal names, and who makes a request.

A role named as a principal stands for its sessions too, an account (or its root) for everyone in it, `*` for
everyone, signed in or not: IAM User Guide, "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from narrowgate.access.iam.policy import Effect, PrincipalEntry, RequestError

EVERYONE: Final = PrincipalEntry("AWS", "*")
KINDS: Final = ("AWS", "Service", "Federated", "CanonicalUser")
Principal = str | Mapping[str, str | Sequence[str]]
"""A principal as a caller gives it: an ARN, an account, a service's name, or a mapping of kind to value."""

_ACCOUNT: Final = re.compile(r"\d{12}")
_ARN: Final = re.compile(r"arn:([^:]*):(iam|sts)::([^:]*):(.+)", re.DOTALL)
_FEDERATED: Final = re.compile(r"arn:[^:]*:iam::[^:]*:(oidc-provider|saml-provider)/.+", re.DOTALL)
_WEB_PROVIDERS: Final = frozenset(
    ("accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com")
)
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|aws\.internal|aws\.amazon\.com|amazon\.com)")


@dataclass(frozen=True, slots=True)
class Identity:
    """An AWS principal taken apart: `role` is the role's name where it is a role or a session of one."""

    arn: str
    account: str
    role: str = ""
    is_root: bool = False


def read_principal(principal: Principal | None) -> tuple[PrincipalEntry, ...]:
    """Return the identities of whoever makes a request; none for a request that nobody signed.

    Raises RequestError for a kind that does not exist.
    """
    if principal is None or principal == "*":
        return ()
    if isinstance(principal, str):
        return (PrincipalEntry(_guess_kind(principal), principal),)
    entries: list[PrincipalEntry] = []
    for kind, values in principal.items():
        if kind not in KINDS:
            raise RequestError(f"{kind!r} is no kind of principal", hint=f"Use one of {', '.join(KINDS)}.")
        entries += [PrincipalEntry(kind, value) for value in ((values,) if isinstance(values, str) else values)]
    return tuple(entry for entry in entries if entry.value != "*")


def names_caller(
    entries: tuple[PrincipalEntry, ...], caller: tuple[PrincipalEntry, ...], *, excluding: bool, effect: Effect
) -> bool:
    """Say whether a statement applies to the caller; `excluding` for NotPrincipal.

    A NotPrincipal of a Deny that lists an account exempts the account's root only, not everyone in it (the guide's
    example lists the account beside the one user that it exempts); in an Allow it shuts out the whole account.
    """
    whole_account = not excluding or effect == "Allow"
    named = any(_names(entry, one, whole_account=whole_account) for entry in entries for one in caller)
    return (named or EVERYONE in entries) != excluding


def identify(arn: str) -> Identity | None:
    """Take an account, a root, user, role or session ARN apart; None for anything else."""
    if _ACCOUNT.fullmatch(arn):
        return Identity(arn, arn, is_root=True)
    parts = _ARN.fullmatch(arn)
    if parts is None:
        return None
    _, service, account, resource = parts.groups()
    if service == "iam" and resource == "root":
        return Identity(arn, account, is_root=True)
    kind, _, rest = resource.partition("/")
    if service == "iam" and kind == "role":
        return Identity(arn, account, role=rest.rpartition("/")[2])
    if service == "sts" and kind == "assumed-role":
        return Identity(arn, account, role=rest.partition("/")[0])
    return Identity(arn, account)


def context_of(caller: tuple[PrincipalEntry, ...]) -> dict[str, tuple[str, ...]]:
    """Return the context keys that AWS fills in from the caller alone (lower case): its ARN and account.

    For a session that is the ARN of its role; a role's path can't be told from a session, so a caller that
    matters must give `aws:PrincipalArn` itself.
    """
    for one in caller:
        identity = identify(one.value) if one.kind == "AWS" else None
        if identity is not None and not _ACCOUNT.fullmatch(one.value):
            arn = identity.arn
            if ":assumed-role/" in arn:
                partition = arn.split(":")[1]
                arn = f"arn:{partition}:iam::{identity.account}:role/{identity.role}"
            return {"aws:principalarn": (arn,), "aws:principalaccount": (identity.account,)}
    return {}


def _names(entry: PrincipalEntry, caller: PrincipalEntry, *, whole_account: bool) -> bool:
    if entry.kind != caller.kind or entry.kind != "AWS" or entry.value in ("*", caller.value):
        return entry.kind == caller.kind and entry.value in ("*", caller.value)
    wanted, given = identify(entry.value), identify(caller.value)
    if wanted is None or given is None or wanted.account != given.account:
        return False
    if wanted.is_root:
        return whole_account or given.is_root
    is_role = ":role/" in wanted.arn
    return is_role and wanted.role == given.role and ":assumed-role/" in given.arn


def _guess_kind(principal: str) -> str:
    if _FEDERATED.fullmatch(principal):
        return "Federated"
    if _ACCOUNT.fullmatch(principal) or principal.startswith("arn:"):
        return "AWS"
    if principal in _WEB_PROVIDERS:
        return "Federated"
    return "Service" if _SERVICE.fullmatch(principal.lower()) else "Federated"
