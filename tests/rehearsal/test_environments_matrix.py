"""Every workflow, tool, action and tenant of dev and prod, tried with real credentials against what each plan says.

Generated from the plans, so it grows with the declarations. What lies beside a grant inside one environment is tried in
depth in `test_agent_matrix`; logins that carry no user have tests of their own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import hvac.exceptions
import psycopg
import pytest
from botocore.exceptions import ClientError
from psycopg import sql
from test_environments_crossing import PLANS, find_requester, list_jwt_workflows, log_in

from narrowgate.compile import compile_plan
from narrowgate.plan import Backend, TableGrant
from narrowgate.runtime import GatedActionError, login
from rehearsal.seed.aws_data import DOCUMENTS, LOG_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.plan import ToolAccess
    from rehearsal.live import LiveRehearsal

AGENTS = [(name, workflow) for name in PLANS for workflow in list_jwt_workflows(name)]
TENANTS = ("emea", "amer")
TABLES = ("incidents", "tickets", "vendors")


def list_tools(environment: str, workflow: str, backend: Backend) -> list[ToolAccess]:
    asked = PLANS[environment].workflow(workflow)
    assert asked is not None
    return [tool for tool in asked.tools if tool.backend is backend and tool.granted]


def list_cases(backend: Backend) -> list[tuple[str, str, str]]:
    return [(name, workflow, t.tool) for name, workflow in AGENTS for t in list_tools(name, workflow, backend)]


def find_tool(environment: str, workflow: str, name: str) -> ToolAccess:
    asked = PLANS[environment].workflow(workflow)
    assert asked is not None
    return next(tool for tool in asked.tools if tool.tool == name)


def is_allowed(call: Callable[[], object]) -> bool:
    """Return whether AWS allows `call`; any answer but a refusal is an error."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
            raise
        return False
    return True


@pytest.mark.parametrize("environment", sorted(PLANS))
def test_what_is_deployed_is_what_is_promoted(both: LiveRehearsal, environment: str) -> None:
    folder = both.of(environment).layout.manifests
    assert sorted(file.stem for file in folder.glob("*.json")) == sorted(w.name for w in PLANS[environment].workflows)


@pytest.mark.parametrize(("environment", "workflow"), AGENTS)
def test_an_agent_gets_credentials_of_its_own_tools_alone(both: LiveRehearsal, environment: str, workflow: str) -> None:
    live = both.of(environment)
    token = log_in(live, f"agents/{workflow}", "agent", live.token(find_requester(environment, workflow), workflow))
    client = live.vault(token)
    tried = 0
    for other in compile_plan(PLANS[environment]).workflows:
        for tool in other.tools:
            path = tool.credential_path
            if path is None or tool.access.backend not in {Backend.AWS, Backend.POSTGRES}:
                continue
            tried += 1
            if other.access.name == workflow:
                assert client.read(path)
                continue
            with pytest.raises(hvac.exceptions.Forbidden):
                client.read(path)
    assert tried


@pytest.mark.parametrize(("environment", "workflow", "name"), list_cases(Backend.POSTGRES))
def test_rows_of_each_tenant_are_there_as_the_plan_says(
    both: LiveRehearsal, environment: str, workflow: str, name: str
) -> None:
    live, tool = both.of(environment), find_tool(environment, workflow, name)
    grants = [g for a in tool.granted for g in a.grants if isinstance(g, TableGrant) and "SELECT" in g.privileges]
    token = live.token(find_requester(environment, workflow), workflow)
    with login(live.manifest(workflow), token) as agent, contextlib.closing(agent.postgres(name)) as connection:
        connection.autocommit = True
        for table in TABLES:
            granted = [grant for grant in grants if grant.table == table]
            for tenant in TENANTS:
                query = sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s").format(sql.Identifier("public", table))
                if not granted:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(query, (tenant,))
                    continue
                allowed = {v for g in granted for row in g.rows if row.column == "tenant" for v in row.values}
                ((count,),) = connection.execute(query, (tenant,)).fetchall()
                assert (count > 0) == (tenant in allowed)


@pytest.mark.parametrize(("environment", "workflow", "name"), list_cases(Backend.AWS))
def test_documents_and_logs_are_read_as_the_plan_says(
    both: LiveRehearsal, environment: str, workflow: str, name: str
) -> None:
    live, tool = both.of(environment), find_tool(environment, workflow, name)
    token = live.token(find_requester(environment, workflow), workflow)
    with login(live.manifest(workflow), token) as agent:
        session = agent.aws(name)
        s3, logs = session.client("s3"), session.client("logs")
        for key in DOCUMENTS:
            declared = name == "documents" and f'"{key.partition("/")[0]}"' in tool.scope
            assert is_allowed(lambda key=key: s3.get_object(Bucket=live.bucket, Key=key)) == declared
        for group in LOG_EVENTS:
            declared = name == "logs" and f'"{group}"' in tool.scope
            assert is_allowed(lambda group=group: logs.filter_log_events(logGroupName=group)) == declared


GATED = [(n, w.name, t.tool, a.name) for n, p in PLANS.items() for w in p.workflows for t in w.tools for a in t.gated]


@pytest.mark.parametrize(("environment", "workflow", "name", "action"), GATED)
def test_a_gated_action_gives_no_credential_in_any_environment(
    both: LiveRehearsal, environment: str, workflow: str, name: str, action: str
) -> None:
    live = both.of(environment)
    token = live.token(find_requester(environment, workflow), workflow)
    with login(live.manifest(workflow), token) as agent, pytest.raises(GatedActionError):
        agent.credential(name, action=action)
