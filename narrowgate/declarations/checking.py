"""Judges all declarations of a repository at once, for people and CI: every file, every environment, every mistake.

This module must not print; `narrowgate.cli.check` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.compile import CompileError, compile_plan
from narrowgate.compile.backends import BACKENDS
from narrowgate.declarations.durations import format_duration
from narrowgate.declarations.environments import CONFIG_PATH, find_environments, read_environment
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors, suggest
from narrowgate.declarations.planning import Declarations, read_declarations
from narrowgate.declarations.ruling import find_broken_rules, find_unknown_rules
from narrowgate.declarations.separation import find_shared
from narrowgate.declarations.shards import find_shard_mistakes
from narrowgate.declarations.workflow_planning import find_binding_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from narrowgate.declarations.environments import EnvironmentSource
    from narrowgate.errors import Location
    from narrowgate.plan import AccessPlan


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader should know and that is no mistake."""

    location: Location
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found: mistakes, notices, and the plans of the environments that have no mistake."""

    environments: tuple[str, ...]
    plans: tuple[AccessPlan, ...]
    errors: tuple[DeclarationError, ...]
    notices: tuple[Notice, ...]


def check_stacks(stacks_dir: Path, environments: Sequence[str] | None = None) -> CheckReport:
    """Check the declarations under `stacks_dir` in `environments`, or in all that have a config there."""
    names = list(environments) if environments is not None else find_environments(stacks_dir)
    declarations = read_declarations(stacks_dir)
    errors, sources, plans = list(declarations.errors), [], []
    errors += find_unknown_rules(declarations.exceptions)
    for name in names:
        try:
            sources.append(read_environment(stacks_dir, name))
        except DeclarationErrors as error:
            errors += error.errors
    for source in sources:
        bound = list(_check_bound_tools(source, declarations))
        errors += bound
        try:
            plan = declarations.plan(source.environment, source)
            # The foundation has a document for every binding, right or not.
            if not bound:
                errors += find_broken_rules(plan, compile_plan(plan), declarations, source)
                plans.append(plan)
        except DeclarationErrors as error:
            errors += error.errors
        except CompileError as error:
            errors.append(_place(error, declarations))
    for source in sources:
        errors += find_shard_mistakes(stacks_dir, source.environment.name)
    errors += find_shared(sources)
    if environments is None:
        errors += _check_environments(declarations, [source.environment.name for source in sources])
    ordered = DeclarationErrors(errors).errors if errors else ()
    notices = {notice for plan in plans for notice in _floors(plan, declarations)}
    return CheckReport(
        tuple(names), tuple(plans), ordered, tuple(sorted(notices, key=lambda n: (n.location, n.message)))
    )


def _check_bound_tools(source: EnvironmentSource, declarations: Declarations) -> Iterator[DeclarationError]:
    """Yield what is wrong with bindings, whether a workflow uses their tool or not."""
    for binding in source.environment.tools:
        if binding.tool not in declarations.tools:
            message = f"{source.environment.name} binds names of `{binding.tool}`, which is no tool"
            path, hint = (*CONFIG_PATH, "tools", binding.tool), suggest(binding.tool, declarations.tools)
            yield source.source.error(message, path, "unknown-tool", hint, key=True)
        elif (tool := declarations.tools[binding.tool]) is not None:
            for name, code, message, hint in find_binding_mistakes(tool, source.environment):
                yield DeclarationError(message, source.locate_binding(tool.name, name), code, hint)


def _check_environments(declarations: Declarations, known: list[str]) -> Iterator[DeclarationError]:
    for workflow in declarations.workflows:
        for index, name in enumerate(workflow.declaration.environments):
            if name not in known:
                path = ("environments", index)
                message = f"no environment `{name}`"
                yield workflow.source.error(message, path, "unknown-environment", suggest(name, known))


def _place(error: CompileError, declarations: Declarations) -> DeclarationError:
    for workflow in declarations.workflows:
        if workflow.name == error.workflow:
            return workflow.source.error(str(error), ("tools", error.tool), error.code, error.hint, key=True)
    first = declarations.workflows[0].source
    return first.error(str(error), (), error.code, error.hint)


def _floors(plan: AccessPlan, declarations: Declarations) -> Iterator[Notice]:
    """Yield where a backend gives a longer life than the workflow asks for: said, not hidden."""
    sources = {workflow.name: workflow for workflow in declarations.workflows}
    for access in plan.workflows:
        workflow = sources[access.name]
        for tool in access.tools:
            use = workflow.declaration.tools[tool.tool]
            wanted = use.ttl if use.ttl is not None else workflow.declaration.session.ttl
            if wanted < tool.ttl_seconds:
                reason = BACKENDS[tool.backend].ttl_floor_reason
                life = format_duration(tool.ttl_seconds)
                message = f"credentials for `{tool.tool}` live {life}, not {format_duration(wanted)}: {reason}"
                yield Notice(workflow.source.locate(("tools", tool.tool), key=True), "time-floor", message)
