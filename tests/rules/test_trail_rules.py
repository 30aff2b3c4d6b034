"""The rules of the audit trail: what the component makes keeps all of them, and each test breaks one thing of it."""

from __future__ import annotations

import contextvars
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource
from narrowgate_policies.trail_resources import TRAIL_READERS, read_trail
from narrowgate_policies.translate import facts_of
from narrowgate_pulumi import AuditTrail
from pulumi.runtime import mocks

from narrowgate.compile.trail import compile_trail
from narrowgate.compile.trail_alarms import benchmark_controls
from narrowgate.declarations import load_environment
from narrowgate.plan import TrailBinding
from narrowgate.rules import judge, settings_of
from narrowgate.rules.facts import Trail, VaultAuthRole
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.rules import Finding

ENVIRONMENT = load_environment(CHECKOUT / "stacks", "prod")
Stack = dict[str, tuple[str, dict[str, Any], dict[str, Any]]]  # by name: type, inputs, outputs
FOUNDATION: Stack = {"foundation": ("narrowgate:index:Environment", {}, {})}
ORGANIZATION = "arn:aws:cloudtrail:eu-central-1:999999999999:trail/organization"


class Recorder(mocks.Mocks):
    """Keeps what is registered, and gives each resource an ARN."""

    def __init__(self) -> None:
        self.made: Stack = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs = {**args.inputs, "arn": f"arn:{args.name}"}
        self.made[args.name] = (args.typ, args.inputs, outputs)
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


def register() -> Stack:
    recorder = Recorder()
    mocks.set_mocks(recorder, project="narrowgate", stack="prod")

    @pulumi.runtime.test
    def program() -> None:
        AuditTrail("t", {"documents": compile_trail(ENVIRONMENT)})

    program()
    return recorder.made


BASELINE = {**FOUNDATION, **contextvars.copy_context().run(register)}


def find(stack: Stack, environment: Any = ENVIRONMENT) -> list[Finding]:  # noqa: ANN401 - an environment
    facts = [
        fact
        for name, (kind, inputs, outputs) in stack.items()
        if kind in TRAIL_READERS
        for fact in facts_of(Resource(type=kind, urn=f"urn::{kind}::{name}", properties=inputs, outputs=outputs))
    ]
    return judge(facts, settings_of(environment))


def edit(name: str, **changes: object) -> Callable[[Stack], None]:
    def apply(stack: Stack) -> None:
        kind, inputs, outputs = stack[name]
        stack[name] = (kind, {k: v for k, v in {**inputs, **changes}.items() if v is not None}, outputs)

    return apply


def drop(*names: str) -> Callable[[Stack], None]:
    return lambda stack: [stack.pop(name) for name in names] and None


def select(**fields: object) -> Callable[[Stack], None]:
    """Narrow the selector of data events by one more field."""

    def apply(stack: Stack) -> None:
        selectors = copy.deepcopy(stack["t-cloudtrail"][1]["advancedEventSelectors"])
        selectors[1]["fieldSelectors"].append(fields)
        edit("t-cloudtrail", advancedEventSelectors=selectors)(stack)

    return apply


def test_what_the_component_makes_keeps_every_rule() -> None:
    assert len(BASELINE) > 50
    assert find(BASELINE) == []


DATA = {"dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}], "includeManagementEvents": False}
MANAGEMENT = [{"includeManagementEvents": True, "readWriteType": "WriteOnly"}, DATA]
WRITES = [{"includeManagementEvents": True}, {**DATA, "readWriteType": "WriteOnly"}]
# what is broken: how, which rule says so, a part of what it says
BROKEN: dict[str, tuple[Callable[[Stack], None], str, str]] = {
    "one region": (edit("t-cloudtrail", isMultiRegionTrail=False), "trail-all-regions", "one region only"),
    "a region nobody can tell": (edit("t-cloudtrail", isMultiRegionTrail=UNKNOWN), "trail-all-regions", "one region"),
    "no global services": (edit("t-cloudtrail", includeGlobalServiceEvents=False), "trail-all-regions", "global"),
    "switched off": (edit("t-cloudtrail", enableLogging=False), "trail-all-regions", "switched off"),
    "no management reads": (
        edit("t-cloudtrail", advancedEventSelectors=None, eventSelectors=MANAGEMENT),
        "trail-all-regions",
        "management events",
    ),
    "not validated": (edit("t-cloudtrail", enableLogFileValidation=None), "trail-validated", "does not validate"),
    "no key": (edit("t-cloudtrail", kmsKeyId=None), "trail-encrypted", "no KMS key"),
    "a key from elsewhere": (edit("t-cloudtrail", kmsKeyId="arn:elsewhere"), "trail-encrypted", "nobody can tell"),
    "a key that stays": (edit("t-key", enableKeyRotation=False), "trail-encrypted", "never rotated"),
    "no block": (drop("t-bucket-private"), "trail-bucket-private", "no public access block"),
    "three blocks of four": (
        edit("t-bucket-private", restrictPublicBuckets=False),
        "trail-bucket-private",
        "restrictPublicBuckets",
    ),
    "no access log": (drop("t-bucket-logging"), "trail-bucket-logged", "has no access log"),
    "an access log in itself": (
        edit("t-bucket-logging", targetBucket="acme-prod-trail"),
        "trail-bucket-logged",
        "in itself",
    ),
    "no data": (edit("t-cloudtrail", advancedEventSelectors=None), "trail-data-events", "no reads and writes"),
    "data writes only": (
        edit("t-cloudtrail", advancedEventSelectors=None, eventSelectors=WRITES),
        "trail-data-events",
        "no reads and writes",
    ),
    "data reads left out": (select(field="readOnly", equals=["false"]), "trail-data-events", "no reads and writes"),
    "data of one user": (
        select(field="userIdentity.arn", equals=["arn:aws:iam::222222222222:user/x"]),
        "trail-data-events",
        "no reads and writes",
    ),
    "no log group": (edit("t-cloudtrail", cloudWatchLogsGroupArn=None), "trail-alarms", "not sent to CloudWatch"),
    "another log group": (
        edit("t-cloudtrail", cloudWatchLogsGroupArn="arn:aws:logs:eu-central-1:222222222222:log-group:/other:*"),
        "trail-alarms",
        "no alarm tells",
    ),
    "no filter": (drop("t-filter-root-used"), "trail-alarms", "The account's root was used (CIS 4.3)"),
    "a filter that matches nothing": (
        edit("t-filter-root-used", pattern='{ $.userIdentity.type = "Rooot" }'),
        "trail-alarms",
        "CIS 4.3",
    ),
    "a filter that leaves one call out": (
        edit("t-filter-trail-changed", pattern="{ $.eventName = StopLogging }"),
        "trail-alarms",
        "CIS 4.5",
    ),
    "a filter nobody can read": (edit("t-filter-root-used", pattern="root"), "trail-alarms", "CIS 4.3"),
    "no alarm": (drop("t-alarm-agent-denied"), "trail-alarms", "An agent's session of prod was refused"),
    "an alarm to nobody": (edit("t-alarm-role-by-other", alarmActions=[]), "trail-alarms", "somebody else than its"),
    "a muted alarm": (edit("t-alarm-root-used", actionsEnabled=False), "trail-alarms", "CIS 4.3"),
    "an alarm at the tenth": (edit("t-alarm-root-used", threshold=10), "trail-alarms", "CIS 4.3"),
    "an alarm on nothing": (
        edit("t-alarm-root-used", comparisonOperator="LessThanThreshold"),
        "trail-alarms",
        "CIS 4.3",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_thing_broken_is_one_rule_broken(name: str) -> None:
    change, rule, message = BROKEN[name]
    stack = dict(BASELINE)
    change(stack)
    found = find(stack)
    assert {finding.rule for finding in found} == {rule}
    assert any(message in finding.message for finding in found), [finding.message for finding in found]
    assert all(finding.detail and finding.fix for finding in found)


def test_a_foundation_without_a_trail_is_refused() -> None:
    (finding,) = find(FOUNDATION)
    assert finding.rule == "trail-required"
    assert "this foundation has no audit trail" in finding.message


def test_a_stack_that_is_no_foundation_needs_none() -> None:
    assert find({"key": BASELINE["t-key"]}) == []


def test_an_organizations_trail_is_enough_and_must_be_the_bound_one() -> None:
    bound = replace(ENVIRONMENT, trail=TrailBinding(organization_trail_arn=ORGANIZATION))

    def refer(arn: str) -> Stack:
        return {**FOUNDATION, "trail": ("narrowgate:index:AuditTrail", {"organizationTrailArn": arn}, {})}

    assert find(refer(ORGANIZATION), bound) == []
    (finding,) = find(refer(ORGANIZATION.replace("organization", "other")), bound)
    assert finding.rule == "trail-required"


def test_agents_of_an_environment_without_a_trail_are_refused_at_their_login() -> None:
    role = VaultAuthRole(at="urn::role", method="jwt", mount="agents/x", name="agent", settings={})
    without = settings_of(replace(ENVIRONMENT, trail=None))
    assert "trail-required" in {finding.rule for finding in judge([role], without)}
    assert "trail-required" not in {finding.rule for finding in judge([role], settings_of(ENVIRONMENT))}


def test_a_block_of_the_whole_account_is_one_of_the_bucket() -> None:
    stack = dict(BASELINE)
    _, inputs, _ = stack.pop("t-bucket-private")
    blocks = {name: value for name, value in inputs.items() if name != "bucket"}
    stack["account"] = ("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", blocks, {})
    assert find(stack) == []


def test_one_filter_may_serve_several_controls() -> None:
    stack = {name: value for name, value in BASELINE.items() if "-filter-" not in name and "-alarm-" not in name}
    stack["t-alarm-one"] = BASELINE["t-alarm-root-used"]
    stack["t-filter-one"] = BASELINE["t-filter-root-used"]
    edit("t-filter-one", pattern="{ $.eventName EXISTS || $.errorCode EXISTS || $.userIdentity.type EXISTS }")(stack)
    assert find(stack) == []


def test_basic_selectors_are_read_too() -> None:
    selectors = [{"dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::acme-prod-documents/"]}]}]
    inputs = {"eventSelectors": selectors}
    (trail,) = read_trail(Resource(type="aws:cloudtrail/trail:Trail", urn="urn", properties=inputs))
    assert isinstance(trail, Trail)
    assert (trail.management, trail.data) == (True, ("arn:aws:s3:::acme-prod-documents/*",))


def test_the_reference_that_preview_does_not_know_yet_is_found_by_the_key() -> None:
    stack = dict(BASELINE)
    edit("t-cloudtrail", kmsKeyId=UNKNOWN)(stack)
    key = f"urn::{stack['t-key'][0]}::t-key"
    facts = [
        fact
        for name, (kind, inputs, _) in stack.items()
        if kind in TRAIL_READERS
        for fact in facts_of(Resource(kind, f"urn::{kind}::{name}", inputs, resolve=lambda _: (key,)))
    ]
    assert judge(facts, settings_of(ENVIRONMENT)) == []


def test_the_samples_are_of_every_control_of_the_benchmark() -> None:
    assert [control.number for control in benchmark_controls()] == [f"4.{number}" for number in range(1, 16)]


def judge_delivery(**changes: object) -> set[str]:
    """Return which rules the delivery role breaks, with `changes` of the policy that it holds or of whom it trusts."""
    facts = []
    for name in ("t-delivery", "t-delivery-policy"):
        kind, inputs, _ = BASELINE[name]
        given = {**inputs, **{key: value for key, value in changes.items() if key in inputs}}
        facts += facts_of(Resource(type=kind, urn=f"urn::{kind}::{name}", properties=given))
    assert len(facts) >= 2
    return {finding.rule for finding in judge(facts, settings_of(ENVIRONMENT))}


def test_the_delivery_role_writes_its_log_group_and_serves_this_trail_alone() -> None:
    policy, trust = BASELINE["t-delivery-policy"][1]["policy"], BASELINE["t-delivery"][1]["assumeRolePolicy"]
    assert judge_delivery() == set()
    assert judge_delivery(policy=policy.replace("/narrowgate/prod/trail", "*")) == {"system-identity-fixed"}
    assert judge_delivery(policy=policy.replace("logs:PutLogEvents", "logs:DeleteLogGroup")) == {
        "system-identity-fixed"
    }
    assert judge_delivery(assumeRolePolicy=trust.replace("cloudtrail.", "lambda.")) == {"system-identity-fixed"}
    assert "system-identity-fixed" in judge_delivery(assumeRolePolicy=trust.replace("222222222222", "999999999999"))
    assert "system-identity-fixed" in judge_delivery(path="/narrowgate/prod/tool/")
