"""Plain `pulumi refresh` finds no difference; `destroy` leaves no identity, and `up` makes them all again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.runtime import LoginRefusedError, login
from rehearsal import stack

if TYPE_CHECKING:
    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
PLAIN = ("--non-interactive", "--color", "never")


def read_as_agent(rehearsal: LiveRehearsal) -> int:
    token = rehearsal.token("alice", WORKFLOW)
    with login(rehearsal.manifest(WORKFLOW), token) as agent, agent.postgres("incidents") as connection:
        return len(connection.execute("SELECT id FROM incidents").fetchall())


def list_identities(rehearsal: LiveRehearsal) -> list[str]:
    """Return what carries access for any workflow: IAM roles, auth mounts, policies, group roles."""
    roles = rehearsal.aws("iam").list_roles(PathPrefix="/narrowgate/dev/tool/")["Roles"]
    vault = rehearsal.vault()
    mounts = [path for path in vault.sys.list_auth_methods()["data"] if path.startswith("agents/")]
    policies = [n for n in vault.sys.list_policies()["data"]["policies"] if n.startswith(("agent.", "tool."))]
    with rehearsal.postgres() as connection:
        groups = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ng\\_dev\\_%'").fetchall()
    return sorted([*(role["RoleName"] for role in roles), *mounts, *policies, *(name for (name,) in groups)])


def test_a_refresh_finds_no_difference(rehearsal: LiveRehearsal) -> None:
    rehearsal.run("pulumi", "refresh", "--yes", "--expect-no-changes", *PLAIN)
    rehearsal.run("pulumi", "up", "--yes", "--expect-no-changes", *PLAIN)


def test_destroy_leaves_no_identity_and_up_makes_them_again(rehearsal: LiveRehearsal) -> None:
    before = list_identities(rehearsal)
    assert before
    try:
        rehearsal.run("pulumi", "destroy", "--yes", *PLAIN)
        assert list_identities(rehearsal) == []
        with pytest.raises(LoginRefusedError):
            read_as_agent(rehearsal)
    finally:
        rehearsal.run("pulumi", "up", "--yes", *PLAIN)
        stack.write_manifests(rehearsal.layout)
    assert list_identities(rehearsal) == before
    assert read_as_agent(rehearsal) > 0
