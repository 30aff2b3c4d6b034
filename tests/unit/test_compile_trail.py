"""The audit trail's documents: who may use its key and buckets, what it logs, what a plan must not reach unlogged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from component_mocks import run
from narrowgate_pulumi import AuditTrail
from narrowgate_pulumi.trail import TrailMissingError

from narrowgate.access.iam import evaluate, parse
from narrowgate.compile import CompileError, compile_plan
from narrowgate.compile.trail import TrailDocuments, compile_trail, covers, find_unlogged, suggest_entry
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.plan import TrailBinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.plan import AccessPlan

STACKS = Path(__file__).resolve().parents[2] / "stacks"
ACCOUNT = "111111111111"
TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/"
FUNCTION = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:"
TRAIL = TrailBinding(
    bucket="acme-dev-trail",
    access_log_bucket="acme-dev-trail-access",
    data_events=("arn:aws:s3:::acme-dev-documents/*", f"{TABLE}orders", f"{TABLE}ng-*", f"{FUNCTION}quote"),
    notify=("security@example.com",),
)


@pytest.fixture(scope="module")
def plan() -> AccessPlan:
    plan = load_plan(STACKS, load_environment(STACKS, "dev"))
    return replace(plan, environment=replace(plan.environment, trail=TRAIL))


@pytest.fixture(scope="module")
def documents(plan: AccessPlan) -> TrailDocuments:
    made = compile_trail(plan.environment)
    assert made is not None
    return made


def test_everything_logged_compiles(plan: AccessPlan) -> None:
    assert list(find_unlogged(plan)) == []
    assert compile_plan(plan).workflows


def test_access_to_data_that_is_not_logged_is_refused_with_the_line_to_add(plan: AccessPlan) -> None:
    narrower = replace(TRAIL, data_events=("arn:aws:s3:::acme-dev-documents/vendors/*",))
    with pytest.raises(CompileError) as caught:
        compile_plan(replace(plan, environment=replace(plan.environment, trail=narrower)))
    assert caught.value.tool == "documents"
    assert "the trail does not log arn:aws:s3:::acme-dev-documents" in str(caught.value)
    assert "add `arn:aws:s3:::acme-dev-documents/*`" in str(caught.value.hint)


def test_an_organizations_trail_makes_nothing_and_is_not_judged(plan: AccessPlan) -> None:
    arn = "arn:aws:cloudtrail:eu-central-1:999999999999:trail/organization"
    environment = replace(plan.environment, trail=TrailBinding(organization_trail_arn=arn))
    assert compile_trail(environment) is None
    assert list(find_unlogged(replace(plan, environment=environment))) == []
    recorder, monitor = run(lambda: AuditTrail("org", {"organization_trail_arn": arn}) and None)
    assert list(recorder.made) == [("narrowgate:index:AuditTrail", "org")]
    assert dict(monitor.requests["org"].object) == {"organizationTrailArn": arn}


@pytest.mark.parametrize(
    ("entry", "arn", "covered"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/*", True),
        ("arn:aws:s3:::b/x/*", "arn:aws:s3:::b/x/*", True),
        ("arn:aws:s3:::b/x/*", "arn:aws:s3:::b/*", False),
        ("arn:aws:s3:::b/x/*", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::bc/x", False),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b*", False),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::?", False),
        (f"{TABLE}orders", f"{TABLE}orders", True),
        (f"{TABLE}orders", f"{TABLE}orders/index/by-day", True),
        (f"{TABLE}orders", f"{TABLE}orders-archive", False),
        (f"{TABLE}orders", f"{TABLE}orders*", False),
        (f"{TABLE}orders*", f"{TABLE}orders*", True),
        (f"{TABLE}ord", f"{TABLE}ord?rs", False),
        (f"{FUNCTION}quote", f"{FUNCTION}quote:live", True),
        (f"{FUNCTION}quote", f"{FUNCTION}quotes", False),
    ],
)
def test_an_entry_covers_exactly_what_it_logs(entry: str, arn: str, covered: bool) -> None:  # noqa: FBT001 - a table
    assert covers(entry, arn) is covered


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:s3:::b", "arn:aws:s3:::b/x/*", "arn:aws:s3:::b*", f"{TABLE}o", f"{TABLE}o*", f"{FUNCTION}q:live"],
)
def test_the_suggested_entry_covers_what_it_was_suggested_for(arn: str) -> None:
    assert covers(suggest_entry(arn), arn)


def test_selectors_are_all_management_events_and_the_listed_data(documents: TrailDocuments) -> None:
    management, *data = documents.selectors
    assert management["field_selectors"] == [{"field": "eventCategory", "equals": ["Management"]}]
    listed = {
        (fields["resources.type"]["equals"][0], how, tuple(fields["resources.ARN"].get(how, ())))
        for selector in data
        for fields in [{field["field"]: field for field in selector["field_selectors"]}]
        for how in ("equals", "starts_withs")
        if how in fields["resources.ARN"]
    }
    assert listed == {
        ("AWS::S3::Object", "starts_withs", ("arn:aws:s3:::acme-dev-documents/",)),
        ("AWS::DynamoDB::Table", "equals", (f"{TABLE}orders",)),
        ("AWS::DynamoDB::Table", "starts_withs", (f"{TABLE}ng-",)),
        ("AWS::Lambda::Function", "equals", (f"{FUNCTION}quote",)),
    }
    # neither reads nor writes are left out
    assert "readOnly" not in json.dumps(documents.selectors)


def test_the_delivery_role_can_write_its_own_stream_and_nothing_else(documents: TrailDocuments) -> None:
    policies = [parse(json.dumps(documents.role_policy))]
    own = f"{documents.log_group_arn}:log-stream:{ACCOUNT}_CloudTrail_eu-central-1"
    other = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/app/x:log-stream:s"
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert evaluate(policies, action, own, {}).allowed
        assert not evaluate(policies, action, other, {}).allowed
    assert not evaluate(policies, "logs:DeleteLogGroup", documents.log_group_arn, {}).allowed


@pytest.mark.parametrize("name", ["bucket_policy", "access_log_policy", "key_policy", "topic_policy", "role_trust"])
def test_a_service_acts_only_for_this_trail_or_account(documents: TrailDocuments, name: str) -> None:
    for statement in getattr(documents, name)["Statement"]:
        principal = statement["Principal"]
        if principal == "*":
            assert statement["Effect"] == "Deny"
        elif "Service" in principal:
            condition = json.dumps(statement["Condition"])
            assert ACCOUNT in condition, statement
            assert "aws:Source" in condition or "EncryptionContext" in condition
        else:
            assert principal == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_the_keys_administration_does_not_decrypt(documents: TrailDocuments) -> None:
    (administration,) = [s for s in documents.key_policy["Statement"] if s["Sid"] == "Administration"]
    assert not [a for a in administration["Action"] if "crypt" in a.lower() or "DataKey" in a or a.endswith("*")]


@pytest.fixture(scope="module")
def made(documents: TrailDocuments) -> tuple[Any, Any]:
    return run(lambda: AuditTrail("t", {"documents": documents}) and None)


def test_the_component_makes_what_the_controls_ask_for(made: tuple[Any, Any], documents: TrailDocuments) -> None:
    recorder, monitor = made
    by_type: dict[str, list[str]] = {}
    for token, name in recorder.made:
        by_type.setdefault(token, []).append(name)
    trail = recorder.made["aws:cloudtrail/trail:Trail", "t-cloudtrail"]
    assert (trail["isMultiRegionTrail"], trail["enableLogFileValidation"], trail["includeGlobalServiceEvents"]) == (
        True,
        True,
        True,
    )
    assert trail["kmsKeyId"] == "arn:t-key"
    assert recorder.made["aws:kms/key:Key", "t-key"]["enableKeyRotation"] is True
    assert recorder.made["aws:s3/bucket:Bucket", "t-bucket"]["objectLockEnabled"] is True
    assert len(by_type["aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"]) == 2
    assert (
        recorder.made["aws:s3/bucketLogging:BucketLogging", "t-bucket-logging"]["targetBucket"]
        == "acme-dev-trail-access"
    )
    assert len(by_type["aws:cloudwatch/metricAlarm:MetricAlarm"]) == len(documents.filters) == 18
    needs = {name: {d.rsplit("::", 1)[-1] for d in r.dependencies} for name, r in monitor.requests.items()}
    assert {"t-bucket-policy", "t-bucket-lock", "t-logs", "t-delivery-policy"} <= needs["t-cloudtrail"]
    assert "t-alarms-policy" in needs["t-alarm-root-used"]


def test_a_trail_is_made_or_named_and_never_both(documents: TrailDocuments) -> None:
    arn = "arn:aws:cloudtrail:eu-central-1:999999999999:trail/organization"
    for arguments in ({}, {"documents": documents, "organization_trail_arn": arn}):
        with pytest.raises(TrailMissingError):
            run(lambda arguments=arguments: AuditTrail("t", arguments) and None)


OWN = (
    "    trail: {bucket: acme-dev-trail, access_log_bucket: acme-dev-trail-access, "
    'data_events: ["arn:aws:s3:::acme-dev-documents/*"]}\n'
)
ORGANIZATION = '    trail: {organization_trail_arn: "arn:aws:cloudtrail:eu-central-1:999999999999:trail/o"}\n'
MISTAKES = {
    "no bucket": (OWN.replace("bucket: acme-dev-trail, ", "", 1), "the key `bucket` is missing"),
    "no data events": (OWN.split(", data_events", maxsplit=1)[0] + "}\n", "the key `data_events` is missing"),
    "both": (ORGANIZATION.replace("}", ", bucket: acme-x}"), "has no `bucket` here"),
    "one bucket for both": (OWN.replace("acme-dev-trail-access", "acme-dev-trail"), "log itself without end"),
    "a tool's bucket": (OWN.replace("acme-dev-trail,", "acme-dev-documents,"), "is the audit trail's: no tool may"),
    "a tool's access log": (OWN.replace("acme-dev-trail-access", "acme-dev-documents"), "is the audit trail's"),
    "a whole service": (OWN.replace("arn:aws:s3:::acme-dev-documents/*", "arn:aws:s3:::*"), "should match pattern"),
    "another account": (
        OWN.replace("arn:aws:s3:::acme-dev-documents/*", TABLE.replace("1111", "2222", 1)),
        "is not of",
    ),
    "too short": (OWN.replace("{bucket", "{retention_days: 30, bucket"), "knows no such retention"),
    "a short lock": (OWN.replace("{bucket", "{lock_days: 1, bucket"), "greater than or equal to 365"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_of_the_binding_is_said(name: str, stacks: Path, write_trail: Callable[[str], None]) -> None:
    text, message = MISTAKES[name]
    write_trail(text)
    with pytest.raises(DeclarationErrors) as caught:
        load_environment(stacks, "dev")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [OWN, ORGANIZATION])
def test_a_right_binding_loads(text: str, stacks: Path, write_trail: Callable[[str], None]) -> None:
    write_trail(text)
    assert load_environment(stacks, "dev").trail is not None


@pytest.fixture
def write_trail(stacks: Path) -> Callable[[str], None]:
    """Return a function that sets the trail in dev's bindings."""
    file = stacks / "Pulumi.dev.yaml"

    def write(text: str) -> None:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.strip()]
        kept, inside = [], False
        for line in lines:
            inside = line.startswith("    trail:") or (inside and line.startswith("      "))
            kept += [] if inside else [line]
        place = next(n for n, line in enumerate(kept) if line.startswith("    limits:"))
        file.write_text("".join([*kept[:place], text, *kept[place:]]), encoding="utf-8")

    return write
