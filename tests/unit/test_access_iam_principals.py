"""Trust and resource policies: whom Principal and NotPrincipal name."""

from __future__ import annotations

from typing import Any

import pytest

from narrowgate.access.iam import compare, evaluate

ROLE = "arn:aws:iam::123456789012:role/team/Reader"
SESSION = "arn:aws:sts::123456789012:assumed-role/Reader/vault-1"
USER = "arn:aws:iam::123456789012:user/ann"
ROOT = "arn:aws:iam::123456789012:root"
STRANGER = "arn:aws:iam::999999999999:user/ann"


def trust(principal: Any, effect: str = "Allow", element: str = "Principal") -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "Version": "2012-10-17",
        "Statement": {"Effect": effect, "Action": "sts:AssumeRole", element: principal},
    }


def names(principal: Any, caller: Any) -> bool:  # noqa: ANN401 - JSON
    return evaluate(trust(principal), "sts:AssumeRole", ROLE, principal=caller).allowed


@pytest.mark.parametrize(
    ("principal", "caller", "expected"),
    [
        ("*", USER, True),
        ("*", None, True),
        ({"AWS": "*"}, None, True),
        ({"AWS": "*"}, {"Service": "ec2.amazonaws.com"}, True),
        ({"AWS": USER}, USER, True),
        ({"AWS": USER}, {"AWS": USER}, True),
        ({"AWS": USER}, None, False),
        ({"AWS": USER}, ROOT, False),
        ({"AWS": "123456789012"}, USER, True),
        ({"AWS": "123456789012"}, SESSION, True),
        ({"AWS": ROOT}, "123456789012", True),
        ({"AWS": ROOT}, USER, True),
        ({"AWS": ROOT}, STRANGER, False),
        ({"AWS": ["999999999999", USER]}, USER, True),
        ({"AWS": ROLE}, ROLE, True),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": ROLE}, "arn:aws:sts::999999999999:assumed-role/Reader/x", False),
        ({"AWS": ROLE}, "arn:aws:sts::123456789012:assumed-role/Writer/x", False),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": SESSION}, ROLE, False),
        ({"AWS": SESSION}, "arn:aws:sts::123456789012:assumed-role/Reader/other", False),
        ({"Service": "ec2.amazonaws.com"}, "ec2.amazonaws.com", True),
        ({"Service": ["ecs.amazonaws.com", "ec2.amazonaws.com"]}, {"Service": "ec2.amazonaws.com"}, True),
        ({"Service": "ec2.amazonaws.com"}, {"AWS": USER}, False),
        ({"Federated": "cognito-identity.amazonaws.com"}, "cognito-identity.amazonaws.com", True),
        (
            {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
            "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
            True,
        ),
        ({"Federated": "arn:aws:iam::123456789012:saml-provider/a"}, {"Federated": "x"}, False),
        ({"CanonicalUser": "79a5"}, {"CanonicalUser": "79a5"}, True),
    ],
)
def test_principal(principal: Any, caller: Any, expected: bool) -> None:  # noqa: ANN401, FBT001 - a table
    assert names(principal, caller) is expected


@pytest.mark.parametrize(
    ("exempt", "caller", "expected"),
    [
        ([USER, ROOT], USER, "Allowed"),
        ([USER, ROOT], ROOT, "Allowed"),
        ([USER, ROOT], "arn:aws:iam::123456789012:user/bob", "ExplicitlyDenied"),
        ([SESSION, ROLE, ROOT], SESSION, "Allowed"),
        ([ROLE, ROOT], SESSION, "Allowed"),
        ([USER, ROOT], STRANGER, "ExplicitlyDenied"),
        ([USER, ROOT], None, "ExplicitlyDenied"),
    ],
)
def test_a_deny_with_not_principal_spares_those_it_lists(exempt: list[str], caller: Any, expected: str) -> None:  # noqa: ANN401 - JSON
    policies = [trust("*"), trust({"AWS": exempt}, "Deny", "NotPrincipal")]
    assert evaluate(policies, "sts:AssumeRole", ROLE, principal=caller).reason == expected


def test_an_allow_with_not_principal_shuts_out_a_listed_account() -> None:
    document = trust({"AWS": ROOT}, element="NotPrincipal")
    assert not evaluate(document, "sts:AssumeRole", ROLE, principal=USER).allowed
    assert evaluate(document, "sts:AssumeRole", ROLE, principal=STRANGER).allowed


def test_a_caller_brings_its_own_context() -> None:
    document = trust("*")
    document["Statement"]["Condition"] = {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/Reader"}}
    assert evaluate(document, "sts:AssumeRole", ROLE, principal=SESSION).allowed
    assert not evaluate(document, "sts:AssumeRole", ROLE, principal=USER).allowed
    given = {"aws:PrincipalArn": ROLE}
    assert not evaluate(document, "sts:AssumeRole", ROLE, given, principal=SESSION).allowed


def test_the_context_tells_who_asks_where_nobody_else_does() -> None:
    assert evaluate(trust({"AWS": ROLE}), "sts:AssumeRole", ROLE, {"aws:PrincipalArn": ROLE}).allowed


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("*", {"AWS": USER}, True),
        ({"AWS": ROOT}, {"AWS": USER}, True),
        ({"AWS": "123456789012"}, {"AWS": ROOT}, True),
        ({"AWS": ROLE}, {"AWS": SESSION}, True),
        ({"AWS": SESSION}, {"AWS": ROLE}, False),
        ({"AWS": USER}, {"AWS": ROOT}, False),
        ({"AWS": ROOT}, "*", False),
        ({"AWS": ROOT}, {"AWS": STRANGER}, False),
        ({"Service": "ec2.amazonaws.com"}, {"Service": "ecs.amazonaws.com"}, False),
        ({"Service": ["ec2.amazonaws.com", "ecs.amazonaws.com"]}, {"Service": "ecs.amazonaws.com"}, True),
    ],
)
def test_compare_trust_policies(old: Any, new: Any, expected: bool) -> None:  # noqa: ANN401, FBT001 - a table
    result = compare(trust(old), trust(new))
    assert result.no_new_access is expected
    if result.witness is not None:
        caller = result.witness.principal
        assert evaluate(trust(new), "sts:AssumeRole", ROLE, result.witness.context, principal=caller).allowed
        assert not evaluate(trust(old), "sts:AssumeRole", ROLE, result.witness.context, principal=caller).allowed
