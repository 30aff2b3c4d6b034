"""Says what was found, for people and for programs. It must not decide anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from narrowgate.audit.drift.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narrowgate.audit.drift.facts import Finding, Unread

_TITLES: Final = {"aws": "AWS", "vault": "Vault", "postgres": "PostgreSQL"}
_MARKS: Final = {Kind.UNKNOWN: "+", Kind.CHANGED: "~", Kind.MISSING: "-"}


def render_text(environment: str, findings: Sequence[Finding], unread: Sequence[Unread]) -> str:
    """Return the findings by system, what could not be read, and one line that sums up."""
    lines = []
    for system, title in _TITLES.items():
        mine = [finding for finding in findings if finding.system == system]
        lines += [title] if mine else []
        lines += [f"  {_MARKS[each.kind]} {each.thing}: {_one_line(each.detail)}" for each in mine]
    if unread:
        lines.append("Not read:")
        lines += [f"  ? {_TITLES[each.system]}: {each.thing}: {_one_line(each.reason)}" for each in unread]
    return "\n".join([*lines, _sum_up(environment, len(findings), len(unread))]) + "\n"


def _sum_up(environment: str, found: int, unread: int) -> str:
    drift = f"{found} {'thing stands' if found == 1 else 'things stand'} otherwise than the lock says"
    if unread:
        return f"{environment}: cannot tell: {unread} could not be read{f', and {drift}' if found else ''}."
    return f"{environment}: {drift}." if found else f"{environment}: no drift."


def render_json(environment: str, findings: Sequence[Finding], unread: Sequence[Unread]) -> str:
    """Return the same as JSON, version 1; `clean` is null where something could not be read."""
    value = {
        "version": 1,
        "environment": environment,
        "clean": None if unread else not findings,
        "findings": [asdict(finding) for finding in findings],
        "unread": [asdict(each) for each in unread],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _one_line(text: str) -> str:
    """Return `text` in one line, without what could move a terminal's cursor: names may come from an attacker."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))
