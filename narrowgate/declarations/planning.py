"""From declarations to the access plan: what each workflow may do in one environment, with real names and exact data.

All mistakes of all files are found in one run. This module must not compile documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from narrowgate.compile.collector import collector_paused
from narrowgate.declarations.catalogue import Tool, read_tools
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors
from narrowgate.declarations.exceptions import Exceptions, read_exceptions
from narrowgate.declarations.workflow_planning import WorkflowPlanner
from narrowgate.declarations.workflows import Workflow, read_workflows
from narrowgate.errors import Location
from narrowgate.plan import (
    AccessPlan,
    Environment,
)

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.declarations.environments import EnvironmentSource


@dataclass(frozen=True, slots=True)
class Declarations:
    """All tools and workflows of a folder as read once, and the mistakes in them; environments make plans of it."""

    folder: Path
    tools: dict[str, Tool | None]
    workflows: tuple[Workflow, ...]
    errors: tuple[DeclarationError, ...]
    exceptions: Exceptions = field(default_factory=Exceptions)

    def plan(self, environment: Environment, bindings: EnvironmentSource | None = None) -> AccessPlan:
        """Return the plan of `environment`; raise `DeclarationErrors` with every mistake of every file.

        A mistake of a binding is placed in `bindings` where that is given, else at the tool of each workflow.
        """
        errors = list(self.errors)
        planned = []
        with collector_paused():
            for workflow in self.workflows:
                access, found = WorkflowPlanner(self.tools, environment, workflow, bindings).plan()
                errors += found
                if environment.name in workflow.declaration.environments:
                    planned.append(access)
        if errors:
            raise DeclarationErrors(errors)
        workflows = tuple(sorted(planned, key=lambda access: access.name))
        return AccessPlan(environment, workflows, self.exceptions.of(environment.name))


def load_plan(stacks_dir: Path, environment: Environment) -> AccessPlan:
    """Return the access plan of `environment` from `tools/` and `workflows/` under `stacks_dir`.

    Raise `DeclarationErrors` with every mistake of every file, sorted by place.
    """
    return read_declarations(stacks_dir).plan(environment)


def read_declarations(stacks_dir: Path) -> Declarations:
    """Read all tools and workflows under `stacks_dir`; mistakes are kept, not raised."""
    errors: list[DeclarationError] = []
    for name in ("tools", "workflows"):
        folder = stacks_dir / name
        if not folder.is_dir():
            place = Location(folder, 1, 1)
            errors.append(DeclarationError("the folder is missing", place, "unreadable", "narrowgate init project"))
        for path in sorted(folder.glob("*.yml")):
            place = Location(path, 1, 1)
            errors.append(DeclarationError("declarations end in .yaml", place, "file-name", f"{path.stem}.yaml"))
    tools, found = read_tools(stacks_dir / "tools")
    workflows, more = read_workflows(stacks_dir / "workflows")
    exceptions = read_exceptions(stacks_dir)
    all_errors = (*errors, *found, *more, *exceptions.errors)
    return Declarations(stacks_dir, tools, tuple(workflows), all_errors, exceptions)
