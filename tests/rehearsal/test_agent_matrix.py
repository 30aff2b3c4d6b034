"""Every declared grant, tried as its agent with the credentials that Vault issues; and everything beside it, refused.

What is tried comes from the plan and from the seeded systems themselves, so a new workflow or tool is tried too.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import ClientError
from psycopg import sql

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import AccessPlan, Backend, FunctionGrant, TableGrant, ToolAccess
from narrowgate.runtime import (
    AccessRefusedError,
    Agent,
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    NotDeclaredError,
    RevokedError,
    login,
)
from rehearsal import idp
from rehearsal.layout import CHECKOUT
from rehearsal.postgres import SUPERUSER
from rehearsal.seed.aws_data import BUCKET, DOCUMENTS, LOG_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rehearsal.live import LiveRehearsal

STACKS = CHECKOUT / "stacks"
PLAN: AccessPlan = load_plan(STACKS, load_environment(STACKS, "dev"))
WORKFLOWS = [workflow.name for workflow in PLAN.workflows]
TOOLS = [tool for workflow in PLAN.workflows for tool in workflow.tools]
PATHS = {
    (documents.access.workflow, documents.access.tool): documents.credential_path
    for workflow in compile_plan(PLAN).workflows
    for documents in workflow.tools
}
POSTGRES = [tool for tool in TOOLS if tool.backend is Backend.POSTGRES]
TABLES = ("incidents", "tickets", "vendors")
TENANTS = ("emea", "amer")
GATED = [(tool, action.name) for tool in TOOLS for action in tool.gated]


def name_tool(tool: ToolAccess) -> str:
    return f"{tool.workflow}.{tool.tool}"


def find_requester(workflow: str) -> str:
    """Return a person of the directory who may ask this workflow."""
    asked = PLAN.workflow(workflow)
    assert asked is not None
    return next(user for user, groups in idp.DIRECTORY.items() if set(groups) & set(asked.requesters))


def table_grants(tool: ToolAccess, privilege: str) -> list[TableGrant]:
    grants = [grant for action in tool.granted for grant in action.grants if isinstance(grant, TableGrant)]
    return [grant for grant in grants if privilege in grant.privileges]


@pytest.fixture(scope="module")
def agents(rehearsal: LiveRehearsal) -> Iterator[Mapping[str, Agent]]:
    """One agent of each workflow, acting for a person who may ask it."""
    with contextlib.ExitStack() as stack:
        yield {
            workflow: stack.enter_context(
                login(rehearsal.manifest(workflow), rehearsal.token(find_requester(workflow), workflow))
            )
            for workflow in WORKFLOWS
        }


@pytest.fixture(scope="module")
def sessions(agents: Mapping[str, Agent]) -> Iterator[dict[str, psycopg.Connection]]:
    """One database session of each PostgreSQL tool."""
    with contextlib.ExitStack() as stack:
        yield {
            name_tool(tool): stack.enter_context(contextlib.closing(agents[tool.workflow].postgres(tool.tool)))
            for tool in POSTGRES
        }


def attempt(connection: psycopg.Connection, statement: sql.Composed | sql.SQL, *values: object) -> list[Any]:
    """Run a statement, return its rows, and take it back."""
    try:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else [cursor.rowcount]
    finally:
        connection.rollback()


def columns_of(rehearsal: LiveRehearsal, table: str) -> list[str]:
    with rehearsal.postgres(SUPERUSER) as connection:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
        return [str(row[0]) for row in connection.execute(query, (table,)).fetchall()]


# -- PostgreSQL


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_a_database_tool_reads_exactly_its_columns_and_rows(
    rehearsal: LiveRehearsal, sessions: dict[str, psycopg.Connection], tool: ToolAccess, table: str
) -> None:
    connection = sessions[name_tool(tool)]
    grants = [grant for grant in table_grants(tool, "SELECT") if grant.table == table]
    readable = {column for grant in grants for column in grant.columns}
    everything = columns_of(rehearsal, table)
    assert readable <= set(everything)
    assert set(everything) - readable, "each seeded table has a column that nobody may read"
    for column in everything:
        query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier("public", table))
        if column not in readable:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                attempt(connection, query)
            continue
        tenants = [value for grant in grants for row in grant.rows if row.column == "tenant" for value in row.values]
        with rehearsal.postgres(SUPERUSER) as admin:
            rows = admin.execute(query + sql.SQL(" WHERE tenant = ANY(%s)"), (tenants,)).fetchall()
        assert rows
        assert sorted(map(str, attempt(connection, query))) == sorted(map(str, rows))


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_rows_of_another_tenant_are_not_there(
    sessions: dict[str, psycopg.Connection], tool: ToolAccess, tenant: str
) -> None:
    for grant in table_grants(tool, "SELECT"):
        allowed = {value for row in grant.rows if row.column == "tenant" for value in row.values}
        query = sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s").format(sql.Identifier(grant.schema, grant.table))
        ((count,),) = attempt(sessions[name_tool(tool)], query, tenant)
        assert (count > 0) == (tenant in allowed)


@pytest.mark.parametrize("status", ["draft", "open", "closed"])
@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_a_ticket_is_written_only_where_it_is_declared(
    sessions: dict[str, psycopg.Connection], tool: ToolAccess, tenant: str, status: str
) -> None:
    wanted = {"tenant": tenant, "status": status}
    allowed = any(
        grant.table == "tickets" and all(wanted[row.column] in row.values for row in grant.rows)
        for grant in table_grants(tool, "INSERT")
    )
    insert = sql.SQL("INSERT INTO public.tickets (tenant, title, body, status) VALUES (%s, 'try', 'try', %s)")
    if allowed:
        assert attempt(sessions[name_tool(tool)], insert, tenant, status) == [1]
    else:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(sessions[name_tool(tool)], insert, tenant, status)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_no_agent_changes_or_deletes(
    sessions: dict[str, psycopg.Connection], tool: ToolAccess, verb: str, table: str
) -> None:
    assert not table_grants(tool, verb), "no declaration grants it, so it must be refused"
    place = sql.Identifier("public", table)
    statement = {
        "UPDATE": sql.SQL("UPDATE {} SET status = status").format(place),
        "DELETE": sql.SQL("DELETE FROM {}").format(place),
    }[verb]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(sessions[name_tool(tool)], statement)


def test_there_is_a_gated_action_to_try() -> None:
    assert GATED


@pytest.mark.parametrize(("tool", "action"), GATED, ids=[f"{name_tool(tool)}.{action}" for tool, action in GATED])
def test_a_gated_action_gives_no_credential(agents: Mapping[str, Agent], tool: ToolAccess, action: str) -> None:
    with pytest.raises(GatedActionError):
        agents[tool.workflow].credential(tool.tool, action=action)


@pytest.mark.parametrize("call", ["close_incident(1, 'x', 'x')", "create_vendor('emea', 'Ghost Ltd', 'IE', 'IE00')"])
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_no_agent_executes_a_high_impact_function(
    sessions: dict[str, psycopg.Connection], tool: ToolAccess, call: str
) -> None:
    assert not [g for action in tool.granted for g in action.grants if isinstance(g, FunctionGrant)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(sessions[name_tool(tool)], sql.SQL("SELECT public." + call))  # type: ignore[arg-type]


HOSTILE = {
    "the owner": "SET ROLE app_owner",
    "the functions' owner": "SET ROLE app_procedures",
    "the broker": "SET ROLE vault_broker",
    "the deployer": "SET ROLE deployer",
    "the superuser": "SET ROLE postgres",
    "another session user": "SET SESSION AUTHORIZATION deployer",
    "a temporary table": "CREATE TEMP TABLE incidents (id int)",
    "a temporary view": "CREATE TEMP VIEW v AS SELECT 1",
    "a table": "CREATE TABLE public.mine (x int)",
    "a schema before public": "CREATE SCHEMA mine",
    "a function": "CREATE FUNCTION public.now() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "copy out to a file": "COPY (SELECT 1) TO '/tmp/out'",
    "copy from a file": "COPY public.tickets (title) FROM '/etc/passwd'",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "a server file": "SELECT pg_catalog.pg_read_file('postgresql.conf')",
    "a folder of the server": "SELECT pg_catalog.pg_ls_dir('.')",
    "passwords": "SELECT rolpassword FROM pg_catalog.pg_authid",
    "statistics with values": "SELECT stavalues1 FROM pg_catalog.pg_statistic",
    "large objects": "SELECT data FROM pg_catalog.pg_largeobject",
    "a grant to everybody": "GRANT SELECT ON public.vendors TO PUBLIC",
    "a membership": "GRANT app_owner TO CURRENT_USER",
    "a longer life": "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'",
    "row security gone": "ALTER TABLE public.incidents DISABLE ROW LEVEL SECURITY",
    "a policy": "CREATE POLICY p ON public.tickets USING (true)",
    "the server itself": "SELECT pg_catalog.pg_promote()",
    "its settings read anew": "SELECT pg_catalog.pg_reload_conf()",
}


@pytest.mark.parametrize("trick", sorted(HOSTILE))
@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_hostile_sql_is_refused(sessions: dict[str, psycopg.Connection], tool: ToolAccess, trick: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(sessions[name_tool(tool)], sql.SQL(HOSTILE[trick]))  # type: ignore[arg-type]


@pytest.mark.parametrize("tool", POSTGRES, ids=name_tool)
def test_settings_of_a_session_show_no_more_rows(sessions: dict[str, psycopg.Connection], tool: ToolAccess) -> None:
    connection = sessions[name_tool(tool)]
    for grant in table_grants(tool, "SELECT"):
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(grant.table))
        ((before,),) = attempt(connection, query)
        for setting in ("search_path = pg_temp, public", "session_replication_role = replica", "row_security = off"):
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(sql.SQL("SET LOCAL " + setting))  # type: ignore[arg-type]
                    assert connection.execute(query).fetchall() == [(before,)]
            except psycopg.errors.InsufficientPrivilege:
                assert "search_path" not in setting
            finally:
                connection.rollback()


# -- AWS


def expect_aws(call: Any, *, allowed: bool) -> None:  # noqa: ANN401 - a boto3 call
    if allowed:
        assert call()
        return
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}


def refuse_aws(call: Any) -> None:  # noqa: ANN401 - as above
    expect_aws(call, allowed=False)


AWS = [tool for tool in TOOLS if tool.backend is Backend.AWS]


def declared_scope(tool: ToolAccess) -> str:
    return tool.scope


@pytest.mark.parametrize("group", sorted(LOG_EVENTS))
@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_log_groups_are_read_only_where_declared(agents: Mapping[str, Agent], tool: ToolAccess, group: str) -> None:
    logs = agents[tool.workflow].aws(tool.tool).client("logs")
    allowed = tool.tool == "logs" and f'"{group}"' in declared_scope(tool)
    expect_aws(lambda: logs.filter_log_events(logGroupName=group)["events"], allowed=allowed)


@pytest.mark.parametrize("key", sorted(DOCUMENTS))
@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_documents_are_read_only_under_the_declared_prefix(
    agents: Mapping[str, Agent], tool: ToolAccess, key: str
) -> None:
    s3 = agents[tool.workflow].aws(tool.tool).client("s3")
    prefix = key.partition("/")[0]
    allowed = tool.tool == "documents" and f'"prefix":"{prefix}"' in declared_scope(tool).replace(" ", "")
    expect_aws(lambda: s3.get_object(Bucket=BUCKET, Key=key)["Body"], allowed=allowed)
    expect_aws(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")["Contents"], allowed=allowed)
    refuse_aws(lambda: s3.list_objects_v2(Bucket=BUCKET))
    refuse_aws(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=b"x"))
    refuse_aws(lambda: s3.delete_object(Bucket=BUCKET, Key=key))


@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_a_session_neither_widens_nor_hands_on_itself(agents: Mapping[str, Agent], tool: ToolAccess) -> None:
    session = agents[tool.workflow].aws(tool.tool)
    arn = session.client("sts").get_caller_identity()["Arn"]
    role = arn.split("/")[1]
    iam, sts = session.client("iam"), session.client("sts")
    refuse_aws(iam.list_users)
    refuse_aws(lambda: iam.delete_role_permissions_boundary(RoleName=role))
    refuse_aws(lambda: iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument="{}"))
    own = f"arn:aws:iam::111111111111:role/narrowgate/dev/tool/{role}"
    refuse_aws(lambda: sts.assume_role(RoleArn=own, RoleSessionName=arn.split("/")[2]))


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
    [
        "role_arn=arn:aws:iam::111111111111:role/narrowgate/dev/tool/other",
        "role_session_name=somebody-else",
        "ttl=12h",
    ],
)
@pytest.mark.parametrize("tool", AWS, ids=name_tool)
def test_vault_takes_no_session_of_the_agents_choice(
    rehearsal: LiveRehearsal, tool: ToolAccess, parameter: str
) -> None:
    """An agent may read the path only; what it adds is refused, or changes neither role nor name nor longest time."""
    vault = rehearsal.vault(log_in(rehearsal, tool.workflow))
    path = PATHS[tool.workflow, tool.tool]
    name, _, value = parameter.partition("=")
    assert_forbidden(vault, "POST", path, json={name: value})
    answer = vault.adapter.request("get", f"/v1/{path}?{parameter}", raise_exception=False)
    content = answer if isinstance(answer, dict) else answer.json()
    if content.get("data"):
        assert "somebody-else" not in str(content["data"].get("arn", ""))
        assert "/other" not in str(content["data"].get("arn", ""))
        assert f"/{tool.workflow}.{tool.tool}@" in content["data"]["arn"]
        assert content["lease_duration"] <= tool.max_ttl_seconds
    vault.auth.token.revoke_self()


def log_in(rehearsal: LiveRehearsal, workflow: str) -> str:
    """Log in past the library, and return the token."""
    body = {"role": "agent", "jwt": rehearsal.token(find_requester(workflow), workflow)}
    answer = rehearsal.vault("").write_data(f"auth/agents/{workflow}/login", data=body)
    return str(answer["auth"]["client_token"])


def assert_forbidden(vault: Any, method: str, path: str | None, json: object = None) -> None:  # noqa: ANN401 - hvac is untyped
    headers = {"X-Vault-Token": vault.token}
    answer = vault.adapter.session.request(method, f"{vault.url}/v1/{path}", headers=headers, json=json, timeout=10)
    assert answer.status_code in {403, 404, 405}, (path, answer.status_code)
    assert not (answer.json() or {}).get("data") if answer.content else True


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


@pytest.mark.parametrize("other", WORKFLOWS)
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_an_agent_is_taken_for_no_other(rehearsal: LiveRehearsal, workflow: str, other: str) -> None:
    if workflow == other:
        return
    user = find_requester(workflow)
    subject = idp.look_up(user, idp.DIRECTORY[user], workflow)
    tokens = {
        "as it is": rehearsal.token(user, other, groups=idp.DIRECTORY[user]),
        "for another audience": idp.sign_token(rehearsal.layout, subject, aud=idp.audience(other)),
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
        with pytest.raises((RevokedError, AccessRefusedError)):
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


def test_tools_and_actions_that_are_not_declared_are_said_early(agents: Mapping[str, Agent]) -> None:
    agent = agents["incident-summarization"]
    with pytest.raises(NotDeclaredError, match="declares no tool 'vendors'"):
        agent.postgres("vendors")
    with pytest.raises(NotDeclaredError, match=r"may not incidents\.close"):
        agent.postgres("incidents", action="close")


def wait_until_gone(rehearsal: LiveRehearsal, user: str) -> None:
    deadline = time.monotonic() + 30
    with rehearsal.postgres() as connection:
        while connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (user,)).rowcount:
            assert time.monotonic() < deadline, f"{user} is still there"
            time.sleep(0.1)
