"""What a plan's documents break of the rules, placed at the declaration at fault, so that nobody waits for a preview.

The pack judges the same documents by the same rules in the engine; the lock is `narrowgate access lock --check`'s. This
module must not judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.declarations.environments import CONFIG_PATH
from narrowgate.declarations.errors import DeclarationError, suggest
from narrowgate.plan import IamGrant
from narrowgate.rules import judge, settings_of
from narrowgate.rules.documents import facts_of_documents
from narrowgate.rules.registry import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.compile.documents import PlanDocuments
    from narrowgate.declarations.catalogue import Tool
    from narrowgate.declarations.environments import EnvironmentSource
    from narrowgate.declarations.exceptions import Exceptions
    from narrowgate.declarations.planning import Declarations
    from narrowgate.declarations.workflows import Workflow
    from narrowgate.plan import AccessPlan
    from narrowgate.rules import Finding

_LABEL: Final = re.compile(r"([a-z0-9-]+)(?:\.([a-z0-9-]+))? ")
"""How `facts_of_documents` calls what it judges: its workflow and, where it is of one, its tool."""


def find_broken_rules(
    plan: AccessPlan, documents: PlanDocuments, declarations: Declarations, source: EnvironmentSource
) -> Iterator[DeclarationError]:
    """Yield each finding of the rules about `documents`, which are those of `plan`."""
    for finding in judge(facts_of_documents(documents), settings_of(plan.environment)):
        yield _place(finding, plan, declarations, source)


def find_unknown_rules(exceptions: Exceptions) -> Iterator[DeclarationError]:
    """Yield a mistake for each rule that an exception names and that there is not."""
    for rule, place in exceptions.rules:
        if rule not in BY_NAME:
            yield DeclarationError(f"no rule `{rule}`", place, "unknown-rule", suggest(rule, BY_NAME))


def _place(
    finding: Finding, plan: AccessPlan, declarations: Declarations, source: EnvironmentSource
) -> DeclarationError:
    message, hint = f"{finding.resource}: {finding.message}", f"attack: {finding.detail}\n    fix: {finding.fix}"
    found = _LABEL.match(finding.resource)
    workflow = next((w for w in declarations.workflows if found and w.name == found[1]), None)
    if found is None or workflow is None:
        return source.source.error(message, CONFIG_PATH, finding.rule, hint, key=True)
    name = found[2]
    if name is None:
        key = ("session",) if "token_" in finding.message else ("workflow",)
        return workflow.source.error(message, key, finding.rule, hint, key=True)
    tool = declarations.tools.get(name)
    action = _find_action(finding, plan, workflow, name)
    if tool is None or action is None:
        return workflow.source.error(message, ("tools", name), finding.rule, hint, key=True)
    return tool.source.error(message, ("actions", action, *_find_grant(finding, tool, action)), finding.rule, hint)


def _find_action(finding: Finding, plan: AccessPlan, workflow: Workflow, tool: str) -> str | None:
    """Return the tool's action whose grant holds a permission that the finding names."""
    planned = plan.workflow(workflow.name)
    use = next((use for use in planned.tools if use.tool == tool), None) if planned else None
    for action in use.actions if use else ():
        for grant in action.grants:
            if isinstance(grant, IamGrant) and any(_names(finding, permission) for permission in grant.actions):
                return action.name
    return None


def _find_grant(finding: Finding, tool: Tool, action: str) -> tuple[str | int, ...]:
    value = tool.source.value["actions"][action]["grants"]
    for index, grant in enumerate(value):
        listed = grant.get("iam", []) if isinstance(grant, dict) else []
        for place, permission in enumerate(listed):
            if _names(finding, str(permission)):
                return ("grants", index, "iam", place)
    return ("grants",)


def _names(finding: Finding, permission: str) -> bool:
    said = f"{finding.message} {finding.detail}".lower()
    return re.search(rf"(?<![\w:]){re.escape(permission.lower())}(?!\w)", said) is not None
