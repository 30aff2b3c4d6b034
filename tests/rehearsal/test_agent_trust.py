"""Who may assume a tool's role, and under which name: tried with real keys of everybody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from narrowgate.runtime import login
from rehearsal import aws

if TYPE_CHECKING:
    from rehearsal.live import LiveRehearsal

WORKFLOW, TOOL = "incident-summarization", "documents"
VAULT_ROLE = f"{WORKFLOW}.{TOOL}"
EXTERNAL_ID = "narrowgate-dev"
SESSION = f"{VAULT_ROLE}@agents-{WORKFLOW}-alice"


def read_role_arn(rehearsal: LiveRehearsal, tool: str = TOOL) -> str:
    manifest = json.loads(rehearsal.manifest(WORKFLOW).read_text(encoding="utf-8"))
    return str(manifest["tools"][tool]["connection"]["role_arn"])


def assume(client: Any, arn: str, **changes: str) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
    return client.assume_role(**{"RoleArn": arn, "RoleSessionName": SESSION, "ExternalId": EXTERNAL_ID, **changes})


@pytest.fixture
def broker(rehearsal: LiveRehearsal) -> Any:  # noqa: ANN401 - as above
    return rehearsal.aws("sts", aws.read_key(aws.broker(rehearsal.layout)))


def test_the_broker_may_under_the_name_that_vault_writes(rehearsal: LiveRehearsal, broker: Any) -> None:  # noqa: ANN401
    assert assume(broker, read_role_arn(rehearsal))["Credentials"]["SessionToken"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ExternalId": "narrowgate-prod"},
        {"RoleSessionName": "alice"},
        {"RoleSessionName": f"{WORKFLOW}.logs@agents-{WORKFLOW}-alice"},
        {"RoleSessionName": f"x{SESSION}"},
    ],
    ids=["external id", "no vault role", "another tool's", "prefixed"],
)
def test_the_broker_may_not_otherwise(rehearsal: LiveRehearsal, broker: Any, changes: dict[str, str]) -> None:  # noqa: ANN401
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(broker, read_role_arn(rehearsal), **changes)


def test_the_broker_may_not_without_the_external_id(rehearsal: LiveRehearsal, broker: Any) -> None:  # noqa: ANN401
    with pytest.raises(ClientError, match="AccessDenied"):
        broker.assume_role(RoleArn=read_role_arn(rehearsal), RoleSessionName=SESSION)


def test_an_administrator_is_not_the_broker(rehearsal: LiveRehearsal) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(rehearsal.aws("sts"), read_role_arn(rehearsal))


def test_a_tool_cannot_assume_another_tools_role(rehearsal: LiveRehearsal) -> None:
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW)) as agent:
        sts = agent.aws("logs").client("sts")
        with pytest.raises(ClientError, match="AccessDenied"):
            assume(sts, read_role_arn(rehearsal))


def test_the_broker_assumes_nothing_outside_its_path(rehearsal: LiveRehearsal, broker: Any) -> None:  # noqa: ANN401
    """A role that trusts the broker, but stands elsewhere, is out of its reach."""
    iam = rehearsal.aws("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{rehearsal.account}:user/narrowgate/dev/broker"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName="elsewhere", Path="/other/", AssumeRolePolicyDocument=json.dumps(trust))
    try:
        with pytest.raises(ClientError, match="AccessDenied"):
            assume(broker, made["Role"]["Arn"])
    finally:
        iam.delete_role(RoleName="elsewhere")


def test_the_record_names_workflow_tool_and_user(rehearsal: LiveRehearsal) -> None:
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW)) as agent:
        agent.aws("logs").client("logs").filter_log_events(logGroupName="/app/payments")
    lines = rehearsal.layout.cloudtrail.read_text(encoding="utf-8").splitlines()
    events = [event for event in map(json.loads, lines) if event["eventName"] == "FilterLogEvents"]
    identity = events[-1]["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"].endswith(f"/{WORKFLOW}.logs@agents-{WORKFLOW}-alice")
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == read_role_arn(rehearsal, "logs")
