"""Who gets in as which agent, what Vault gives it and nothing beside, and how it ends: tried past the library too."""

from __future__ import annotations

import itertools
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from agent_plan import AWS, PATHS, PLAN, WORKFLOWS, find_requester, name_tool

from narrowgate.runtime import (
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    NotDeclaredError,
    RevokedError,
    login,
)
from rehearsal import bao, idp

if TYPE_CHECKING:
    from narrowgate.plan import ToolAccess
    from rehearsal.live import LiveRehearsal

FORBIDDEN = 403
CLOCK_SECONDS = 5


# -- Vault


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_only_its_own_credential_paths_are_open(rehearsal: LiveRehearsal, workflow: str) -> None:
    vault = rehearsal.vault(log_in(rehearsal, workflow))
    for (owner, _tool), path in PATHS.items():
        if path is not None and owner != workflow:
            assert_forbidden(vault, "GET", path)
            assert_forbidden(vault, "GET", path.replace(f"{owner}.", f"{owner}%2e"))
    for path in (
        "sys/auth",
        "sys/mounts",
        "sys/policies/acl?list=true",
        "narrowgate-aws/config/root",
        "identity/entity",
    ):
        assert_forbidden(vault, "GET", path)
    for path in ("auth/token/create", "auth/token/create-orphan", "sys/capabilities-self", "sys/wrapping/wrap"):
        assert_forbidden(vault, "POST", path)
    vault.auth.token.revoke_self()


@pytest.mark.parametrize(
    "parameter",
    ["role_arn=arn:aws:iam::111111111111:role/narrowgate/dev/tool/other", "role_session_name=somebody-else"],
)
@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_vault_takes_no_session_of_the_agents_choice(
    rehearsal: LiveRehearsal, tool: ToolAccess, parameter: str
) -> None:
    vault = rehearsal.vault(log_in(rehearsal, tool.workflow))
    path = PATHS[tool.workflow, tool.tool]
    name, _, value = parameter.partition("=")
    assert_forbidden(vault, "POST", path, json={name: value})
    assert_forbidden(vault, "GET", f"{path}?{parameter}")
    vault.auth.token.revoke_self()


@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_a_session_lives_no_longer_than_declared_whatever_is_asked(rehearsal: LiveRehearsal, tool: ToolAccess) -> None:
    """Vault does not refuse a longer time: it shortens it, for the lease and for the STS session alike."""
    vault = rehearsal.vault(log_in(rehearsal, tool.workflow))
    asked = time.time()
    answer = vault.adapter.get(f"/v1/{PATHS[tool.workflow, tool.tool]}", params={"ttl": "24h"})
    assert answer["lease_duration"] <= tool.max_ttl_seconds
    (event,) = [
        event
        for event in map(json.loads, rehearsal.layout.cloudtrail.read_text(encoding="utf-8").splitlines())
        if event["eventName"] == "AssumeRole"
        and (event["responseElements"] or {}).get("credentials", {}).get("accessKeyId") == answer["data"]["access_key"]
    ]
    ends = datetime.fromisoformat(event["responseElements"]["credentials"]["expiration"])
    assert ends.timestamp() <= asked + tool.max_ttl_seconds + CLOCK_SECONDS
    vault.auth.token.revoke_self()


def test_the_user_shows_in_vaults_log_and_in_the_database(rehearsal: LiveRehearsal) -> None:
    workflow = "incident-summarization"
    with login(rehearsal.manifest(workflow), rehearsal.token("alice", workflow)) as agent:
        with agent.postgres("incidents") as connection:
            row = connection.execute("SELECT session_user").fetchone()
        assert row is not None
        assert f"{workflow}-alice-" in row[0]
    path = PATHS[workflow, "incidents"]
    entries = map(json.loads, bao.audit_file(rehearsal.layout).read_text(encoding="utf-8").splitlines())
    names = [e["auth"]["display_name"] for e in entries if e["type"] == "response" and e["request"]["path"] == path]
    assert names[-1] == f"agents-{workflow}-alice"


def log_in(rehearsal: LiveRehearsal, workflow: str) -> str:
    """Log in past the library, and return the token."""
    body = {"role": "agent", "jwt": rehearsal.token(find_requester(workflow), workflow)}
    answer = rehearsal.vault("").write_data(f"auth/agents/{workflow}/login", data=body)
    return str(answer["auth"]["client_token"])


def assert_forbidden(vault: Any, method: str, path: str | None, json: object = None) -> None:  # noqa: ANN401 - hvac is untyped
    headers = {"X-Vault-Token": vault.token}
    answer = vault.adapter.session.request(method, f"{vault.url}/v1/{path}", headers=headers, json=json, timeout=10)
    assert answer.status_code == FORBIDDEN, (path, answer.status_code)


# -- logins


@pytest.mark.parametrize("user", sorted(idp.DIRECTORY))
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_only_requesters_may_ask(rehearsal: LiveRehearsal, workflow: str, user: str) -> None:
    asked = PLAN.workflow(workflow)
    assert asked is not None
    token = rehearsal.token(user, workflow)
    if set(idp.DIRECTORY[user]) & set(asked.requesters):
        with login(rehearsal.manifest(workflow), token):
            return
    with pytest.raises(LoginRefusedError), login(rehearsal.manifest(workflow), token):
        pass


@pytest.mark.parametrize(("workflow", "other"), itertools.permutations(WORKFLOWS, 2))
def test_an_agent_is_taken_for_no_other(rehearsal: LiveRehearsal, workflow: str, other: str) -> None:
    user = find_requester(workflow)
    subject = idp.look_up(user, idp.DIRECTORY[user], workflow)
    tokens = {
        "as it is": rehearsal.token(user, other, groups=idp.DIRECTORY[user]),
        "for another audience": idp.sign_token(rehearsal.layout, subject, aud=idp.audience(rehearsal.layout, other)),
        "of another agent": idp.sign_token(rehearsal.layout, subject, act={"sub": f"agent:{other}"}),
    }
    for what, token in tokens.items():
        with pytest.raises(LoginRefusedError), login(rehearsal.manifest(workflow), token):
            pytest.fail(f"a token {what} logged in")


CLAIMS: dict[str, dict[str, Any]] = {
    "no agent": {"act": None},
    "another issuer": {"iss": "https://idp.elsewhere.example"},
    "no audience": {"aud": []},
    "an environment beside": {"aud": "narrowgate:prod:incident-summarization"},
    "no group": {"groups": []},
    "a group that only begins so": {"groups": ["on-call-shadow"]},
    "not yet": {"nbf": int(time.time()) + 3600},
}


@pytest.mark.parametrize("what", sorted(CLAIMS))
def test_a_signed_token_with_wrong_claims_is_refused(rehearsal: LiveRehearsal, what: str) -> None:
    workflow = "incident-summarization"
    token = idp.sign_token(rehearsal.layout, idp.look_up("alice", None, workflow), **CLAIMS[what])
    with pytest.raises(LoginRefusedError), login(rehearsal.manifest(workflow), token):
        pass


def test_an_expired_token_is_refused(rehearsal: LiveRehearsal) -> None:
    token = rehearsal.token("alice", "incident-summarization", ttl_seconds=-60)
    with pytest.raises(ExpiredError), login(rehearsal.manifest("incident-summarization"), token):
        pass


def test_a_revoked_login_is_over_with_all_it_fetched(rehearsal: LiveRehearsal) -> None:
    workflow = "incident-summarization"
    operator = rehearsal.vault()
    before = set(operator.list("auth/token/accessors")["data"]["keys"])
    with login(rehearsal.manifest(workflow), rehearsal.token("alice", workflow)) as agent:
        connection = agent.postgres("incidents")
        user = connection.info.user
        (accessor,) = set(operator.list("auth/token/accessors")["data"]["keys"]) - before
        operator.auth.token.revoke_accessor(accessor)
        wait_until_gone(rehearsal, user)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        with pytest.raises(RevokedError):
            agent.credential("incidents")


def test_the_end_of_the_block_ends_the_database_login(rehearsal: LiveRehearsal) -> None:
    workflow = "ticket-drafting"
    with login(rehearsal.manifest(workflow), rehearsal.token("sam", workflow)) as agent:
        credential = agent.credential("tickets")
        user, password = credential.values["username"], credential.values["password"]
        connection = agent.postgres("tickets")
        place = connection.info
        host, port, database = place.host, place.port, place.dbname
    wait_until_gone(rehearsal, user)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=host, port=port, dbname=database, user=user, password=password, sslmode="disable")


def test_tools_and_actions_that_are_not_declared_are_said_early(rehearsal: LiveRehearsal) -> None:
    workflow = "incident-summarization"
    with login(rehearsal.manifest(workflow), rehearsal.token("alice", workflow)) as agent:
        with pytest.raises(NotDeclaredError, match="declares no tool 'vendors'"):
            agent.postgres("vendors")
        with pytest.raises(NotDeclaredError, match=r"may not incidents\.delete"):
            agent.postgres("incidents", action="delete")
        with pytest.raises(GatedActionError, match=r"incidents\.close is of high impact"):
            agent.postgres("incidents", action="close")


def wait_until_gone(rehearsal: LiveRehearsal, user: str) -> None:
    deadline = time.monotonic() + 30
    with rehearsal.postgres() as connection:
        while connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (user,)).rowcount:
            assert time.monotonic() < deadline, f"{user} is still there"
            time.sleep(0.1)
