"""What AWS tells IAM of a request about a role and MiniStack does not: the path in its ARN, and its boundary.

MiniStack judges `iam:CreateRole` on `role/<name>` whatever the path, and knows no `iam:PermissionsBoundary`. Here both
are added to what its own evaluator sees, so that it is still MiniStack that decides. It runs in the emulator's process.
Source: AWS Service Authorization Reference, IAM (resource types; condition key iam:PermissionsBoundary).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# These are asked with the boundary that they would set; all others with the one that the role has.
SETS_BOUNDARY: Final = frozenset({"iam:CreateRole", "iam:PutRolePermissionsBoundary"})
BOUNDARY_KEY: Final = "iam:PermissionsBoundary"


def teach_iam() -> None:
    """Make MiniStack see roles' paths and boundaries; call it once, before the first request."""
    from ministack.core import iam_actions

    find_arn, find_context = iam_actions.extract_resource_arn, iam_actions.request_tag_context

    def extract_resource_arn(service: str, *rest: Any) -> str:  # noqa: ANN401 - MiniStack's own signature
        known = str(find_arn(service, *rest))
        return complete_arn(known, _flatten(rest[4])) if service == "iam" else known

    def request_tag_context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        known = dict(find_context(service, action, body, params))
        return {**known, **boundary_context(action, _flatten(params))} if service == "iam" else known

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context


def complete_arn(arn: str, params: Mapping[str, str]) -> str:
    """Return the whole ARN of the role, user or provider that a request names; `arn` is MiniStack's own idea."""
    from ministack.services import iam

    if provider := params.get("OpenIDConnectProviderArn"):
        return provider
    for key, kind, known in (("RoleName", "role", iam._roles), ("UserName", "user", iam._users)):  # noqa: SLF001 - MiniStack has no public way to ask
        name = params.get(key)
        if not name:
            continue
        if (found := known.get(name)) is not None:
            return str(found["Arn"])
        prefix = arn.rpartition(f":{kind}/")[0]
        return f"{prefix}:{kind}{params.get('Path') or '/'}{name}"
    return arn


def boundary_context(action: str, params: Mapping[str, str]) -> dict[str, str]:
    """Return `iam:PermissionsBoundary` of a request about a role, where there is one."""
    from ministack.services import iam

    if action in SETS_BOUNDARY:
        boundary = params.get("PermissionsBoundary")
    else:
        role = iam._roles.get(params.get("RoleName", ""))  # noqa: SLF001 - as above
        boundary = role.get("PermissionsBoundary") if role else None
    return {BOUNDARY_KEY: boundary} if boundary else {}


def _flatten(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value[0] if isinstance(value, list) else value) for name, value in params.items() if value}
