"""How a finding reads where the engine shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrowgate.rules import Finding


def violation_text(finding: Finding, *, name_rule: bool = False) -> str:
    """Return a finding as the text of a violation."""
    rule = f"[{finding.rule}] " if name_rule else ""
    return f"{rule}{finding.message}.\n  Attack: {finding.detail}\n  Fix: {finding.fix}\n  At: {finding.resource}"
