"""`PostgresAccess`: what PostgreSQL itself must hold for one tool of one workflow, as a Pulumi resource.

A dynamic resource over psycopg. Its provider has no state and is serialized as a reference to the class below, so that
a change of its code never shows as a change of a resource. That holds while this module is imported, not run.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypedDict

import pulumi  # noqa: TC002 - the SDK evaluates a resource's annotations
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from narrowgate_pulumi.postgres_deploy import (
    PostgresFailedError,
    deploy_group,
    inspect_place,
    observe_group,
    remove_group,
)

if TYPE_CHECKING:
    from narrowgate_pulumi.postgres_catalog import Observed

# One group is one role name in one database; the address is only the way to it.
IDENTITY = ("group", "database")
INPUTS = ("group", "broker", "host", "port", "database", "sslmode", "tables", "functions")


class PostgresAccessArgs(TypedDict):
    """What `PostgresAccess` takes, all of it known before deploy."""

    group: str
    """Name of the NOLOGIN group role."""
    broker: str
    """Role by which Vault makes logins in the group; it gets ADMIN OPTION and neither INHERIT nor SET."""
    host: str
    """Where the server is."""
    port: int
    """The server's TCP port."""
    database: str
    """The database that holds the tables."""
    sslmode: str
    """libpq's mode of TLS; the CA comes from libpq's environment (PGSSLROOTCERT)."""
    tables: list[dict[str, Any]]
    """An entry for each table and privilege, as `PostgresDocuments.tables`: `schema`, `table`, `privilege`, …"""
    functions: list[dict[str, Any]]
    """`schema`, `function`, `arguments` of each function, as `PostgresDocuments.functions`."""


class PostgresAccessProvider(ResourceProvider):
    """Carries out the life cycle of a `PostgresAccess`. It connects by libpq's environment and keeps no secret."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse before anything is made, in preview: a database that would widen the declared access."""
        inputs = _inputs(news)
        try:
            reasons = inspect_place(inputs)
        except PostgresFailedError as error:
            return CheckResult(news, [CheckFailure("database", f"{error} {error.hint}")])
        return CheckResult(news, [CheckFailure(inputs["group"], reason) for reason in reasons])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare with the declared inputs and, after a refresh, with what the server was seen to hold."""
        changed = [name for name in INPUTS if olds.get(name) != news.get(name)]
        replaces = [name for name in changed if name in IDENTITY]
        drifted = olds.get("deployed") != digest(olds.get("observed") or [])
        return DiffResult(changes=bool(changed or drifted), replaces=replaces, delete_before_replace=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the group role with its grants and policies, or adopt one that a crashed deploy left behind."""
        inputs = _inputs(props)
        return CreateResult(f"{inputs['database']}/{inputs['group']}", _outputs(inputs, deploy_group(inputs)))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Read what the server holds; a group that is gone is reported as gone."""
        observed = observe_group(_inputs(props))
        if observed is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "observed": to_lines(observed)})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Bring the group back into step: all that it holds is taken away and granted anew, in one transaction."""
        inputs = _inputs(news)
        return UpdateResult(_outputs(inputs, deploy_group(inputs)))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the group, its grants and its policies."""
        remove_group(_inputs(props))


class PostgresAccess(Resource, module="narrowgate", name="PostgresAccess"):
    """A NOLOGIN group role with column grants and row policies, kept in step with its declaration.

    Outputs beside the inputs: `observed`, one line for each fact that the server's catalogs hold about the group, and
    `deployed`, their digest after the last deploy. They differ after a refresh that saw drift.
    """

    observed: pulumi.Output[list[str]]
    deployed: pulumi.Output[str]

    def __init__(self, name: str, args: PostgresAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {**args, "observed": None, "deployed": None}
        super().__init__(PostgresAccessProvider(), name, props, opts)


def to_lines(observed: Observed) -> list[str]:
    """Return one line of text for each fact: Pulumi drops nulls from nested values, and a person reads the diff."""
    return [f"{kind} {json.dumps(fact, sort_keys=True)}" for kind, facts in observed.items() for fact in _facts(facts)]


def digest(lines: list[str]) -> str:
    """Return the SHA-256 of the lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _facts(facts: Any) -> list[Any]:  # noqa: ANN401 - a mapping for the role, else a list of rows
    return facts if isinstance(facts, list) else [facts]


def _inputs(props: dict[str, Any]) -> dict[str, Any]:
    """Return the declared inputs out of a resource's properties."""
    return {name: props[name] for name in INPUTS}


def _outputs(inputs: dict[str, Any], observed: Observed) -> dict[str, Any]:
    lines = to_lines(observed)
    return {**inputs, "observed": lines, "deployed": digest(lines)}
