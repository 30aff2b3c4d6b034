"""The access lock as a value: all access of one environment as it was reviewed, and what it was reviewed for.

It holds what decides *who may do what with which data*: every workflow's expanded access, who each agent is, and the
environment's facts (account, broker, who signs logins, where in Vault credentials come from, which database a tool
means). It holds no address, key or certificate: those move without a change of access. This module holds values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.access.lock.facts import read_facts
from narrowgate.errors import Location, NarrowgateError
from narrowgate.plan import AccessPlan, RuleException, WorkflowAccess, WorkflowBinding

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.plan import Environment

VERSION: Final = 1


class LockError(NarrowgateError):
    """A lock that is missing, cannot be read, or is not for this environment; `location` where a place is known."""

    code = "lock"

    def __init__(self, message: str, *, location: Location | None = None, hint: str | None = None) -> None:
        super().__init__(f"{location}: {message}" if location else message, hint=hint)
        self.location = location


@dataclass(frozen=True, slots=True)
class AccessLock:
    """All access of `environment`, workflows sorted by name.

    `facts` are the environment's (name, value) in the order of `FACTS`; `agents` say who a workflow's agent is where
    its login is no JWT, sorted by workflow; `databases` are (tool, database), sorted by tool; `exceptions` from rules
    are sorted.
    """

    environment: str
    facts: tuple[tuple[str, str], ...]
    agents: tuple[WorkflowBinding, ...]
    databases: tuple[tuple[str, str], ...]
    workflows: tuple[WorkflowAccess, ...]
    exceptions: tuple[RuleException, ...] = ()

    def workflow(self, name: str) -> WorkflowAccess | None:
        """Return the workflow called `name`, or None."""
        return next((w for w in self.workflows if w.name == name), None)

    def plan(self, environment: Environment) -> AccessPlan:
        """Return the lock's access as a plan of `environment`, ready to compile; raise `LockError` for another's."""
        if environment.name != self.environment:
            raise another_environment(self.environment, environment.name, None)
        return AccessPlan(environment, self.workflows, self.exceptions)


def another_environment(found: str, wanted: str, location: Location | None) -> LockError:
    """Return the error for a lock of environment `found` where `wanted`'s is needed."""
    return LockError(
        f"the lock is for environment `{found}`, not for `{wanted}`",
        location=location,
        hint=f"write its own: narrowgate access lock --env {wanted}",
    )


def lock_of(plan: AccessPlan) -> AccessLock:
    """Return the lock that states exactly the access of `plan`, sorted, whatever order the plan is in."""
    environment = plan.environment
    databases = tuple(
        sorted((b.tool, str(database)) for b in environment.tools if (database := b.get("database")) is not None)
    )
    planned = {workflow.name for workflow in plan.workflows}
    agents = (b for b in environment.workflows if b.workflow in planned and b != WorkflowBinding(b.workflow))
    return AccessLock(
        environment=environment.name,
        facts=read_facts(environment),
        agents=tuple(sorted(agents, key=lambda binding: binding.workflow)),
        databases=databases,
        workflows=tuple(sorted(plan.workflows, key=lambda workflow: workflow.name)),
        exceptions=tuple(sorted(plan.exceptions)),
    )


def lock_file(stacks: Path, environment: str) -> Path:
    """Return where the lock of `environment` stands under the stacks folder."""
    return stacks / "locks" / f"{environment}.yaml"


__all__ = ["VERSION", "AccessLock", "LockError", "another_environment", "lock_file", "lock_of"]
