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
class PathRule:
    """What a policy allows on one exact path. `allowed_parameters` restricts the request's own parameters.

    A request without parameters passes `allowed_parameters`; `required_parameters` refuses it. `below_own_entity` means
    not `path` itself but each entry right below it in a folder that is named by the caller's own entity.
    """

    path: str
    capabilities: Sequence[str]
    reason: str
    allowed_parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    required_parameters: Sequence[str] = ()
    below_own_entity: bool = False


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
        blocks.append("\n".join([*lines, "}\n"]))
    return "\n".join(blocks)


def _place(rule: PathRule) -> str:
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
