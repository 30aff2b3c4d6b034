"""The audit trail in the real engine: prod's foundation makes it, dev's names an organization's, and neither drifts.

The emulator only stores what CloudTrail, KMS and CloudWatch are told. That the alarms' filters match is tried on
records of what really happened in the rehearsal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from ci_job import Job, start_job

from narrowgate.compile.trail import TrailDocuments, compile_trail
from narrowgate.compile.trail_alarms import environment_controls
from narrowgate.declarations import load_environment
from narrowgate.rules.filter_patterns import matches
from narrowgate.runtime import login
from rehearsal import aws, ci
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.live import LiveRehearsal

ENVIRONMENT = load_environment(CHECKOUT / "stacks", "prod")
FOUNDATION = "prod-foundation"
WORKFLOW = "incident-summarization"


def compiled() -> TrailDocuments:
    documents = compile_trail(ENVIRONMENT)
    assert documents is not None
    return documents


TRAIL = compiled()


@pytest.fixture(scope="module")
def prod(both: LiveRehearsal) -> LiveRehearsal:
    return both.of("prod")


@pytest.fixture(scope="module")
def deployer(prod: LiveRehearsal) -> Job:
    return start_job(prod, ci.describe_ci(prod.layout).deployer)


def export(rehearsal: LiveRehearsal, stack: str) -> list[dict[str, Any]]:
    text = rehearsal.run("pulumi", "stack", "export", "--stack", stack).stdout
    resources: list[dict[str, Any]] = json.loads(text)["deployment"]["resources"]
    return resources


def test_dev_refers_to_the_organizations_trail_and_makes_none(both: LiveRehearsal) -> None:
    arn = "arn:aws:cloudtrail:eu-central-1:999999999999:trail/organization"
    made = export(both, "dev-foundation")
    (component,) = [r for r in made if r["type"] == "narrowgate:index:AuditTrail"]
    assert component["inputs"] == {"organizationTrailArn": arn}
    assert [r for r in made if r["type"].startswith("aws:cloudtrail")] == []
    assert (
        json.loads(both.run("pulumi", "stack", "output", "--json", "--stack", "dev-foundation").stdout)["trail"] == arn
    )
    assert both.aws("cloudtrail").describe_trails()["trailList"] == []


def test_the_trail_stands_in_the_account_as_it_was_compiled(prod: LiveRehearsal) -> None:
    trails = prod.aws("cloudtrail")
    trail = trails.get_trail(Name=TRAIL.name)["Trail"]
    assert trail["TrailARN"] == TRAIL.arn
    assert (trail["IsMultiRegionTrail"], trail["LogFileValidationEnabled"]) == (True, True)
    assert trail["IncludeGlobalServiceEvents"] is True
    assert trail["CloudWatchLogsLogGroupArn"] == f"{TRAIL.log_group_arn}:*"
    assert trails.get_trail_status(Name=TRAIL.name)["IsLogging"] is True
    selectors = trails.get_event_selectors(TrailName=TRAIL.name)["AdvancedEventSelectors"]
    assert ["arn:aws:s3:::acme-prod-documents/"] in [
        field.get("StartsWith") for selector in selectors for field in selector["FieldSelectors"]
    ]
    kms = prod.aws("kms")
    assert kms.get_key_rotation_status(KeyId=trail["KmsKeyId"])["KeyRotationEnabled"] is True
    assert json.loads(kms.get_key_policy(KeyId=trail["KmsKeyId"], PolicyName="default")["Policy"]) == TRAIL.key_policy


def test_its_bucket_is_locked_versioned_private_logged_and_only_by_tls(prod: LiveRehearsal) -> None:
    s3, bucket = prod.aws("s3"), TRAIL.bucket
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 365}
    for name in (bucket, TRAIL.access_log_bucket):
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        assert set(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
        statements = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            s["Condition"] for s in statements if s["Effect"] == "Deny" and s["Principal"] == "*"
        ]
    logged = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert logged["TargetBucket"] == TRAIL.access_log_bucket
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_nobody_reads_its_files_without_tls(prod: LiveRehearsal) -> None:
    s3 = prod.aws("s3")
    assert "Contents" not in s3.list_objects_v2(Bucket=TRAIL.bucket)
    s3.meta.events.register(
        "before-send.s3", lambda request, **_: request.headers.update({"X-Forwarded-Proto": "http"})
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=TRAIL.bucket)


def test_every_control_has_a_filter_and_an_alarm_to_the_topic(prod: LiveRehearsal) -> None:
    logs, watch = prod.aws("logs"), prod.aws("cloudwatch")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=TRAIL.log_group)["logGroups"]
    assert group["retentionInDays"] == 365
    filters = logs.describe_metric_filters(logGroupName=TRAIL.log_group)["metricFilters"]
    assert {each["filterName"]: each["filterPattern"] for each in filters} == {c.name: c.pattern for c in TRAIL.filters}
    alarms = watch.describe_alarms(AlarmNamePrefix=f"{TRAIL.name}-")["MetricAlarms"]
    assert {each["MetricName"] for each in alarms} == {control.name for control in TRAIL.filters}
    assert {tuple(each["AlarmActions"]) for each in alarms} == {(TRAIL.topic_arn,)}
    sent = prod.aws("sns").list_subscriptions_by_topic(TopicArn=TRAIL.topic_arn)["Subscriptions"]
    assert [each["Endpoint"] for each in sent] == ["security@prod.example.com"]


@pytest.mark.parametrize("stack", [FOUNDATION, "dev-foundation"])
def test_a_second_up_has_nothing_to_do_and_nothing_drifts(both: LiveRehearsal, stack: str) -> None:
    live = both.of(stack.partition("-")[0])
    live.run("pulumi", "up", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)
    live.run("pulumi", "refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)
    live.run("pulumi", "up", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)


def test_a_trail_that_somebody_stopped_is_seen_and_started_again(prod: LiveRehearsal) -> None:
    trails = prod.aws("cloudtrail")
    trails.stop_logging(Name=TRAIL.name)
    trails.update_trail(Name=TRAIL.name, EnableLogFileValidation=False)
    shown = prod.run("pulumi", "preview", "--refresh", "--diff", "--stack", FOUNDATION)
    assert "enableLogging" in shown.stdout
    prod.run("pulumi", "up", "--yes", "--skip-preview", "--refresh", "--stack", FOUNDATION)
    assert trails.get_trail_status(Name=TRAIL.name)["IsLogging"] is True
    assert trails.get_trail(Name=TRAIL.name)["Trail"]["LogFileValidationEnabled"] is True


TOUCHES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stop it": ("cloudtrail", "stop_logging", {"Name": TRAIL.name}),
    "delete it": ("cloudtrail", "delete_trail", {"Name": TRAIL.name}),
    "point it elsewhere": ("cloudtrail", "update_trail", {"Name": TRAIL.name, "S3BucketName": "attack"}),
    "narrow it": (
        "cloudtrail",
        "put_event_selectors",
        {"TrailName": TRAIL.name, "EventSelectors": [{"ReadWriteType": "WriteOnly"}]},
    ),
    "delete its key": ("kms", "schedule_key_deletion", {"KeyId": TRAIL.key_alias}),
    "open its key": ("kms", "put_key_policy", {"KeyId": TRAIL.key_alias, "PolicyName": "default", "Policy": "{}"}),
    "open its bucket": ("s3", "put_bucket_policy", {"Bucket": TRAIL.bucket, "Policy": "{}"}),
    "unlock its bucket": ("s3", "put_object_lock_configuration", {"Bucket": TRAIL.bucket}),
    "delete its bucket": ("s3", "delete_bucket", {"Bucket": TRAIL.bucket}),
    "write a file of it": ("s3", "put_object", {"Bucket": TRAIL.bucket, "Key": "AWSLogs/x", "Body": b"{}"}),
    "delete its log group": ("logs", "delete_log_group", {"logGroupName": TRAIL.log_group}),
    "keep its events a day": ("logs", "put_retention_policy", {"logGroupName": TRAIL.log_group, "retentionInDays": 1}),
    "mute a filter": (
        "logs",
        "delete_metric_filter",
        {"logGroupName": TRAIL.log_group, "filterName": "trail-changed"},
    ),
    "mute an alarm": ("cloudwatch", "delete_alarms", {"AlarmNames": [f"{TRAIL.name}-trail-changed"]}),
    "delete its topic": ("sns", "delete_topic", {"TopicArn": TRAIL.topic_arn}),
    "become its delivery": (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::222222222222:role{TRAIL.role_path}{TRAIL.role_name}", "RoleSessionName": "attack"},
    ),
    "widen its delivery": (
        "iam",
        "put_role_policy",
        {"RoleName": TRAIL.role_name, "PolicyName": "deliver", "PolicyDocument": "{}"},
    ),
}


def refused(call: Callable[..., Any], parameters: dict[str, Any]) -> bool:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    code = caught.value.response["Error"]["Code"]
    return code in {"AccessDenied", "AccessDeniedException", "AuthorizationError"}


@pytest.mark.parametrize("touch", TOUCHES)
def test_neither_the_deployer_nor_the_broker_can_touch_the_trail(
    prod: LiveRehearsal, deployer: Job, touch: str
) -> None:
    service, method, parameters = TOUCHES[touch]
    assert refused(getattr(deployer.aws(service), method), parameters)
    key = aws.read_key(aws.broker(prod.layout))
    assert refused(getattr(prod.aws(service, key), method), parameters)


def test_an_agent_cannot_touch_the_trail(prod: LiveRehearsal) -> None:
    with login(prod.manifest(WORKFLOW), prod.token("alice", WORKFLOW)) as agent:
        session = agent.aws("documents")
        for service, method, parameters in TOUCHES.values():
            assert refused(getattr(session.client(service), method), parameters), method


def find_rung(record: dict[str, Any]) -> set[str]:
    """Return which of the environment's alarms a record of CloudTrail's rings."""
    return {control.name for control in environment_controls(ENVIRONMENT) if matches(control.pattern, record)}


def test_what_really_happened_rings_the_alarms(prod: LiveRehearsal, deployer: Job) -> None:
    def last(name: str) -> dict[str, Any]:
        lines = prod.layout.cloudtrail.read_text(encoding="utf-8").splitlines()
        found: dict[str, Any] = next(e for e in map(json.loads, reversed(lines)) if e["eventName"] == name)
        return found

    with login(prod.manifest(WORKFLOW), prod.token("alice", WORKFLOW)) as agent:
        session = agent.aws("documents")
        assert find_rung(last("AssumeRole")) == set(), "the broker's own work rings nothing"
        session.client("s3").list_objects_v2(Bucket=prod.bucket, Prefix="runbooks/")
        assert find_rung(last("ListObjects")) == set()
        with pytest.raises(ClientError, match="AccessDenied"):
            session.client("s3").get_object(Bucket=prod.bucket, Key="payroll/2026.csv")
        assert {"agent-denied", "unauthorized-call"} <= find_rung(last("GetObject"))
    role = f"arn:aws:iam::222222222222:role/narrowgate/prod/tool/{TRAIL.role_name}"
    with pytest.raises(ClientError):
        deployer.aws("sts").assume_role(RoleArn=role, RoleSessionName="attack")
    assert "role-by-other" in find_rung(last("AssumeRole"))
    with pytest.raises(ClientError):
        deployer.aws("cloudtrail").stop_logging(Name=TRAIL.name)
    assert {"trail-changed", "unauthorized-call"} <= find_rung(last("StopLogging"))
