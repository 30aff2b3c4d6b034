"""Rules over Vault: a compliant baseline, broken in one way by each test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from narrowgate.rules import RunningJudgement, Settings, judge
from narrowgate.rules.facts import (
    Fact,
    Foundation,
    VaultAudit,
    VaultAuthRole,
    VaultEntity,
    VaultGroup,
    VaultPolicy,
    VaultSecretRole,
)

SETTINGS = Settings(environment="dev", audit_device="main", gated_mounts=("gated",))
GATED = """
path "gated/creds/tickets" {
  capabilities = ["read"]
  control_group = {
    ttl = "30m"
    factor "commanders" {
      controlled_capabilities = ["read"]
      identity {
        group_names = ["incident-commanders"]
        approvals = 1
      }
    }
  }
}
"""
LOGIN = VaultAuthRole(
    at="login",
    method="jwt",
    mount="agents/executor",
    name="executor",
    settings={
        "bound_claims": {"/sub": "executor"},
        "token_policies": ["executor.tickets", "executor.own"],
        "token_ttl": 900,
        "token_max_ttl": 900,
    },
)
OWN = VaultPolicy(
    at="own", name="executor.own", text='path "auth/token/renew-self" {\n  capabilities = ["update"]\n}\n'
)
BASELINE: list[Fact] = [VaultPolicy(at="gated", name="executor.tickets", text=GATED), OWN, LOGIN]


def rules_of(facts: list[Fact], settings: Settings = SETTINGS) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in judge(facts, settings):
        found.setdefault(finding.rule, []).append(finding.resource)
    return found


def with_text(text: str, *more: Fact) -> list[Fact]:
    return [VaultPolicy(at="gated", name="executor.tickets", text=text), OWN, LOGIN, *more]


def test_the_baseline_keeps_every_rule() -> None:
    assert rules_of(BASELINE) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('capabilities = ["read"]\n  control', 'capabilities = ["read", "update"]\n  control'),
        ('capabilities = ["read"]\n  control', 'capabilities = ["create", "read", "list"]\n  control'),
        ('controlled_capabilities = ["read"]', 'controlled_capabilities = ["update"]'),
        ('ttl = "30m"', 'ttl = "30m"\n    self_auth_allowed = true'),
    ],
)
def test_an_uncontrolled_capability_is_refused(old: str, new: str) -> None:
    assert old in GATED
    assert "vault-gated-needs-control-group" in rules_of(with_text(GATED.replace(old, new)))


@pytest.mark.parametrize(
    "path", ["gated/creds/tickets", "gated/creds/+", "gated/creds/other", "gated/*", "+/creds/others"]
)
def test_an_ungated_way_to_a_gated_mount_is_refused_whichever_policy_opens_it(path: str) -> None:
    open_ = f'path "{path}" {{\n  capabilities = ["read"]\n}}\n'
    other = replace(OWN, text=OWN.text + open_)
    assert "vault-gated-needs-control-group" in rules_of([BASELINE[0], other, LOGIN])
    assert "vault-gated-needs-control-group" in rules_of(with_text(GATED + open_))


@pytest.mark.parametrize("name", ["a.first", "z.last"])
def test_an_ungated_twin_is_refused_wherever_it_sorts(name: str) -> None:
    twin = VaultPolicy(at="twin", name=name, text='path "gated/creds/tickets" {\n  capabilities = ["read"]\n}\n')
    login = replace(LOGIN, settings={**LOGIN.settings, "token_policies": ["executor.tickets", name]})
    found = rules_of([BASELINE[0], twin, login], replace(SETTINGS, gated_mounts=()))
    assert found["vault-gated-needs-control-group"] == ["login"]


def test_the_credentials_of_a_gated_iam_role_need_a_control_group() -> None:
    role = VaultSecretRole(
        at="vault-role",
        engine="aws",
        mount="narrowgate-aws",
        name="tickets",
        credentials=("narrowgate-aws/sts/tickets", "narrowgate-aws/creds/tickets"),
        settings={
            "credential_type": "assumed_role",
            "role_arns": ["arn:aws:iam::111111111111:role/narrowgate/dev/gated/ng-dev-tickets"],
            "default_sts_ttl": 900,
            "max_sts_ttl": 900,
        },
    )
    gated = GATED.replace("gated/creds/tickets", "narrowgate-aws/sts/tickets")
    assert rules_of(with_text(gated, role)) == {}
    open_ = 'path "narrowgate-aws/creds/tickets" {\n  capabilities = ["read"]\n}\n'
    assert "vault-gated-needs-control-group" in rules_of(with_text(gated + open_, role))


def test_the_second_way_is_refused_when_it_arrives() -> None:
    judgement = RunningJudgement(SETTINGS)
    for fact in (LOGIN, BASELINE[0], OWN):
        assert judgement.add(fact.at, [fact]) == []
    opened = replace(OWN, text='path "gated/creds/tickets" {\n  capabilities = ["read"]\n}\n')
    found = judgement.add("own", [opened])
    assert {finding.resource for finding in found if finding.rule == "vault-gated-needs-control-group"} == {"own"}
    assert judgement.add("own", [OWN]) == []


def test_a_login_that_nothing_logs_is_refused() -> None:
    unbound = replace(SETTINGS, audit_device="")
    assert rules_of(BASELINE, unbound) == {"vault-audit-required": ["login"]}
    device = VaultAudit(at="audit", path="main", kind="file", options={"file_path": "/var/log/audit.log"})
    assert rules_of([device, *BASELINE], unbound) == {}


@pytest.mark.parametrize("options", [{"file_path": "/dev/null"}, {}, {"log_raw": "true"}, {"local": True}])
def test_an_audit_device_that_loses_entries_or_keeps_secrets_is_refused(options: dict[str, object]) -> None:
    if "file_path" not in options and options:
        options = {"file_path": "/var/log/audit.log", **options}
    device = VaultAudit(at="audit", path="main", kind="file", options=options)
    assert rules_of([device, *BASELINE]) == {"vault-audit-required": ["audit"]}


@pytest.mark.parametrize("kind", [VaultGroup, VaultEntity])
def test_policies_of_groups_and_entities_are_refused(kind: type[VaultGroup | VaultEntity]) -> None:
    assert rules_of([*BASELINE, kind(at="one", name="one", policies=())]) == {}
    assert "vault-group-no-policies" in rules_of(
        [*BASELINE, kind(at="one", name="one", policies=("executor.tickets",))]
    )


def test_what_is_known_at_the_end_is_judged_with_all_the_rest() -> None:
    judgement = RunningJudgement(SETTINGS)
    for fact in (LOGIN, BASELINE[0]):
        assert judgement.add(fact.at, [fact]) == []
    # The login, which comes first, is judged with the policy that comes after it.
    opened = replace(OWN, text='path "gated/creds/tickets" {\n  capabilities = ["read"]\n}\n')
    found = judgement.finish({LOGIN.at: [LOGIN], OWN.at: [opened]})
    whole = judge([LOGIN, BASELINE[0], opened], SETTINGS)
    assert {(one.rule, one.message) for one in found} == {(one.rule, one.message) for one in whole} != set()
    assert judgement.finish({LOGIN.at: [LOGIN], OWN.at: [OWN]}) == []


def test_what_a_stack_lacks_is_found_at_the_end() -> None:
    judgement = RunningJudgement(SETTINGS)
    assert judgement.add("foundation", [Foundation(at="foundation")]) == []
    assert [finding.rule for finding in judgement.finish({})] == ["trail-required"]
