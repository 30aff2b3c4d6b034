"""Every declared grant, tried as its agent with the credentials that Vault issues; and everything beside it, refused.

What is tried comes from the plan and from the seeded systems themselves, so a new workflow or tool is tried too.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from agent_plan import AWS, GATED, POSTGRES, TABLES, TENANTS, WORKFLOWS, find_requester, name_tool, table_grants
from botocore.exceptions import ClientError
from psycopg import sql

from narrowgate.plan import FunctionGrant, ToolAccess
from narrowgate.runtime import (
    Agent,
    GatedActionError,
    login,
)
from rehearsal.postgres import SUPERUSER
from rehearsal.seed.aws_data import DOCUMENTS, LOG_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rehearsal.live import LiveRehearsal


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


@pytest.mark.parametrize(
    "call",
    ["close_incident('emea', 1, 'x', 'x', 'x')", "create_vendor('emea', 'Ghost Ltd', 'IE', 'IE00', 'x')"],
)
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
    rehearsal: LiveRehearsal, agents: Mapping[str, Agent], tool: ToolAccess, key: str
) -> None:
    bucket = rehearsal.bucket
    s3 = agents[tool.workflow].aws(tool.tool).client("s3")
    prefix = key.partition("/")[0]
    allowed = tool.tool == "documents" and f'"prefix":"{prefix}"' in declared_scope(tool).replace(" ", "")
    expect_aws(lambda: s3.get_object(Bucket=bucket, Key=key)["Body"], allowed=allowed)
    expect_aws(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"], allowed=allowed)
    refuse_aws(lambda: s3.list_objects_v2(Bucket=bucket))
    refuse_aws(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"))
    refuse_aws(lambda: s3.delete_object(Bucket=bucket, Key=key))


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
