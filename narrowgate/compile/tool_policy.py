"""The Vault policy of one tool: one exact path, and only what fetching a credential needs.

This module must not know what lies behind the path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.compile import names
from narrowgate.compile.documents import VaultPolicy
from narrowgate.compile.hcl import PathRule, render_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from narrowgate.plan import ToolAccess


def credential_policy(
    tool: ToolAccess,
    path: str,
    *,
    capabilities: Sequence[str] = ("read",),
    allowed_parameters: Mapping[str, Sequence[str]] | None = None,
    required_parameters: Sequence[str] = (),
) -> VaultPolicy:
    """Return the policy that lets a workflow's agent fetch the credentials of `tool` at `path`, and nothing else."""
    actions = ", ".join(action.name for action in tool.granted)
    rule = PathRule(path, capabilities, f"credentials for: {actions}", allowed_parameters or {}, required_parameters)
    name = names.tool_policy_name(tool.workflow, tool.tool)
    return VaultPolicy(name, render_policy(f"{tool.workflow}: the tool {tool.tool}", [rule]))
