"""The access lock as a value: all access of one environment as it was reviewed, and what it was reviewed for.

It holds what decides *who may do what with which data*: every workflow's expanded access, the AWS account and broker,
who signs logins, where in Vault credentials come from, which database a tool means. It holds no address, key or
certificate: those move without a change of access and stand in the environment's own file. This module holds values
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.errors import Location, NarrowgateError
from narrowgate.plan import AccessPlan, Environment, IdentityBinding, VaultBinding, WorkflowAccess

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1


class LockError(NarrowgateError):
    """A lock that is missing, cannot be read, or is not for this environment; `location` where a place is known."""

    code = "lock"

    def __init__(self, message: str, *, location: Location | None = None, hint: str | None = None) -> None:
        super().__init__(f"{location}: {message}" if location else message, hint=hint)
        self.location = location


@dataclass(frozen=True, slots=True)
class Logins:
    """Who signs the logins of agents, and where user, agent and groups stand in them (see `IdentityBinding`)."""

    issuer: str
    user_claim: str
    agent_claim: str
    groups_claim: str
    agent_prefix: str
    audience_prefix: str


@dataclass(frozen=True, slots=True)
class VaultPlaces:
    """Where in Vault credentials come from (see `VaultBinding`); a `namespace` that is empty is the root."""

    namespace: str
    auth_prefix: str
    aws_mount: str
    database_mount: str
    kv_mount: str
    pki_mount: str
    signing_key: str


@dataclass(frozen=True, slots=True)
class AccessLock:
    """All access of `environment`, workflows sorted by name; `databases` are (tool, database), sorted by tool."""

    environment: str
    account: str
    broker: str
    logins: Logins
    vault: VaultPlaces
    databases: tuple[tuple[str, str], ...]
    workflows: tuple[WorkflowAccess, ...]

    def workflow(self, name: str) -> WorkflowAccess | None:
        """Return the workflow called `name`, or None."""
        return next((w for w in self.workflows if w.name == name), None)

    def plan(self, environment: Environment) -> AccessPlan:
        """Return the lock's access as a plan of `environment`, ready to compile; raise `LockError` for another's."""
        if environment.name != self.environment:
            raise another_environment(self.environment, environment.name, None)
        return AccessPlan(environment, self.workflows)


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
    return AccessLock(
        environment=environment.name,
        account=environment.aws.account,
        broker=environment.aws.broker_arn,
        logins=_logins_of(environment.identity),
        vault=_places_of(environment.vault),
        databases=databases,
        workflows=tuple(sorted(plan.workflows, key=lambda workflow: workflow.name)),
    )


def _logins_of(identity: IdentityBinding) -> Logins:
    return Logins(
        issuer=identity.issuer,
        user_claim=identity.user_claim,
        agent_claim=identity.agent_claim,
        groups_claim=identity.groups_claim,
        agent_prefix=identity.agent_prefix,
        audience_prefix=identity.audience_prefix,
    )


def _places_of(vault: VaultBinding) -> VaultPlaces:
    return VaultPlaces(
        namespace=vault.namespace or "",
        auth_prefix=vault.auth_prefix,
        aws_mount=vault.aws_mount,
        database_mount=vault.database_mount,
        kv_mount=vault.kv_mount,
        pki_mount=vault.pki_mount,
        signing_key=vault.signing_key,
    )


def lock_file(stacks: Path, environment: str) -> Path:
    """Return where the lock of `environment` stands under the stacks folder."""
    return stacks / "locks" / f"{environment}.yaml"


__all__ = ["VERSION", "AccessLock", "LockError", "Logins", "another_environment", "lock_file", "lock_of"]
