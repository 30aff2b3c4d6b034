"""Vault ACL policies as HCL text: a few exact paths, each value quoted, the same bytes for the same access.

This module must not decide what a policy grants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from narrowgate.compile.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What may stand in a path that we write: no glob (`*`), no segment wildcard (`+`), no template (`{{`).
_EXACT_PATH: Final = re.compile(r"[A-Za-z0-9_.@=,-]+(/[A-Za-z0-9_.@=,-]+)*")
# A system identity serves workflows that do not exist yet: `+` is one segment, and `*` may end the path.
_PATTERN_PATH: Final = re.compile(r"[A-Za-z0-9_.@=,-]+(/([A-Za-z0-9_.@=,-]+|\+))*(/?\*)?")


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """Who must authorize a request before the server answers it, within `ttl_seconds`.

    Each of `factors` is (names of groups, how many of their members); all of them must hold.
    """

    factors: tuple[tuple[tuple[str, ...], int], ...]
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class PathRule:
    """What a policy allows on one exact path. `allowed_parameters` restricts the request's own parameters.

    A request without parameters passes `allowed_parameters`; `required_parameters` refuses it. `below_own_entity` means
    not `path` itself but each entry right below it in a folder that is named by the caller's own entity;
    `own_entity` means the one entry right below `path` that is named so. With a `control_group`, every capability of
    the rule waits for its approvals.
    """

    path: str
    capabilities: Sequence[str]
    reason: str
    allowed_parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    required_parameters: Sequence[str] = ()
    below_own_entity: bool = False
    own_entity: bool = False
    control_group: ControlGroup | None = None


def render_policy(title: str, rules: Iterable[PathRule], *, patterns: bool = False) -> str:
    """Return HCL for `rules`, sorted by path; raise `CompileError` for a path that is not exact.

    With `patterns`, which is for system identities alone, a path may have `+` segments and end in `*`.
    """
    allowed = _PATTERN_PATH if patterns else _EXACT_PATH
    blocks = [f"# {_comment(title)}\n"]
    for rule in sorted(rules, key=lambda r: r.path):
        if not allowed.fullmatch(rule.path):
            raise CompileError(f"the Vault path {rule.path!r} is not exact")
        capabilities = ", ".join(quote(capability) for capability in sorted(rule.capabilities))
        lines = [f"# {_comment(rule.reason)}", f"path {quote(_place(rule))} {{", f"  capabilities = [{capabilities}]"]
        if rule.allowed_parameters:
            lines.append("  allowed_parameters = {")
            lines += [
                f"    {quote(name)} = [{', '.join(quote(value) for value in values)}]"
                for name, values in sorted(rule.allowed_parameters.items())
            ]
            lines.append("  }")
        if rule.required_parameters:
            required = ", ".join(quote(name) for name in sorted(rule.required_parameters))
            lines.append(f"  required_parameters = [{required}]")
        if rule.control_group is not None:
            lines += _control_group_lines(rule.control_group, capabilities)
        blocks.append("\n".join([*lines, "}\n"]))
    return "\n".join(blocks)


def _control_group_lines(group: ControlGroup, capabilities: str) -> list[str]:
    """Return the stanza. It fails open for a capability that it does not name, so it names all that the path grants."""
    if not group.factors or any(not groups or required < 1 for groups, required in group.factors):
        raise CompileError("a control group without groups or approvals holds nothing back")
    lines = ["  control_group = {", f'    ttl = "{int(group.ttl_seconds)}s"']
    for number, (groups, required) in enumerate(group.factors, 1):
        lines += [
            f'    factor "factor-{number}" {{',
            f"      controlled_capabilities = [{capabilities}]",
            "      identity {",
            f"        group_names = [{', '.join(quote(name) for name in groups)}]",
            f"        approvals = {int(required)}",
            "      }",
            "    }",
        ]
    return [*lines, "  }"]


def _place(rule: PathRule) -> str:
    if rule.own_entity:
        return f"{rule.path}/{{{{identity.entity.id}}}}"
    return f"{rule.path}/{{{{identity.entity.id}}}}/+" if rule.below_own_entity else rule.path


def quote(text: str) -> str:
    """Return `text` as an HCL string that means exactly `text`.

    Vault reads policies as HCL 1, which has no escape for an interpolation: a text that would open one, or holds a
    control character, is refused.
    """
    if "${" in text or "%{" in text or not text.isprintable():
        raise CompileError(f"{text!r} cannot stand in a Vault policy")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    return " ".join(text.split())
