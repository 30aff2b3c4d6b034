from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from rehearsal.aws_events import Call, Identity, Outcome, build_event, read_error

WHEN = dt.datetime(2026, 11, 24, 3, 56, 36, tzinfo=dt.UTC)
ROLE = "arn:aws:iam::111111111111:role/narrowgate/dev/tool/ng-dev-a-logs"
SESSION = Identity(
    "AssumedRole",
    "ASIA1",
    arn="arn:aws:sts::111111111111:assumed-role/ng-dev-a-logs/a.logs@alice",
    account="111111111111",
    principal_id="AROA1:a.logs@alice",
    role_arn=ROLE,
    role_id="AROA1",
    session_started=1795492596.2,
)


def call(service: str, action: str, **changes: Any) -> Call:  # noqa: ANN401 - any of its fields
    settings: dict[str, Any] = {
        "region": "eu-central-1",
        "method": "POST",
        "path": "/",
        "query": {},
        "headers": {},
        "body": b"",
        "source_address": "127.0.0.1",
    }
    return Call(service=service, action=action, **{**settings, **changes})


def event_of(made: Call, outcome: Outcome | None = None, identity: Identity = SESSION) -> dict[str, Any]:
    return build_event(made, identity, outcome or Outcome(200), WHEN)


def test_session_is_named_with_its_role_and_start() -> None:
    identity = event_of(call("s3", "GetObject", method="GET", path="/b/k"))["userIdentity"]
    assert identity["arn"].endswith("/a.logs@alice")
    assert identity["sessionContext"]["sessionIssuer"] == {
        "type": "Role",
        "principalId": "AROA1",
        "arn": ROLE,
        "accountId": "111111111111",
        "userName": "ng-dev-a-logs",
    }
    assert identity["sessionContext"]["attributes"]["creationDate"] == "2026-11-24T03:56:36Z"


def test_allowed_call_has_no_error_fields() -> None:
    event = event_of(call("logs", "FilterLogEvents"))
    assert "errorCode" not in event
    assert event["eventSource"] == "logs.amazonaws.com"
    assert event["eventTime"] == "2026-11-24T03:56:36Z"
    assert event["readOnly"] is True
    assert event["additionalEventData"] == {"emulated": True}


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"), ("AccessDenied", "no")),
        (
            Outcome(400, {}, b'{"__type":"com.amazon#AccessDeniedException","message":"no"}'),
            ("AccessDeniedException", "no"),
        ),
        (Outcome(403, {}, b""), ("AccessDenied", "")),
        (Outcome(404, {}, b"not json"), ("NotFound", "")),
        (Outcome(418, {}, b"[]"), ("418", "")),
        (Outcome(200, {}, b"<Code>AccessDenied</Code>"), ("", "")),
        (Outcome(304), ("", "")),
    ],
)
def test_error_is_read_from_each_protocol(outcome: Outcome, error: tuple[str, str]) -> None:
    assert read_error(outcome) == error


@pytest.mark.parametrize(
    ("method", "action", "name"),
    [
        ("GET", "ListBucket", "ListObjects"),
        ("HEAD", "ListBucket", "HeadBucket"),
        ("HEAD", "GetObject", "HeadObject"),
        ("GET", "GetObject", "GetObject"),
        ("GET", "ListAllMyBuckets", "ListBuckets"),
        ("PUT", "PutObject", "PutObject"),
    ],
)
def test_s3_events_are_named_by_operation(method: str, action: str, name: str) -> None:
    assert event_of(call("s3", action, method=method, path="/b/k"))["eventName"] == name


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "ExpiredToken", "InvalidClientTokenId"])
def test_caller_that_proved_nothing_is_not_named(code: str) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    event = event_of(call("s3", "GetObject", method="GET", path="/b/k"), Outcome(403, {}, body))
    assert event["userIdentity"] == {"type": "Unknown", "accessKeyId": "ASIA1"}
    assert event["recipientAccountId"] == ""


def test_parameters_come_from_form_query_and_json() -> None:
    form = call("sts", "AssumeRole", body=b"Action=AssumeRole&Version=2011-06-15&RoleArn=r&RoleSessionName=s")
    assert event_of(form)["requestParameters"] == {"roleArn": "r", "roleSessionName": "s"}
    target = {"x-amz-target": "Logs_20140328.FilterLogEvents"}
    body = json.dumps({"logGroupName": "/app/payments", "filterPattern": "ERROR"}).encode()
    assert event_of(call("logs", "FilterLogEvents", headers=target, body=body))["requestParameters"] == {
        "logGroupName": "/app/payments",
        "filterPattern": "ERROR",
    }
    listing = call("s3", "ListBucket", method="GET", path="/b", query={"prefix": ["runbooks/"], "list-type": ["2"]})
    assert event_of(listing)["requestParameters"] == {"bucketName": "b", "prefix": "runbooks/", "list-type": "2"}


def test_no_secret_and_no_data_is_kept() -> None:
    secret = "hunter2-and-more"
    calls = [
        call("iam", "CreateLoginProfile", body=f"Action=CreateLoginProfile&UserName=u&Password={secret}".encode()),
        call(
            "s3",
            "GetObject",
            method="GET",
            path="/b/k",
            query={"X-Amz-Signature": [secret], "X-Amz-Security-Token": [secret]},
        ),
        call("s3", "PutObject", method="PUT", path="/b/k", body=secret.encode()),
        call(
            "logs",
            "PutLogEvents",
            headers={"x-amz-target": "Logs_20140328.PutLogEvents"},
            body=json.dumps({"logGroupName": "g", "logEvents": [{"message": secret}]}).encode(),
        ),
        call(
            "secretsmanager",
            "CreateSecret",
            headers={"x-amz-target": "secretsmanager.CreateSecret"},
            body=json.dumps({"Name": "n", "SecretString": secret, "Nested": {"clientSecret": secret}}).encode(),
        ),
    ]
    answer = (
        "<AssumeRoleResponse><AccessKeyId>ASIA2</AccessKeyId>"
        f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{secret}</SessionToken></AssumeRoleResponse>"
    )
    events = [event_of(made) for made in calls]
    events.append(event_of(call("sts", "AssumeRole"), Outcome(200, {}, answer.encode())))
    assert secret not in json.dumps(events)
    assert events[-1]["responseElements"]["credentials"]["accessKeyId"] == "ASIA2"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[1]", b"{", b""])
def test_strange_body_is_recorded_all_the_same(body: bytes) -> None:
    made = call("logs", "FilterLogEvents", headers={"x-amz-target": "x.FilterLogEvents"}, body=body)
    assert event_of(made)["requestParameters"] is None


# CloudTrail record contents (AWS CloudTrail User Guide): what every record has, and what some have.
ALWAYS = {
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "requestParameters",
    "responseElements",
    "requestID",
    "eventID",
    "eventType",
    "recipientAccountId",
    "eventCategory",
}
SOMETIMES = {"errorCode", "errorMessage", "additionalEventData", "readOnly", "managementEvent"}
IDENTITY = {"type", "principalId", "arn", "accountId", "accessKeyId", "userName", "sessionContext"}


@pytest.mark.parametrize("outcome", [Outcome(200), Outcome(403, body=b"<Code>AccessDenied</Code>")])
def test_a_record_has_the_published_fields_and_no_others(outcome: Outcome) -> None:
    event = event_of(call("logs", "FilterLogEvents"), outcome)
    assert event.keys() >= ALWAYS
    assert event.keys() <= ALWAYS | SOMETIMES
    assert event["userIdentity"].keys() <= IDENTITY
    assert event["userIdentity"]["sessionContext"].keys() == {"sessionIssuer", "attributes"}


@pytest.mark.parametrize(
    ("service", "action", "method", "category"),
    [
        ("s3", "GetObject", "GET", "Data"),
        ("s3", "ListBucket", "GET", "Data"),
        ("s3", "CreateBucket", "PUT", "Management"),
        ("sts", "AssumeRole", "POST", "Management"),
    ],
)
def test_calls_on_objects_are_data_events(service: str, action: str, method: str, category: str) -> None:
    event = event_of(call(service, action, method=method, path="/b/k"))
    assert (event["eventCategory"], event["managementEvent"]) == (category, category == "Management")
