"""`vault-policy-no-sudo`: no policy grants the capability `sudo`.

Source: Vault's documentation of policies: `sudo` opens paths that are protected for root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import VaultPolicy
from narrowgate.rules.questions import vault_rules
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-policy-no-sudo"


def judge(subject: VaultPolicy, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each path with sudo."""
    for rule in vault_rules(subject.text):
        if "sudo" in rule.capabilities:
            yield report(NAME, subject, line=subject.line + rule.line - 1)(
                f"Vault policy {subject.name!r} grants sudo on {rule.path}",
                detail=f"Its holder can use root-protected paths that {rule.path} covers, as sys/raw or sys/rotate.",
                fix="Take sudo out of the capabilities.",
            )


RULE = Rule(NAME, "No Vault policy grants sudo.", (VaultPolicy,), judge)
