"""What a rule says when it refuses something, and how severe that is.

A finding is the only thing that rules give: the pack turns it into a violation, `lint` into a line, a SARIF result or
an annotation. This module holds values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is. The pack refuses both; `lint` exits 1 only for an error."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Finding:
    """One refusal.

    `resource` is where it stands: a resource's URN, or a file's path (then `line` counts from 1). `message` says what
    is wrong and with what, `detail` is a concrete request that an attacker could make, `fix` the smallest change that
    mends it.
    """

    rule: str
    resource: str
    message: str
    detail: str
    fix: str
    severity: Severity = Severity.ERROR
    line: int = 1
