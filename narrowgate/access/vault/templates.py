"""Identity templates in the paths of a policy: `{{identity.entity.id}}` and its kin.

Rules as on the server: what cannot be filled in drops its rule; a value with `/`, `*` or `+` fails the whole
request, since it would widen the path. Must not look anything up: callers give the values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrowgate.access.vault.policy import Policy

Identity = Mapping[str, str]

_DIRECTIVE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
BLOCKED = frozenset("/*+")
_ALLOWED_EMPTY = re.compile(
    r"identity\.(?:entity|entity\.aliases\.[^.]*|groups\.(?:ids|names)\.[^.]*)\.(?:custom_)?metadata\..*"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of a path: the path, or why there is none (`dropped` the rule, or `blocked` the request)."""

    path: str = ""
    dropped: bool = False
    blocked: str = ""


def check_template(path: str) -> str | None:
    """Return what is wrong with a path's template directives, or None."""
    first, *rest = path.split("{{")
    if "}}" in first or any(piece.count("}}") != 1 for piece in rest):
        return "unbalanced templating characters"
    return None


def selectors(path: str) -> list[str]:
    """Return the names that a path's directives ask for, trimmed, in order."""
    return [text.strip() for text in _DIRECTIVE.findall(path)]


def normalize_identity(identity: Identity | None) -> dict[str, str]:
    """Return the values of an identity keyed as templates ask for them; `entity.id` may be given for short."""
    return {
        name if name.startswith(("identity.", "time.")) else f"identity.{name}": value
        for name, value in (identity or {}).items()
    }


def may_be_empty(selector: str) -> bool:
    """Tell whether an empty value fills the template (metadata only); an empty id or name drops the rule."""
    return _ALLOWED_EMPTY.fullmatch(selector) is not None


def fill(path: str, identity: Identity) -> Filled:
    """Return the path for an identity (as `normalize_identity` gives it)."""
    if "{{" not in path:
        return Filled(path)
    pieces: list[str] = []
    at = 0
    for match in _DIRECTIVE.finditer(path):
        selector = match.group(1).strip()
        value = identity.get(selector)
        if value is None or (value == "" and not may_be_empty(selector)):
            return Filled(dropped=True)
        bad = sorted(BLOCKED & set(value))
        if bad:
            return Filled(blocked=f"{{{{{selector}}}}} holds {bad[0]!r}")
        pieces += [path[at : match.start()], value]
        at = match.end()
    return Filled("".join([*pieces, path[at:]]))


def all_selectors(policies: Sequence[Policy]) -> list[str]:
    """Return every selector that the policies' paths use, sorted, once each."""
    return sorted({name for policy in policies for rule in policy.rules for name in selectors(rule.path)})
