"""One workflow in one environment: its access with real names and exact data, and every mistake on the way.

This module must not read files or compile documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from narrowgate.compile import names
from narrowgate.compile.backends.backend import SCOPE, TOOL, WORKFLOW
from narrowgate.compile.errors import CompileError, PlaceError
from narrowgate.compile.executions import resolve_execution
from narrowgate.compile.gate import EXECUTION_SECONDS
from narrowgate.compile.identity import CARRIES_USER, missing_bindings
from narrowgate.compile.references import Reference, Value
from narrowgate.declarations.durations import format_duration
from narrowgate.declarations.errors import DeclarationError, suggest
from narrowgate.plan import (
    ActionAccess,
    Approval,
    Backend,
    Environment,
    Factor,
    Grant,
    ToolAccess,
    WorkflowAccess,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.declarations.catalogue import Tool, ToolAction
    from narrowgate.declarations.environments import EnvironmentSource
    from narrowgate.declarations.models import ApprovalDeclaration, ToolUse
    from narrowgate.declarations.source import KeyPath
    from narrowgate.declarations.workflows import Workflow

# An audience ends in a workflow's name; theirs ends so too.
RESERVED: Final = frozenset({names.APPROVERS_MOUNT, names.EXECUTORS_MOUNT})


@dataclass(slots=True)
class WorkflowPlanner:
    """Plans one workflow in one environment; a workflow that is not promoted there is checked all the same."""

    tools: Mapping[str, Tool | None]
    environment: Environment
    workflow: Workflow
    bindings: EnvironmentSource | None

    def plan(self) -> tuple[WorkflowAccess, list[DeclarationError]]:
        """Return the workflow's access and every mistake."""
        declaration = self.workflow.declaration
        errors = [*self._check_times(), *self._check_agent(), *self._check_name()]
        tools: list[ToolAccess] = []
        for name, use in sorted(declaration.tools.items()):
            if name not in self.tools:
                path: KeyPath = ("tools", name)
                errors.append(
                    self._error(f"no tool `{name}`", path, "unknown-tool", suggest(name, self.tools), key=True)
                )
                continue
            tool = self.tools[name]
            # A tool with mistakes of its own is reported there; nothing more can be said here.
            if tool is not None:
                access, found = self._plan_tool(tool, use)
                errors += found
                tools.append(access)
        errors += self._check_approvals()
        requesters = () if declaration.requesters == "none" else tuple(sorted(declaration.requesters))
        planned = WorkflowAccess(
            name=declaration.workflow,
            owner=declaration.owner,
            purpose=declaration.purpose,
            identity=declaration.identity,
            requesters=requesters,
            ttl_seconds=declaration.session.ttl,
            max_ttl_seconds=declaration.session.max_ttl,
            tools=tuple(tools),
        )
        return planned, errors

    @property
    def _here(self) -> bool:
        return self.environment.name in self.workflow.declaration.environments

    def _error(
        self, message: str, path: KeyPath, code: str, hint: str | None = None, *, key: bool = False
    ) -> DeclarationError:
        return self.workflow.source.error(message, path, code, hint, key=key)

    def _check_times(self) -> Iterator[DeclarationError]:
        if not self._here:
            return
        session, limits = self.workflow.declaration.session, self.environment.limits
        if session.max_ttl > limits.max_session_seconds:
            yield self._too_long(("session", "max_ttl"), limits.max_session_seconds)
        if session.ttl > limits.max_session_seconds:
            yield self._too_long(("session", "ttl"), limits.max_session_seconds)

    def _check_name(self) -> Iterator[DeclarationError]:
        """Yield whether the workflow's agents would log in with tokens for approvers or executors."""
        if self.environment.approvals is not None and self.workflow.name in RESERVED:
            message = f"`{self.workflow.name}` is who logs in at the gate"
            yield self._error(message, ("workflow",), "reserved-name", "name the workflow after its use case")

    def _check_agent(self) -> Iterator[DeclarationError]:
        """Yield what the environment does not say of the workflow's agent."""
        kind, name = self.workflow.declaration.identity, self.environment.name
        # Where requesters and login contradict each other, that is said already.
        if self._here and (kind in CARRIES_USER or self.workflow.declaration.requesters == "none"):
            for needed in missing_bindings(kind, self.workflow.name, self.environment):
                message = f"{name} does not say who logs in by `{kind}`: `{needed}` is missing"
                hint = f"add it to the environment `{name}`"
                yield self._error(message, ("identity",), "missing-binding", hint)

    def _too_long(self, path: KeyPath, cap: int) -> DeclarationError:
        message = f"longer than {self.environment.name} allows: {format_duration(cap)}"
        return self._error(message, path, "time", "shorten it, or have the environment's limits changed")

    def _plan_tool(self, tool: Tool, use: ToolUse) -> tuple[ToolAccess, list[DeclarationError]]:
        under: KeyPath = ("tools", tool.name)
        errors = [
            self._error(p.message, (*under, "scope", *p.path), p.code, p.hint, key=p.key)
            for p in tool.scope.check(use.scope, tool.name)
        ]
        actions = []
        for index, name in enumerate(use.actions):
            if name in tool.actions:
                actions.append(tool.actions[name])
            else:
                message = f"the tool `{tool.name}` has no action `{name}`"
                errors.append(
                    self._error(message, (*under, "actions", index), "unknown-action", suggest(name, tool.actions))
                )
        ttl, max_ttl, found = self._times(tool, use)
        errors += found
        scope = tool.scope.complete(use.scope)
        resolved: list[ActionAccess] = []
        if self._here and not errors:
            errors += self._check_bindings(tool)
            if not errors:
                values = self._values(tool, scope)
                resolved, found = self._resolve(tool, actions, values)
                errors += found
        access = ToolAccess(
            workflow=self.workflow.name,
            tool=tool.name,
            backend=tool.backend.backend,
            scope=_canonical(scope),
            actions=tuple(sorted(resolved, key=lambda action: action.name)),
            ttl_seconds=ttl,
            max_ttl_seconds=max_ttl,
            secret_fields=tool.secret_fields,
        )
        if self._here and not errors:
            errors += self._check_together(tool, access)
        return access, errors

    def _times(self, tool: Tool, use: ToolUse) -> tuple[int, int, list[DeclarationError]]:
        """Return ttl and max_ttl of a tool's credentials; a backend's floor raises `ttl`, never `max_ttl`."""
        session, cap = self.workflow.declaration.session, self.environment.limits.max_ttl_seconds
        under: KeyPath = ("tools", tool.name)
        errors: list[DeclarationError] = []
        chained = tool.backend.ttl_cap(self.environment)
        longest = min(cap, chained[0]) if chained is not None else cap
        max_ttl = use.max_ttl if use.max_ttl is not None else min(session.max_ttl, longest)
        floor = tool.backend.ttl_floor_seconds
        if self._here and max_ttl > cap:
            errors.append(self._too_long((*under, "max_ttl"), cap))
        elif self._here and chained is not None and max_ttl > longest:
            errors.append(self._error(f"longer than `{tool.name}` can live", (*under, "max_ttl"), "time", chained[1]))
        if max_ttl < floor:
            path = (*under, "max_ttl") if use.max_ttl is not None else ("session", "max_ttl")
            reason = tool.backend.ttl_floor_reason or f"a {tool.backend.backend} credential lives {floor} s at least"
            errors.append(self._error(f"`max_ttl` is too short for `{tool.name}`", path, "time", reason))
        wanted = use.ttl if use.ttl is not None else min(session.ttl, max_ttl)
        if wanted > max_ttl:
            errors.append(self._error("`ttl` is longer than `max_ttl`", (*under, "ttl"), "time", "shorten it"))
        return max(wanted, floor), max_ttl, errors

    def _check_bindings(self, tool: Tool) -> Iterator[DeclarationError]:
        for name, code, message, hint in find_binding_mistakes(tool, self.environment):
            if self.bindings is None:
                yield self._error(message, ("tools", tool.name), code, hint, key=True)
            else:
                yield DeclarationError(message, self.bindings.locate_binding(tool.name, name), code, hint)

    def _values(self, tool: Tool, scope: Mapping[str, object]) -> dict[Reference, Value]:
        aws = self.environment.aws
        values: dict[Reference, Value] = {
            Reference("env", "account"): aws.account,
            Reference("env", "name"): self.environment.name,
            Reference("env", "partition"): aws.partition,
            Reference("env", "region"): aws.region,
            SCOPE: _canonical(scope),
            TOOL: tool.name,
            WORKFLOW: self.workflow.name,
        }
        for name, bound in self.environment.binding(tool.name).values:
            values[Reference("binding", name)] = bound
        for name, value in scope.items():
            given = tuple(value) if isinstance(value, list) else value
            if isinstance(given, (str, int, bool, tuple)):
                values[Reference("scope", name)] = given
        return values

    def _resolve(
        self, tool: Tool, actions: list[ToolAction], values: Mapping[Reference, Value]
    ) -> tuple[list[ActionAccess], list[DeclarationError]]:
        resolved, errors = [], []
        for action in actions:
            grants: list[Grant] = []
            for _, grant in action.grants:
                try:
                    grants += grant.resolve(values)
                except PlaceError as error:
                    errors.append(self._error(str(error), self._blame(tool, error), error.code, error.hint))
            execution = None
            if action.execute is not None:
                try:
                    execution = resolve_execution(action.execute, action.inputs, values, action.description)
                except PlaceError as error:
                    errors.append(self._error(str(error), self._blame(tool, error), error.code, error.hint))
            # By text, not by equality: Python takes a row value True for 1.
            by_text = {repr(grant): grant for grant in grants}
            approval = self.workflow.declaration.approvals.get(f"{tool.name}.{action.name}")
            resolved.append(
                ActionAccess(
                    name=action.name,
                    access=action.access,
                    impact=action.impact,
                    gated=action.gated,
                    grants=tuple(by_text[key] for key in sorted(by_text)),
                    approval=None if approval is None else to_approval(approval),
                    execution=execution,
                )
            )
        return resolved, errors

    def _blame(self, tool: Tool, error: PlaceError) -> KeyPath:
        """Return where the value stands that does not fit: the scope's value, or the tool that the workflow names."""
        name = (error.reference or "").removeprefix("${scope.").removesuffix("}")
        path: KeyPath = ("tools", tool.name, "scope", name)
        return path if self.workflow.source.holds(path) else ("tools", tool.name)

    def _check_together(self, tool: Tool, access: ToolAccess) -> Iterator[DeclarationError]:
        try:
            tool.backend.check_tool(access)
        except CompileError as error:
            yield self._error(str(error), ("tools", tool.name, "actions"), error.code, error.hint)

    def _check_approvals(self) -> Iterator[DeclarationError]:
        declaration = self.workflow.declaration
        gated: set[str] = set()
        for name, use in declaration.tools.items():
            tool = self.tools.get(name)
            if tool is None:
                # Its gated actions are not known: say nothing about approvals that may be theirs.
                gated |= {key for key in declaration.approvals if key.startswith(f"{name}.")}
                continue
            for index, action in enumerate(use.actions):
                if action in tool.actions and tool.actions[action].gated:
                    gated.add(key := f"{name}.{action}")
                    if key not in declaration.approvals:
                        path = ("tools", name, "actions", index)
                        hint = f"add `approvals: {{{key}: {{approvers: […], required: 1, expires: 30m}}}}`"
                        yield self._error(f"{key} is of high impact: who approves it?", path, "missing-approval", hint)
                        continue
                    if self._here and tool.actions[action].execute is not None:
                        yield from self._check_gate(tool, key)
        for key in declaration.approvals:
            if key not in gated:
                message = f"`{key}` is no gated action of this workflow"
                yield self._error(message, ("approvals", key), "unknown-approval", suggest(key, gated), key=True)

    def _check_gate(self, tool: Tool, key: str) -> Iterator[DeclarationError]:
        """Yield why the environment could not hold a request for an executable action until it is decided."""
        approval, path = self.workflow.declaration.approvals[key], ("approvals", key)
        binding, limits = self.environment.approvals, self.environment.limits
        if binding is None:
            hint = f"add `approvals: {{groups: [...]}}` to the environment `{self.environment.name}`"
            yield self._error(f"{self.environment.name} does not say who may approve", path, "missing-binding", hint)
            return
        for factor in to_approval(approval).factors:
            for group in factor.groups:
                if group not in binding.groups:
                    message = f"{self.environment.name} knows no approvers called `{group}`"
                    yield self._error(message, path, "unknown-approvers", suggest(group, binding.groups))
        if approval.expires + EXECUTION_SECONDS > limits.max_session_seconds:
            yield self._too_long((*path, "expires"), limits.max_session_seconds - EXECUTION_SECONDS)
        if tool.name not in {bound.tool for bound in self.environment.tools}:
            hint = f"add `tools: {{{tool.name}: {{}}}}` to the environment `{self.environment.name}`"
            yield self._error(
                f"{self.environment.name} has no executor of `{tool.name}`", path, "missing-binding", hint
            )
        if tool.backend.backend is Backend.AWS and not self.environment.aws.gated_broker_arn:
            hint = f"add `aws: gated_broker_arn` to the environment `{self.environment.name}`"
            yield self._error(f"{self.environment.name} has no broker for gated roles", path, "missing-binding", hint)


def find_binding_mistakes(tool: Tool, environment: Environment) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is wrong with an environment's bindings of `tool`: the binding's name, a code, a message, a hint."""
    bound = dict(environment.binding(tool.name).values)
    where = f"the environment `{environment.name}`, `tools: {tool.name}`"
    for name in sorted(tool.bindings - bound.keys()):
        message = f"{environment.name} does not bind `{name}` of the tool `{tool.name}`"
        yield name, "missing-binding", message, f"add it to {where}"
    model = tool.backend.binding_model
    own = {k: v for k, v in bound.items() if k in model.model_fields or k not in tool.bindings}
    try:
        model.model_validate(own)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            name = str(details["loc"][0])
            code = "missing-binding" if details["type"] == "missing" else "bad-binding"
            message = f"{environment.name}'s binding `{name}` of the tool `{tool.name}`: {details['msg'].lower()}"
            yield name, code, message, f"correct it in {where}"


def _canonical(scope: Mapping[str, object]) -> str:
    return json.dumps(scope, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def to_approval(declaration: ApprovalDeclaration) -> Approval:
    """Return the approval rule: the first factor from `approvers`, further ones from `all_of`, in order."""
    factors = [Factor(tuple(sorted(set(f.approvers))), f.required) for f in declaration.all_of]
    if declaration.approvers is not None:
        factors.insert(0, Factor(tuple(sorted(set(declaration.approvers))), declaration.required))
    return Approval(tuple(factors), declaration.expires)
