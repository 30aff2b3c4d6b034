"""CI's identities as compiled keep the table, which is no wider than they need; one statement more is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.access import iam, vault
from narrowgate.compile import compile_plan
from narrowgate.compile.foundation import compile_foundation
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import PageBinding
from narrowgate.rules import RULES, Settings, judge, settings_of
from narrowgate.rules.documents import facts_of_documents
from narrowgate.rules.facts import IamAttachment, IamIdentity, IamPolicy, VaultAuthRole, VaultPolicy
from narrowgate.rules.system_identities import REPLACED_RULES, ceilings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.compile.documents import GateIdentity
    from narrowgate.rules.facts import Fact

STACKS = Path(__file__).resolve().parents[2] / "stacks"
ENVIRONMENT = load_environment(STACKS, "dev")
DOCUMENTS = compile_plan(load_plan(STACKS, ENVIRONMENT))
SETTINGS = settings_of(ENVIRONMENT)
FACTS = facts_of_documents(DOCUMENTS)
NAME = "system-identity-fixed"
assert DOCUMENTS.foundation.approvals is not None
assert ENVIRONMENT.approvals is not None
GATE = DOCUMENTS.foundation.approvals
ROLES = "arn:aws:iam::111111111111:role/narrowgate/dev/tool/*"


def findings(facts: list[Fact], settings: Settings = SETTINGS) -> list[str]:
    return [finding.message for finding in judge(facts, settings) if finding.rule == NAME]


def test_compiled_identities_are_within_the_table() -> None:
    assert judge(FACTS, SETTINGS) == []


@pytest.mark.parametrize("kind", ["deployer", "preview", "operator"])
def test_the_table_allows_no_more_than_they_need(kind: str) -> None:
    ceiling = next(each for each in ceilings_of(ENVIRONMENT) if each.kind == kind)
    ci, people = DOCUMENTS.foundation.deployer, DOCUMENTS.foundation.operator
    assert ci is not None
    assert people is not None
    identity = {"deployer": ci.deployer, "preview": ci.preview, "operator": people.operator}[kind]
    assert iam.compare(list(identity.role.policies.values()), ceiling.allows).no_new_access is True
    assert iam.compare(identity.role.trust_policy, ceiling.trusts).no_new_access is True
    assert vault.compare([vault.parse(identity.policy.text)], [vault.parse(ceiling.paths)]).no_new_access is True
    assert identity.role.arn("aws", ENVIRONMENT.aws.account) == ceiling.arn


@pytest.mark.parametrize("identity", [GATE.approver, *GATE.executors], ids=lambda identity: identity.login.name)
def test_the_table_allows_people_and_executors_no_more_than_they_need(identity: GateIdentity) -> None:
    ceiling = next(each for each in ceilings_of(ENVIRONMENT) if each.policy == identity.policy.name)
    assert vault.compare([vault.parse(identity.policy.text)], [vault.parse(ceiling.paths)]).no_new_access is True


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        (GATE.approver, "narrowgate-held/data/vendor-onboarding/vendors/x"),
        (GATE.approver, "narrowgate-database-gated/creds/vendor-onboarding.vendors.create"),
        (GATE.approver, "narrowgate-decisions/data/vendor-onboarding/x/somebody"),
        (GATE.executors[-1], "sys/control-group/authorize"),
        (GATE.executors[-1], "narrowgate-database-gated/creds/vendor-onboarding.vendors.create"),
        (GATE.executors[-1], "narrowgate-drafts/data/vendor-onboarding/x/incidents.close.1"),
        (GATE.executors[-1], "narrowgate-database/creds/executor.incidents.incident-summarization.close"),
    ],
)
@pytest.mark.parametrize("capability", ["create", "update"])
def test_one_path_more_for_people_or_executors_is_refused(identity: GateIdentity, path: str, capability: str) -> None:
    more = f'{identity.policy.text}\npath "{path}" {{ capabilities = ["{capability}"] }}\n'
    facts = change(VaultPolicy, identity.policy.name, lambda fact: replace(fact, text=more))
    assert any("grants more than" in message for message in findings(facts))


@pytest.mark.parametrize(
    "more",
    [
        {"bound_claims": {"/groups": ["everybody"]}},
        {"bound_claims": {}},
        {"bound_audiences": ["narrowgate:dev:vendor-onboarding"]},
        {"token_policies": ["system.approver", "gated.vendor-onboarding.vendors.create"]},
    ],
)
def test_other_approvers_are_refused(more: dict[str, Any]) -> None:
    login = GATE.approver.login.name
    facts = change(VaultAuthRole, login, lambda fact: replace(fact, settings={**fact.settings, **more}))
    assert findings(facts)


PAGE = replace(
    ENVIRONMENT,
    approvals=replace(
        ENVIRONMENT.approvals, page=PageBinding("https://approvals.example.com", "page", "https://idp.example.com")
    ),
)
PAGE_FACTS = facts_of_documents(replace(DOCUMENTS, environment=PAGE, foundation=compile_foundation(PAGE)))


def test_the_pages_login_is_within_the_table() -> None:
    assert any(isinstance(fact, VaultAuthRole) and fact.name == "approver-page" for fact in PAGE_FACTS)
    assert judge(PAGE_FACTS, settings_of(PAGE)) == []


@pytest.mark.parametrize(
    "more",
    [
        {"bound_claims": {"/groups": ["everybody"]}},
        {"bound_claims": {}},
        {"bound_audiences": []},
        {"bound_audiences": ["another-client"]},
        {"allowed_redirect_uris": []},
        {"allowed_redirect_uris": ["https://approvals.example.com/oidc/callback", "https://evil.example.com"]},
        {"role_type": "jwt"},
        {"token_policies": ["system.approver", "gated.vendor-onboarding.vendors.create"]},
    ],
)
def test_another_login_through_a_page_is_refused(more: dict[str, Any]) -> None:
    facts = [
        replace(fact, settings={**fact.settings, **more})
        if isinstance(fact, VaultAuthRole) and fact.name == "approver-page"
        else fact
        for fact in PAGE_FACTS
    ]
    assert findings(facts, settings_of(PAGE))


def test_without_a_page_there_is_no_login_through_one() -> None:
    login = next(fact for fact in PAGE_FACTS if isinstance(fact, VaultAuthRole) and fact.name == "approver-page")
    assert any("is no login by a token" in message for message in findings([*FACTS, login]))


def test_no_other_login_becomes_an_executor() -> None:
    executor = GATE.executors[-1]
    login = next(f for f in FACTS if isinstance(f, VaultAuthRole) and f.name == executor.login.name)
    elsewhere = replace(login, at="elsewhere", name="gated.evil", settings={**login.settings, "bound_subject": "me"})
    assert any("does not bind whom" in message for message in findings([*FACTS, elsewhere]))


def test_the_replaced_rules_exist() -> None:
    # another rule of that name comes with the lock
    assert REPLACED_RULES - {"access-within-lock"} <= {rule.name for rule in RULES}


def change(kind: type[Fact], name: str, edit: Callable[[Any], Any]) -> list[Fact]:
    changed = [edit(f) if isinstance(f, kind) and name in (getattr(f, "name", ""), f.at) else f for f in FACTS]
    assert changed != FACTS
    return changed


def more_iam(statement: dict[str, Any]) -> Callable[[IamPolicy], IamPolicy]:
    def edit(fact: IamPolicy) -> IamPolicy:
        document = json.loads(fact.document)
        document["Statement"] = [s for s in document["Statement"] if s["Effect"] == "Allow"]
        document["Statement"].append({"Effect": "Allow", **statement})
        return replace(fact, document=json.dumps(document))

    return edit


@pytest.mark.parametrize("identity", ["deployer IAM role", "preview IAM role"])
@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "iam:PassRole", "Resource": ROLES},
        {"Action": "iam:AttachRolePolicy", "Resource": ROLES},
        {"Action": "iam:CreateRole", "Resource": ROLES},
        {"Action": "sts:AssumeRole", "Resource": ROLES},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-dev-documents/x"},
        {"Action": "iam:GetRole", "Resource": "arn:aws:iam::111111111111:role/narrowgate/dev/*"},
        {"NotAction": "iam:*", "Resource": "*"},
    ],
)
def test_one_more_iam_statement_is_refused(identity: str, statement: dict[str, Any]) -> None:
    assert findings(change(IamPolicy, identity, more_iam(statement)))


@pytest.mark.parametrize("policy", ["system.deployer", "system.preview"])
@pytest.mark.parametrize(
    "path",
    [
        "sys/policies/acl/*",
        "sys/policies/acl/system.deployer",
        "narrowgate-aws/sts/+",
        "narrowgate-database/creds/incident-summarization.incidents",
        "auth/+/role/+",
        "sys/mounts/*",
        "narrowgate-aws/config/root",
        "auth/token/create",
    ],
)
def test_one_more_vault_path_is_refused(policy: str, path: str) -> None:
    rule = f'\npath "{path}" {{ capabilities = ["update"] }}\n'
    assert findings(change(VaultPolicy, policy, lambda fact: replace(fact, text=fact.text + rule)))


@pytest.mark.parametrize(
    "more",
    [
        {"bound_subject": "repo:acme/agents:environment:dev-preview"},
        {"bound_subject": ""},
        {"bound_audiences": ["narrowgate:dev:ci", "sts.amazonaws.com"]},
        {"bound_claims_type": "glob"},
        {"token_policies": ["system.deployer", "operator"]},
        {"token_no_default_policy": False},
    ],
)
def test_another_login_is_refused(more: dict[str, Any]) -> None:
    wider = change(VaultAuthRole, "deployer", lambda fact: replace(fact, settings={**fact.settings, **more}))
    assert findings(wider)


def test_a_login_elsewhere_gets_no_system_policy() -> None:
    login = next(fact for fact in FACTS if isinstance(fact, VaultAuthRole) and fact.name == "deployer")
    elsewhere = replace(login, at="elsewhere", mount="agents/evil", name="agent")
    assert any("is not at its own auth mount" in message for message in findings([*FACTS, elsewhere]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("token.actions.githubusercontent.com:sub", "repo:acme/agents:pull_request"),
        ("token.actions.githubusercontent.com:sub", "repo:acme/other:environment:dev"),
        ("token.actions.githubusercontent.com:aud", "sts.amazonaws.com"),
    ],
)
def test_another_trust_is_refused(key: str, value: str) -> None:
    def edit(fact: IamIdentity) -> IamIdentity:
        document = json.loads(str(fact.trust))
        document["Statement"][0]["Condition"]["StringEquals"][key] = value
        return replace(fact, trust=json.dumps(document))

    assert findings(change(IamIdentity, "ng-dev-deployer", edit))


def test_an_attached_policy_and_another_path_are_refused() -> None:
    admin = IamAttachment(
        at="attachment", kind="role", holder="ng-dev-deployer", policy="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    assert findings([*FACTS, admin])
    moved = change(IamIdentity, "ng-dev-deployer", lambda fact: replace(fact, path="/narrowgate/dev/tool/"))
    assert any("stands at" in message for message in findings(moved))


def test_without_bindings_a_system_identity_is_refused() -> None:
    known = replace(SETTINGS, bindings=None)
    gate = {"the approver", *(f"the {executor.login.name}" for executor in GATE.executors)}
    refused = {m.split(" can't")[0] for m in findings(FACTS, known)}
    assert refused == {"the deployer", "the preview", "the operator", *gate}
    unbound = replace(SETTINGS, bindings=replace(ENVIRONMENT, deployer=None))
    assert findings(FACTS, unbound)


def test_the_broker_assumes_tools_roles_and_no_more() -> None:
    broker = IamIdentity(at="broker", kind="user", name="broker", path="/narrowgate/dev/")

    def policy(action: list[str], resource: str) -> IamPolicy:
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return IamPolicy(at="broker", kind="user", holder="broker", name="broker", document=document)

    assert findings([broker, policy(["sts:AssumeRole", "sts:TagSession"], ROLES)]) == []
    assert findings([broker, policy(["sts:AssumeRole"], "*")])
    assert findings([broker, policy(["sts:AssumeRole", "iam:PassRole"], ROLES)])
