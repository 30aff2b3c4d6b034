"""What a filter pattern matches: the examples of CloudWatch Logs' own guide, and what must be an error."""

from __future__ import annotations

import pytest

from narrowgate.compile.trail_alarms import MAX_PATTERN, agent_controls, benchmark_controls
from narrowgate.rules.filter_patterns import FilterPatternError, matches

# The guide's sample event, and its patterns with what they say of it.
SAMPLE = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "cluster.name": "c",
    "allowed": True,
}
GUIDE = {
    '{ $.eventType = "UpdateTrail" }': True,
    "{ $.sourceIPAddress != 123.123.* }": True,
    "{ $.sourceIPAddress = 111.111.* }": True,
    '{ $.arrayKey[0] = "value" }': True,
    '{ $.arrayKey[1] = "value" }': False,
    "{ $.objectList[1].id = 2 }": True,
    "{ $.objectList[1].id > 1 }": True,
    "{ $.objectList[1].id >= 3 }": False,
    "{ $.SomeObject IS NULL }": True,
    "{ $.SomeOtherObject NOT EXISTS }": True,
    "{ $.eventType EXISTS }": True,
    "{ $.allowed IS TRUE }": True,
    "{ $.allowed IS FALSE }": False,
    "{ $.['cluster.name'] = \"c\" }": None,
    "{ $['cluster.name'] = \"c\" }": True,
    '{ ($.eventType = "UpdateTrail") && ($.objectList[0].id = 1) }': True,
    '{ ($.eventType = "X") || ($.eventType = UpdateTrail) && ($.arrayKey[0] = "value") }': True,
    '{ ($.eventType = "X" || $.eventType = "UpdateTrail") && $.arrayKey[0] = "x" }': False,
    '{ $.eventType = "*Trail" }': True,
    '{ $.eventType = "trail" }': False,
    '{ $.absent != "x" }': False,
}


@pytest.mark.parametrize("pattern", GUIDE)
def test_the_guides_examples(pattern: str) -> None:
    expected = GUIDE[pattern]
    if expected is None:
        with pytest.raises(FilterPatternError):
            matches(pattern, SAMPLE)
    else:
        assert matches(pattern, SAMPLE) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ERROR",
        "{ $.a = 1",
        "{ $.a }",
        "{ $.a = 1 } x",
        "{ $.a = %AccessDenied% }",
        "{ a = 1 }",
        '{ $.a < "x" }',
        "{ $.a IS EMPTY }",
        "{ ($.a = 1 }",
        "[w1, w2]",
    ],
)
def test_what_is_not_understood_is_an_error(pattern: str) -> None:
    with pytest.raises(FilterPatternError):
        matches(pattern, SAMPLE)


ROLES = "arn:aws:iam::111111111111:role/narrowgate/dev"
USER = "arn:aws:iam::111111111111:user/narrowgate/dev/broker"
ROLE = "arn:aws:iam::111111111111:role/narrowgate/dev/broker"
CONTROLS = [*benchmark_controls(), *agent_controls("dev", "111111111111", "aws", {"tool": USER, "gated": ROLE})]


@pytest.mark.parametrize("control", CONTROLS, ids=[control.name for control in CONTROLS])
def test_a_controls_own_pattern_matches_its_samples_and_fits_the_service(control: object) -> None:
    assert len(control.pattern) <= MAX_PATTERN
    assert control.samples
    for sample in control.samples:
        assert matches(control.pattern, sample), sample


def test_the_benchmark_is_whole() -> None:
    assert [control.number for control in benchmark_controls()] == [f"4.{number}" for number in range(1, 16)]


def call(role: str, identity: dict[str, object], event: str = "AssumeRole") -> dict[str, object]:
    return {
        "eventSource": "sts.amazonaws.com",
        "eventName": event,
        "requestParameters": {"roleArn": role},
        "userIdentity": identity,
    }


def session_of(role: str) -> dict[str, object]:
    return {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role}}}


@pytest.mark.parametrize(
    ("kind", "identity", "alarm"),
    [
        ("tool", {"type": "IAMUser", "arn": USER}, False),
        ("tool", {"type": "IAMUser", "arn": f"{USER}-2"}, True),
        ("tool", session_of(ROLE), True),
        ("gated", session_of(ROLE), False),
        ("gated", session_of(f"{ROLE}s"), True),
        ("gated", {"type": "IAMUser", "arn": USER}, True),
        ("gated", {"type": "WebIdentityUser"}, True),
    ],
)
def test_only_the_broker_of_a_kind_of_role_raises_no_alarm(kind: str, identity: dict[str, object], alarm: bool) -> None:  # noqa: FBT001 - a table
    (control,) = [c for c in CONTROLS if c.name == ("role-by-other" if kind == "tool" else f"{kind}-role-by-other")]
    assert matches(control.pattern, call(f"{ROLES}/{kind}/ng-dev-x", identity)) is alarm
    assert not matches(control.pattern, call("arn:aws:iam::111111111111:role/other", identity))


def test_an_agents_refusal_is_told_from_anybody_elses() -> None:
    (control,) = [c for c in CONTROLS if c.name == "agent-denied"]
    denied = {"eventName": "GetObject", "errorCode": "AccessDenied"}
    assert matches(control.pattern, {**denied, "userIdentity": session_of(f"{ROLES}/tool/ng-dev-x")})
    assert matches(control.pattern, {**denied, "userIdentity": session_of(f"{ROLES}/gated/ng-dev-x")})
    assert not matches(control.pattern, {**denied, "userIdentity": session_of("arn:aws:iam::111111111111:role/ci")})
    assert not matches(
        control.pattern, {"userIdentity": session_of(f"{ROLES}/tool/ng-dev-x"), "eventName": "GetObject"}
    )
