"""The table of all rules, in the order in which they report. A new rule needs a line here and a page in the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules import (
    document_known,
    iam_no_privilege_escalation,
    iam_role_no_admin,
    workflow_no_shared_identity,
)

if TYPE_CHECKING:
    from narrowgate.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    document_known.RULE,
    iam_role_no_admin.RULE,
    iam_no_privilege_escalation.RULE,
    workflow_no_shared_identity.RULE,
)

BY_NAME: Final = {rule.name: rule for rule in RULES}
