"""The backend `aws`: a tool's IAM role, and the Vault role that assumes it.

Exact IAM actions on exact resources; the role trusts Vault's broker alone, and only for sessions that Vault names.
This module must not talk to AWS or Vault.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from narrowgate.compile import iam_catalogue, iam_conditions, names
from narrowgate.compile.arns import ArnTemplate, place_arn
from narrowgate.compile.backends.backend import BackendCompiler, Declared, DeclaredGrant
from narrowgate.compile.documents import AwsDocuments, IamRole, Json, ToolDocuments, VaultSecretRole
from narrowgate.compile.errors import CompileError, ReferenceSyntaxError
from narrowgate.compile.iam_policy import split_statements
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Value, parse_template
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import Access, Backend, Condition, Environment, Grant, IamGrant, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# AWS STS issues no shorter session, and IAM no lower maximum for a role.
STS_FLOOR_SECONDS: Final = 900
ROLE_SESSION_FLOOR_SECONDS: Final = 3600
CHAINED_CAP_SECONDS: Final = 3600

# The access that a declared action must at least say, by the reference's level of an IAM action.
_LEVELS: Final[dict[str, Access]] = {
    "Read": Access.READ,
    "List": Access.READ,
    "Write": Access.WRITE,
    "Tagging": Access.WRITE,
    "Permissions management": Access.PERMISSIONS,
}
_ORDER: Final = (Access.READ, Access.WRITE, Access.DELETE, Access.PERMISSIONS)
# Actions that hand on permissions although the reference calls them Write.
_PERMISSION_ACTIONS: Final = frozenset(
    {"iam:PassRole", "iam:CreateAccessKey", "iam:CreateLoginProfile", "sts:AssumeRole"}
)


class AwsBinding(Declared):
    """An AWS tool needs no binding but what its own references name."""


class AwsGrant(DeclaredGrant):
    """Exact IAM actions (`iam`) on resources (`on`), under conditions (`when`: operator, then key, then values)."""

    iam: list[str] = Field(min_length=1)
    """Exact IAM actions, as `service:Action`."""
    on: str | list[str]
    """The resources, as ARNs with references, or `"*"` for actions that act on no named resource."""
    when: dict[str, dict[str, str | bool | int | list[str]]] = Field(default_factory=dict)
    """Conditions: operator, then key, then a value or a list of values."""

    def _resources(self) -> list[str]:
        return [self.on] if isinstance(self.on, str) else self.on

    def _place(self, index: int) -> tuple[str | int, ...]:
        return ("on",) if isinstance(self.on, str) else ("on", index)

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield unknown or wildcard actions, resources and condition keys they do not know, and understated access."""
        for index, action in enumerate(self.iam):
            if (problem := iam_catalogue.check_action(action)) or (problem := _check_level(action, access)):
                yield problem.under("iam", index)
        if not self._resources():
            yield Problem(("on",), "iam-resource", "`on` names no resource", "name at least one")
        for index, text in enumerate(self._resources()):
            for problem in self._check_resource(text):
                yield problem.under(*self._place(index))
        for problem in iam_conditions.check_conditions(self.iam, self.when):
            yield problem.under("when")

    def _check_resource(self, text: str) -> Iterator[Problem]:
        try:
            sample = "*" if text == "*" else place_arn(parse_template(text)).sample()
        except ReferenceSyntaxError as error:
            yield Problem((), error.code, str(error), error.hint)
            return
        for action in self.iam:
            if problem := iam_catalogue.check_resource(action, sample):
                yield problem

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the references of resources and condition values."""
        for index, text in enumerate(self._resources()):
            for reference in parse_template(text).references:
                yield self._place(index), reference
        for path, text in iam_conditions.condition_texts(self.when):
            for reference in parse_template(text).references:
                yield ("when", *path), reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield one grant with all ARNs that the lists expand to."""
        resources: set[str] = set()
        for text in self._resources():
            resources.update(["*"] if text == "*" else _arn_template(text).expand(values))
        conditions = iam_conditions.resolve_conditions(self.when, values)
        yield IamGrant(tuple(sorted(set(self.iam))), tuple(sorted(resources)), conditions)


def _arn_template(text: str) -> ArnTemplate:
    return place_arn(parse_template(text))


def _check_level(action: str, access: Access) -> Problem | None:
    # An action may have several levels: the highest counts.
    levels = [_LEVELS[level.strip()] for level in iam_catalogue.access_level(action).split(",")]
    needed = max(levels, key=_ORDER.index)
    short = action.partition(":")[2]
    if action in _PERMISSION_ACTIONS:
        needed = Access.PERMISSIONS
    elif needed is Access.WRITE and short.startswith(("Delete", "BatchDelete", "Purge")):
        needed = Access.DELETE
    if _ORDER.index(needed) <= _ORDER.index(access):
        return None
    return Problem((), "access-understated", f"{action} is `{needed}`, the action says `{access}`", f"say `{needed}`")


def statements_of(tool: ToolAccess) -> list[Json]:
    """Return the IAM statements of the actions that an agent itself may hold, sorted, one for each grant."""
    statements: dict[str, Json] = {}
    for action in tool.granted:
        for grant in action.grants:
            if not isinstance(grant, IamGrant):
                raise CompileError("a grant is not IAM's", workflow=tool.workflow, tool=tool.tool)
            statement = statement_of(grant)
            statements[json.dumps(statement, sort_keys=True)] = statement
    return [statements[key] for key in sorted(statements)]


def statement_of(grant: IamGrant) -> Json:
    """Return a grant as a statement of an IAM policy."""
    statement: dict[str, Any] = {"Action": list(grant.actions), "Effect": "Allow", "Resource": list(grant.resources)}
    if grant.conditions:
        statement["Condition"] = _condition_block(grant.conditions)
    return statement


def _condition_block(conditions: tuple[Condition, ...]) -> dict[str, dict[str, list[str]]]:
    block: dict[str, dict[str, list[str]]] = {}
    for condition in sorted(conditions, key=lambda c: (c.operator, c.key)):
        block.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return block


def trust_policy(environment: Environment, vault_role: str, tags: Mapping[str, str], *, broker: str = "") -> Json:
    """Return who may assume a role: Vault's `broker` alone, with our external id, as a session of this Vault role.

    The broker is that of tools' roles unless another is named. With `tags`, the session carries exactly these.
    """
    conditions: dict[str, dict[str, str]] = {"StringLike": {"sts:RoleSessionName": f"{vault_role}@*"}}
    if environment.aws.external_id:
        conditions["StringEquals"] = {"sts:ExternalId": environment.aws.external_id}
    principal = {"AWS": broker or environment.aws.broker_arn}
    statements: list[Json] = [
        {"Action": "sts:AssumeRole", "Condition": conditions, "Effect": "Allow", "Principal": principal}
    ]
    if tags:
        # A statement of its own: AWS asks for sts:TagSession without the conditions of sts:AssumeRole.
        only = {
            "ForAllValues:StringEquals": {"aws:TagKeys": sorted(tags)},
            "StringEquals": {f"aws:RequestTag/{name}": value for name, value in sorted(tags.items())},
        }
        statements.append({"Action": "sts:TagSession", "Condition": only, "Effect": "Allow", "Principal": principal})
    return {"Statement": statements, "Version": "2012-10-17"}


def compile_tool(workflow: WorkflowAccess, tool: ToolAccess, environment: Environment) -> ToolDocuments:
    """Return the documents of an AWS tool; raise `CompileError` where IAM's limits cannot be met."""
    if not tool.granted:
        return ToolDocuments(access=tool, policy=None)
    documents = compile_role(
        environment,
        workflow,
        tool.tool,
        RolePlace(
            iam_name=names.iam_role_name(environment.name, tool.workflow, tool.tool),
            kind="tool",
            mount=environment.vault.aws_mount,
            vault_role=names.vault_role_name(tool.workflow, tool.tool),
            broker=environment.aws.broker_arn,
        ),
        split_statements(statements_of(tool), workflow=tool.workflow, tool=tool.tool),
        (tool.ttl_seconds, tool.max_ttl_seconds),
    )
    return ToolDocuments(
        access=tool,
        # Only `ttl` may be asked for: role_arn and role_session_name are Vault's to fill, so that the trail is true.
        policy=credential_policy(tool, documents.vault_role.credential_path, allowed_parameters={"ttl": []}),
        aws=documents,
    )


@dataclass(frozen=True, slots=True)
class RolePlace:
    """Where a role stands: its IAM name and the kind of its path, and which role of which `mount` assumes it.

    `broker` is the ARN of the identity that Vault has behind that mount.
    """

    iam_name: str
    kind: str
    mount: str
    vault_role: str
    broker: str


def compile_role(  # noqa: PLR0913, PLR0917 - a role has this many sides
    environment: Environment,
    workflow: WorkflowAccess,
    tool: str,
    place: RolePlace,
    policies: Mapping[str, Json],
    seconds: tuple[int, int],
) -> AwsDocuments:
    """Return an IAM role under the boundary with `policies`, and the Vault role that assumes it.

    `seconds` are how long its sessions live: by default, and at most.
    """
    aws = environment.aws
    tags = {"environment": environment.name, "tool": tool, "workflow": workflow.name}
    session_tags = tags if aws.session_tags else {}
    role = IamRole(
        name=place.iam_name,
        path=names.iam_role_path(environment.name, place.kind),
        trust_policy=trust_policy(environment, place.vault_role, session_tags, broker=place.broker),
        policies=policies,
        boundary_arn=names.boundary_arn(aws.partition, aws.account, environment.name),
        max_session_seconds=max(seconds[1], ROLE_SESSION_FLOOR_SECONDS),
        tags={**tags, "managed-by": "narrowgate", "owner": workflow.owner},
    )
    settings: dict[str, Any] = {
        "credential_type": "assumed_role",
        "default_sts_ttl": seconds[0],
        "max_sts_ttl": seconds[1],
        "role_arns": [role.arn(aws.partition, aws.account)],
    }
    if aws.external_id:
        settings["external_id"] = aws.external_id
    if session_tags:
        settings["session_tags"] = session_tags
    path = f"{place.mount}/sts/{place.vault_role}"
    return AwsDocuments(role, VaultSecretRole(place.mount, place.vault_role, path, settings))


def describe_connection(documents: ToolDocuments, environment: Environment) -> Json:
    """Return what an agent must know to use the credentials."""
    aws = environment.aws
    described: dict[str, Any] = {"account": aws.account, "partition": aws.partition, "region": aws.region}
    described["endpoint_url"] = aws.endpoint_url
    if documents.aws is not None:
        described["role_arn"] = documents.aws.role.arn(aws.partition, aws.account)
    return described


def _check_tool(tool: ToolAccess) -> None:
    split_statements(statements_of(tool), workflow=tool.workflow, tool=tool.tool)


def _chained_cap(environment: Environment) -> tuple[int, str] | None:
    """Return STS's cap on a role's session that assumes another role, where Vault's broker is a role."""
    if ":role/" not in environment.aws.broker_arn:
        return None
    return CHAINED_CAP_SECONDS, "Vault's broker is a role, and sessions that a role's session opens end after 1h"


AWS: Final = BackendCompiler(
    backend=Backend.AWS,
    grant_models=(AwsGrant,),
    binding_model=AwsBinding,
    check_tool=_check_tool,
    compile_tool=compile_tool,
    describe_connection=describe_connection,
    ttl_floor_seconds=STS_FLOOR_SECONDS,
    ttl_floor_reason="AWS STS issues no session shorter than 15m",
    ttl_cap=_chained_cap,
)
