"""The handler `aws-call` against the emulator, by sessions of roles that may do exactly one thing each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.approvals.errors import DraftError, NotExecutedError, TargetDownError
from narrowgate.approvals.handlers import Credentials, find_handler
from rehearsal import aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

LATE = {"digest": "sha256:d", "request": "w.k", "requester": "vera", "approvers": "ann"}
NAME = "/narrowgate-test/kept"


def execute_for() -> dict[str, Any]:
    return {
        "handler": "aws-call",
        "call": {
            "service": "logs",
            "operation": "PutRetentionPolicy",
            "arguments": {"logGroupName": "${inputs.group}", "retentionInDays": "${inputs.days}"},
        },
        "read": {
            "operation": "DescribeLogGroups",
            "arguments": {"logGroupNamePrefix": "${inputs.group}"},
            "fields": {"days": "logGroups[0].retentionInDays", "group": "logGroups[0].logGroupName"},
        },
        "changes": {"days": "${inputs.days}"},
    }


class Account:
    """The emulated account, with a session of a role for each of reading and writing."""

    def __init__(self, live: LiveRehearsal) -> None:
        self.live = live
        self.logs = live.aws("logs")
        self.connection = {"region": live.region, "endpoint_url": aws.get_endpoint(live.layout)}

    def session(self, name: str, *actions: str) -> Credentials:
        iam, sts = self.live.aws("iam"), self.live.aws("sts")
        operator = sts.get_caller_identity()["Arn"]
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": operator}, "Action": "sts:AssumeRole"}]}
        policy = {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
        iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", **policy})
        )
        key = sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="test")["Credentials"]
        values = {
            "access_key": key["AccessKeyId"],
            "secret_key": key["SecretAccessKey"],
            "security_token": key["SessionToken"],
        }
        return Credentials("", values)

    def days(self) -> int:
        return int(self.logs.describe_log_groups(logGroupNamePrefix=NAME)["logGroups"][0]["retentionInDays"])


@pytest.fixture(scope="module")
def account(servers: LiveRehearsal) -> Iterator[Account]:
    made = Account(servers)
    made.logs.create_log_group(logGroupName=NAME)
    made.logs.put_retention_policy(logGroupName=NAME, retentionInDays=7)
    yield made
    made.logs.delete_log_group(logGroupName=NAME)


@pytest.fixture(scope="module")
def reader(account: Account) -> Credentials:
    return account.session("handler-reader", "logs:DescribeLogGroups")


@pytest.fixture(scope="module")
def gated(account: Account) -> Credentials:
    return account.session("handler-gated", "logs:PutRetentionPolicy")


def test_it_reads_shows_and_calls_exactly_that(account: Account, reader: Credentials, gated: Credentials) -> None:
    handler, inputs = find_handler("aws-call"), {"group": NAME, "days": 30}
    plan = handler.plan(execute_for(), inputs, account.connection, reader)
    assert [(c.what, c.before, c.after) for c in plan.changes] == [("days", 7, 30)]
    assert plan.calls["arguments"] == {"logGroupName": NAME, "retentionInDays": 30}
    assert plan.watched == {"days": 7, "group": NAME}
    result = handler.execute(execute_for(), inputs, LATE, account.connection, gated)
    assert account.days() == 30
    assert set(result) == {"request_id"}
    after = handler.plan(execute_for(), inputs, account.connection, reader)
    assert [c.before == c.after for c in after.changes] == [True]


def test_a_role_that_may_not_is_refused_for_certain(account: Account, reader: Credentials) -> None:
    before = account.days()
    with pytest.raises(NotExecutedError, match="AccessDenied"):
        find_handler("aws-call").execute(execute_for(), {"group": NAME, "days": 90}, LATE, account.connection, reader)
    assert account.days() == before


def test_what_is_not_there_yet_is_nothing_and_what_may_not_be_read_is_refused(
    account: Account, reader: Credentials, gated: Credentials
) -> None:
    handler, inputs = find_handler("aws-call"), {"group": "/narrowgate-test/none", "days": 1}
    plan = handler.plan(execute_for(), inputs, account.connection, reader)
    assert [(c.before, c.after) for c in plan.changes] == [(None, 1)]
    with pytest.raises(DraftError, match="AccessDenied"):
        handler.plan(execute_for(), inputs, account.connection, gated)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"operation": "PutRetention"}, "no operation"),
        ({"service": "nonsense"}, "no service"),
        ({"arguments": {"logGroupName": NAME, "retentionInDays": "a-secret"}}, "retentionInDays"),
        ({"arguments": {"logGroupName": "a-secret"}}, "PutRetentionPolicy"),
        ({"arguments": {"logGroupName": NAME, "retentionInDays": 1, "more": "a-secret"}}, "PutRetentionPolicy"),
    ],
)
def test_arguments_that_aws_does_not_know_never_become_a_case(
    account: Account, change: dict[str, Any], words: str
) -> None:
    execute = execute_for()
    execute["call"] = {**execute["call"], **change}
    with pytest.raises(DraftError, match=words) as refused:
        find_handler("aws-call").plan(execute, {"group": NAME, "days": 1}, account.connection, None)
    assert "a-secret" not in str(refused.value)


def test_an_account_that_is_away_is_certain_and_can_be_read_later(reader: Credentials) -> None:
    connection = {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"}
    inputs = {"group": NAME, "days": 1}
    with pytest.raises(NotExecutedError, match="cannot be reached"):
        find_handler("aws-call").execute(execute_for(), inputs, LATE, connection, reader)
    with pytest.raises(TargetDownError):
        find_handler("aws-call").plan(execute_for(), inputs, connection, reader)


def test_the_surroundings_give_it_no_rights(
    account: Account, monkeypatch: pytest.MonkeyPatch, gated: Credentials
) -> None:
    operator = aws.read_operator_key(account.live.layout)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", operator.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", operator.secret)
    with pytest.raises(DraftError, match="AccessDenied"):
        find_handler("aws-call").plan(execute_for(), {"group": NAME, "days": 1}, account.connection, gated)
