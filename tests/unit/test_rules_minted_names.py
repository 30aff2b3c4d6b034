"""What tells two minted credentials apart: a certificate's names, a signed token's claims."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from narrowgate.rules import Settings, judge
from narrowgate.rules.facts import VaultSecretRole
from narrowgate.rules.minted_names import open_names, signed_claims

RULE = "workflow-no-shared-identity"
CLAIMS = {"workflow": "a", "tool": "t"}


def role(engine: str, name: str, **settings: Any) -> VaultSecretRole:  # noqa: ANN401 - settings of any type
    times = {"ttl": 300, "max_ttl": 300}
    return VaultSecretRole(
        at=name,
        engine=engine,
        mount=engine,
        name=name,
        credentials=(f"{engine}/{name}",),
        settings={**times, **settings},
    )


def shared(*facts: VaultSecretRole) -> list[str]:
    return [f.message for f in judge(list(facts), Settings()) if f.rule == RULE]


def token(name: str, template: str, audience: str = "https://tool") -> VaultSecretRole:
    return role("identity", name, client_id=audience, template=template)


@pytest.mark.parametrize(
    "template",
    [
        json.dumps(CLAIMS),
        json.dumps({**CLAIMS, "actions": ["write"]}),
        '{"tool": "t", "workflow": "a", "requester": {{identity.entity.aliases.auth_jwt_1.name}} }',
        base64.b64encode(json.dumps(CLAIMS).encode()).decode(),
    ],
)
def test_tokens_of_one_workflow_and_tool_for_one_audience_are_one_identity(template: str) -> None:
    assert shared(token("one", json.dumps(CLAIMS)), token("two", template))


def test_tokens_without_claims_are_one_identity() -> None:
    assert shared(token("one", ""), token("two", ""))
    assert shared(token("one", "{}"), token("two", "{ }"))


@pytest.mark.parametrize("other", [{**CLAIMS, "workflow": "b"}, {**CLAIMS, "tool": "u"}])
def test_tokens_of_another_workflow_or_tool_are_not(other: dict[str, str]) -> None:
    assert not shared(token("one", json.dumps(CLAIMS)), token("two", json.dumps(other)))


def test_tokens_for_another_audience_are_not() -> None:
    assert not shared(token("one", json.dumps(CLAIMS)), token("two", json.dumps(CLAIMS), "https://other"))


def test_a_role_without_an_audience_has_one_of_its_own() -> None:
    assert signed_claims({"template": "{}"}) is None


def test_claims_that_are_not_known_yet_are_not_compared() -> None:
    assert signed_claims({"client_id": "https://tool"}) is None


@pytest.mark.parametrize("setting", ["allowed_uri_sans", "allowed_domains", "allowed_other_sans"])
def test_a_certificate_name_of_two_roles_is_one_identity(setting: str) -> None:
    mine, other = {setting: ["spiffe://d/e/w/t"]}, {setting: "spiffe://d/e/w/t,spiffe://d/e/w/u"}
    assert shared(role("pki", "one", **mine), role("pki", "two", **other))
    assert not shared(role("pki", "one", **mine), role("pki", "two", **{setting: ["spiffe://d/e/w/u"]}))


@pytest.mark.parametrize(
    "settings",
    [
        {"allow_any_name": True},
        {"allow_any_name": "true"},
        {"allowed_uri_sans": "spiffe://d/e/*"},
        {"allowed_domains": "*"},
    ],
)
def test_a_certificate_name_of_the_callers_choice_is_refused(settings: dict[str, object]) -> None:
    assert open_names(settings)
    assert any("choose" in message for message in shared(role("pki", "one", **settings)))
