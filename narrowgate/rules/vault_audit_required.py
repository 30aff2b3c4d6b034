"""`vault-audit-required`: every login stands in Vault's audit log, and that log is whole and holds no secret.

Source: Vault's and OpenBao's documentation of audit devices; the permission model (every tool call is logged with who
did it for whom). OpenBao declares audit devices in the server's own file and takes none by its API, so the environment
names the device that its operator declared (`vault: audit`), and `doctor` can look for it there. Vault
takes them by its API too: there the stack may make one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.estate import LoginToken
from narrowgate.rules.facts import VaultAudit
from narrowgate.rules.rule import Reporter, Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-audit-required"

_NOWHERE: Final = ("/dev/null", "discard", "")


def judge(subject: LoginToken | VaultAudit, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a login that nothing logs, and for an audit device that loses entries or keeps secrets."""
    found = report(NAME, subject)
    if isinstance(subject, VaultAudit):
        yield from _judge_device(subject, found)
    elif subject.at == subject.role.at and not settings.audit_device and not subject.audits and settings.environment:
        yield found(
            f"nothing says that Vault logs what auth role {subject.role.mount}/{subject.role.name} does",
            detail=f"Who steals a login of {subject.role.mount} reads its credentials, and no record tells of it.",
            fix="Declare an audit device in the server's own file, and name it: vault: {audit: main} in the bindings.",
        )


def _judge_device(device: VaultAudit, found: Reporter) -> Iterator[Finding]:
    label = f"the audit device {device.path}"
    if str(device.options.get("log_raw", "")).lower() in {"true", "1"}:
        yield found(
            f"{label} writes secrets as they are (log_raw)",
            detail="Who reads the log has every credential that Vault handed out, while it lives.",
            fix="Take log_raw out; the log then holds their HMAC, by which a known one is found.",
        )
    if device.kind == "file" and str(device.options.get("file_path", "")).strip() in _NOWHERE:
        yield found(
            f"{label} writes to {device.options.get('file_path') or 'no file'}: nowhere",
            detail="An attacker's requests leave no record.",
            fix="Name a file that is shipped away from the server.",
        )
    if device.options.get("local"):
        yield found(
            f"{label} is local: other clusters do not have it",
            detail="A request to a secondary cluster leaves no record.",
            fix="Take local out.",
        )


RULE = Rule(NAME, "Every login stands in Vault's audit log.", (LoginToken, VaultAudit), judge)
