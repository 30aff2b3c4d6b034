"""The tool catalogue: each tool checked once, whatever workflows make of it.

This module must not look at workflows or environments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from narrowgate.compile import executions
from narrowgate.compile.backends import BACKENDS, BackendCompiler
from narrowgate.compile.problems import Problem
from narrowgate.declarations.errors import DeclarationError, suggest
from narrowgate.declarations.models import ActionDeclaration, ToolDeclaration
from narrowgate.declarations.scopes import ScopeValidator, check_scope_schema
from narrowgate.declarations.source import KeyPath, Source, read_source
from narrowgate.declarations.validation import locate, validate
from narrowgate.plan import Access, Backend, Impact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from narrowgate.compile.backends.backend import DeclaredGrant
    from narrowgate.compile.execution import DeclaredExecution
    from narrowgate.compile.references import Reference

ENVIRONMENT_NAMES = ("account", "name", "partition", "region")


@dataclass(frozen=True, slots=True)
class ToolAction:
    """One checked action: its grants as models of the tool's backend, each with its key path.

    `execute` says how it is carried out after an approval, with `inputs`; None where nobody can.
    """

    name: str
    access: Access
    impact: Impact
    grants: tuple[tuple[KeyPath, DeclaredGrant], ...]
    description: str = ""
    execute: DeclaredExecution | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Return whether only the executor may hold its credentials: high impact always is."""
        return self.impact is Impact.HIGH


@dataclass(frozen=True, slots=True)
class Tool:
    """One checked tool of the catalogue."""

    name: str
    backend: BackendCompiler
    scope: ScopeValidator
    actions: dict[str, ToolAction]
    bindings: frozenset[str]
    source: Source
    secret_fields: tuple[str, ...] = ()


def read_tools(folder: Path) -> tuple[dict[str, Tool | None], list[DeclarationError]]:
    """Read every tool in `folder`; return tools by name (None for one with mistakes) and all mistakes."""
    tools: dict[str, Tool | None] = {}
    errors: list[DeclarationError] = []
    for path in sorted(folder.glob("*.yaml")):
        tool, found = read_tool(path)
        tools[path.stem] = tool if not found else None
        errors += found
    return tools, errors


def read_tool(path: Path) -> tuple[Tool | None, list[DeclarationError]]:
    """Read and check one tool's file."""
    try:
        source = read_source(path, inside=path.parent)
    except DeclarationError as error:
        return None, [error]
    declaration, errors = validate(ToolDeclaration, source.value, source)
    if declaration is None:
        return None, errors
    errors += locate(_check_header(declaration, path), source)
    errors += locate((p.under("scope") for p in check_scope_schema(declaration.scope)), source)
    backend = BACKENDS[Backend(declaration.backend)]
    actions: dict[str, ToolAction] = {}
    for name, action in declaration.actions.items():
        checked, found = _read_action(name, action, declaration, backend, source)
        errors += found
        actions[name] = checked
    if errors:
        return None, errors
    references = {r for a in actions.values() for _, grant in a.grants for _, r in grant.references()}
    references |= {r for a in actions.values() if a.execute is not None for r in executions.references_of(a.execute)}
    bindings = frozenset(r.name for r in references if r.kind == "binding")
    secret_fields = tuple(sorted(set(declaration.secret_fields)))
    scope = ScopeValidator(declaration.scope)
    return Tool(declaration.tool, backend, scope, actions, bindings, source, secret_fields), []


def _check_header(declaration: ToolDeclaration, path: Path) -> Iterator[Problem]:
    if declaration.tool != path.stem:
        hint = f"rename the file to {declaration.tool}.yaml, or the tool to {path.stem}"
        yield Problem(("tool",), "file-name", f"the file {path.name} declares the tool `{declaration.tool}`", hint)
    for name, action in declaration.actions.items():
        if action.access in {"delete", "permissions"} and action.impact != "high":
            message = f"an action that says `{action.access}` is always of high impact"
            yield Problem(("actions", name, "impact"), "impact-understated", message, "say `impact: high`")


def _read_action(
    name: str, action: ActionDeclaration, tool: ToolDeclaration, backend: BackendCompiler, source: Source
) -> tuple[ToolAction, list[DeclarationError]]:
    access, errors = Access(action.access), []
    grants: list[tuple[KeyPath, DeclaredGrant]] = []
    for index, raw in enumerate(action.grants):
        under: KeyPath = ("actions", name, "grants", index)
        grant, found = validate(backend.grant_model(raw), raw, source, under)
        if grant is not None:
            found += locate(grant.check(access), source, under)
            # A grant whose texts do not parse has no references to look at yet.
            found += [] if found else locate(_check_references(grant, tool), source, under)
            grants.append((under, grant))
        errors += found
    execute, found = _read_execution(name, action, tool, backend, source)
    errors += found
    if execute is not None and not errors:
        wrong = execute.check_grants([grant for _, grant in grants])
        errors += locate(wrong, source, ("actions", name, "execute"))
    made = ToolAction(
        name,
        access,
        Impact(action.impact),
        tuple(grants),
        description=action.description or "",
        execute=execute,
        inputs=action.inputs or {},
    )
    return made, errors


def _read_execution(
    name: str, action: ActionDeclaration, tool: ToolDeclaration, backend: BackendCompiler, source: Source
) -> tuple[DeclaredExecution | None, list[DeclarationError]]:
    """Read how an action is carried out after its approval, and what an agent gives for it."""
    under: KeyPath = ("actions", name)
    problems = [p.under("inputs") for p in executions.check_inputs_schema(action.inputs)] if action.inputs else []
    if (action.inputs is None) != (action.execute is None):
        missing = "inputs" if action.inputs is None else "execute"
        problems.append(Problem((), "missing-key", f"the key `{missing}` is missing", "give both or neither"))
    if action.execute is None:
        return None, list(locate(problems, source, under))
    if action.impact != "high":
        message = "only an action of high impact is executed after an approval"
        problems.append(Problem(("execute",), "bad-value", message, "say `impact: high`, or take it out", key=True))
    model = executions.find_execution(action.execute, backend.backend)
    if isinstance(model, Problem):
        return None, list(locate([*problems, model.under("execute")], source, under))
    execution, errors = validate(model, action.execute, source, (*under, "execute"))
    if execution is not None:
        check = lambda reference: _check_reference(reference, tool)  # noqa: E731 - one line that keeps the tool
        found = [*execution.check(), *executions.check_references(execution, action.inputs or {}, check)]
        problems += [p.under("execute") for p in found]
    return execution, errors + list(locate(problems, source, under))


def _check_references(grant: DeclaredGrant, tool: ToolDeclaration) -> Iterator[Problem]:
    for path, reference in grant.references():
        if (problem := _check_reference(reference, tool)) is not None:
            yield problem.under(*path)


def _check_reference(reference: Reference, tool: ToolDeclaration) -> Problem | None:
    # What an environment binds is known only there.
    known = {"env": ENVIRONMENT_NAMES, "scope": tuple(tool.scope), "binding": (reference.name,)}[reference.kind]
    if reference.name in known:
        return None
    return Problem((), "unknown-reference", f"{reference} names nothing", suggest(reference.name, known))
