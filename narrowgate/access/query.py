"""Answers questions about a plan: who can do this, through which tool, gated or not, for how long.

They come from the plan and the documents compiled from it, decided by the same evaluators that compare uses. This
module must not print and must not read files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from narrowgate.access import iam, vault
from narrowgate.access.diff.iam_cover import statement_of
from narrowgate.access.patterns import literal_length, overlap
from narrowgate.access.words import say_grant
from narrowgate.compile import compile_workflow, names
from narrowgate.compile.identity import compile_identity
from narrowgate.errors import NarrowgateError
from narrowgate.plan import FunctionGrant, IamGrant, SecretGrant, TableGrant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from narrowgate.plan import AccessPlan, ActionAccess, Approval, Grant, ToolAccess, WorkflowAccess

VAULT_CAPABILITIES: Final = frozenset({"create", "read", "update", "patch", "delete", "list", "scan", "sudo"})
_NAME_KEPT: Final = 20
_ARN_COLONS: Final = 5
_ANY_ACTION: Final = "any:Action"
_VAULT_WILDCARD: Final = re.compile(r"\{\{.*?\}\}|\+")
_PLAIN_IN_VAULT: Final = re.compile(r"[?$]")
SQL_PRIVILEGES: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE"})


class QuestionError(NarrowgateError):
    """A question that names no known kind of access."""

    code = "question"


class Realm(StrEnum):
    """Where a question is decided."""

    IAM = "iam"
    VAULT = "vault"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class Question:
    """Who can do `action` on `resource`? An IAM action on an ARN, a capability on a path, a privilege on a column."""

    realm: Realm
    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Holder:
    """One answer: this workflow can, by this action of this tool (`tool` is empty for the agent's own login).

    `gated` access needs `approval` first. Credentials live `ttl_seconds`, `max_ttl_seconds` at most. `words` say all
    that the deciding grant allows, with its conditions and rows.
    """

    workflow: str
    tool: str
    action: str
    gated: bool
    approval: Approval | None
    ttl_seconds: int
    max_ttl_seconds: int
    requesters: tuple[str, ...]
    words: str


def read_question(action: str, resource: str) -> Question:
    """Return which realm decides; raise `QuestionError` where none does."""
    if ":" in action or action == "*":
        return Question(Realm.IAM, action, resource)
    names_path = "/" in resource or (resource.startswith(("*", "+")) and action.upper() not in SQL_PRIVILEGES)
    if names_path and action.lower() in VAULT_CAPABILITIES:
        return Question(Realm.VAULT, action.lower(), resource.removeprefix("/"))
    if action.upper() in SQL_PRIVILEGES:
        return Question(Realm.POSTGRES, action.upper(), resource)
    raise QuestionError(
        f"`{action}` on `{resource}` is no question about access",
        hint="ask for an IAM action and an ARN, a Vault capability and a path, or a privilege and table.column",
    )


def who_can(plan: AccessPlan, question: Question) -> tuple[Holder, ...]:
    """Return everybody who can, workflows in order. Conditions and rows are said in the answer's words, not decided."""
    if question.realm is Realm.VAULT:
        return tuple(_vault_holders(plan, question))
    matches = _match_iam(question) if question.realm is Realm.IAM else _match_sql(question)
    return tuple(_grant_holders(plan, matches))


def _grant_holders(plan: AccessPlan, matches: Callable[[Grant], bool]) -> Iterator[Holder]:
    for workflow in plan.workflows:
        for tool in workflow.tools:
            for action in tool.actions:
                for grant in action.grants:
                    if matches(grant):
                        yield _holder(plan, workflow, tool, action, grant)


def _holder(plan: AccessPlan, workflow: WorkflowAccess, tool: ToolAccess, action: ActionAccess, grant: Grant) -> Holder:
    database = plan.environment.binding(tool.tool).get("database")
    return Holder(
        workflow=workflow.name,
        tool=tool.tool,
        action=action.name,
        gated=action.gated,
        approval=action.approval,
        ttl_seconds=tool.ttl_seconds,
        max_ttl_seconds=tool.max_ttl_seconds,
        requesters=workflow.requesters,
        words=say_grant(grant, None if database is None else str(database)),
    )


# IAM ------------------------------------------------------------------------------------------------------------------


def _match_iam(question: Question) -> Callable[[Grant], bool]:
    """Return what tells matching grants: an action or ARN with `*` or `?` asks for everything that it overlaps."""
    wanted = question.action.lower()
    action_matches = lru_cache(maxsize=None)(lambda action: overlap(wanted, action.lower()))
    resource_matches = lru_cache(maxsize=None)(lambda resource: _reaches(resource, question.resource))

    def matches(grant: Grant) -> bool:
        if not isinstance(grant, IamGrant) or not any(action_matches(action) for action in grant.actions):
            return False
        return any(resource_matches(resource) for resource in grant.resources)

    return matches


def _reaches(pattern: str, resource: str) -> bool:
    if not overlap(pattern, resource):
        return False
    if _names_service(pattern) and _names_service(resource):
        return True  # wildcards are in the ARN's last part only, where they stand for any text
    # IAM's own reading of an ARN's parts decides; what it cannot decide is an answer too.
    statement = statement_of(IamGrant((_ANY_ACTION,), (pattern,)))
    policy = iam.parse({"Version": "2012-10-17", "Statement": [statement]})
    if "${" in pattern:
        return True
    if "*" in resource or "?" in resource:
        return iam.find_request(policy, _ANY_ACTION, resource).exists is not False
    return iam.evaluate(policy, _ANY_ACTION, resource).allowed


def _names_service(arn: str) -> bool:
    """Say whether all but the last part of an ARN stands there in full."""
    return arn[: literal_length(arn)].count(":") >= _ARN_COLONS


# PostgreSQL -----------------------------------------------------------------------------------------------------------


def _match_sql(question: Question) -> Callable[[Grant], bool]:
    parts = tuple(question.resource.split("."))

    def means(*actual: str) -> bool:
        """Say whether the question's parts, whose schema may be left out, are these."""
        return any(len(parts) == len(some) and all(map(overlap, parts, some)) for some in (actual, actual[1:]))

    def matches(grant: Grant) -> bool:
        if isinstance(grant, FunctionGrant):
            return question.action == "EXECUTE" and means(grant.schema, grant.function)
        if not isinstance(grant, TableGrant) or question.action not in grant.privileges:
            return False
        # A privilege on whole rows (DELETE) reaches every column.
        return means(grant.schema, grant.table) or any(
            means(grant.schema, grant.table, column) for column in grant.columns or (parts[-1],)
        )

    return matches


# Vault ----------------------------------------------------------------------------------------------------------------


def _vault_holders(plan: AccessPlan, question: Question) -> Iterator[Holder]:
    """Agents' policies differ only in their workflow's name, so that equal ones are decided once."""
    decided: dict[str, bool] = {}
    last = question.resource.rpartition("/")[2]
    for workflow in plan.workflows:
        _, _, policy = compile_identity(workflow, plan.environment, ())
        key = policy.text.replace(workflow.name, "*")
        if key not in decided:
            decided[key] = _allows(policy.text, question)
        if decided[key]:
            yield _login_holder(workflow, f"{question.action} on {question.resource}, by the login itself")
        # A role's name begins with its workflow's, which tells nearly all others apart without a hash.
        named = last.startswith(workflow.name[:_NAME_KEPT]) and any(
            names.vault_role_name(workflow.name, tool.tool) == last for tool in workflow.tools
        )
        if named or _is_pattern(question.resource) or _reads_secret(workflow, question.resource):
            yield from _tool_holders(plan, workflow, question)


def _is_pattern(path: str) -> bool:
    return "*" in path or "+" in path


def _allows(policy: str, question: Question, request: Mapping[str, object] | None = None) -> bool:
    """Say whether a policy allows it; a path with `*` or `+` asks for all that it overlaps, `+` as any text too."""
    if not _is_pattern(question.resource):
        return vault.evaluate([policy], question.resource, question.action, request).allowed
    return any(
        question.action in rule.permissions.capabilities
        and not rule.permissions.denied
        and overlap(_as_pattern(rule.path), _as_pattern(question.resource))
        for rule in vault.parse(policy).rules
    )


def _as_pattern(path: str) -> str:
    """Return a Vault path, whose templates may become any text, as `overlap` reads patterns."""
    return _VAULT_WILDCARD.sub("*", _PLAIN_IN_VAULT.sub(r"${\g<0>}", path))


def _reads_secret(workflow: WorkflowAccess, path: str) -> bool:
    """Say whether a stored secret of the workflow may stand at `path`: such paths do not name a workflow."""
    return any(
        isinstance(grant, SecretGrant) and path.endswith(f"/{grant.path}")
        for tool in workflow.tools
        for action in tool.granted
        for grant in action.grants
    )


def _login_holder(workflow: WorkflowAccess, words: str) -> Holder:
    return Holder(
        workflow=workflow.name,
        tool="",
        action="",
        gated=False,
        approval=None,
        ttl_seconds=workflow.ttl_seconds,
        max_ttl_seconds=workflow.max_ttl_seconds,
        requesters=workflow.requesters,
        words=words,
    )


def _tool_holders(plan: AccessPlan, workflow: WorkflowAccess, question: Question) -> Iterator[Holder]:
    for documents in compile_workflow(workflow, plan.environment).tools:
        if documents.policy is None:
            continue
        if not _allows(documents.policy.text, question, documents.request):
            continue
        for action in documents.access.granted:
            for grant in action.grants:
                holder = _holder(plan, workflow, documents.access, action, grant)
                yield replace(holder, words=f"credentials for: {holder.words}")
