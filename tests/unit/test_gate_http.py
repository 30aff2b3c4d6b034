"""A gated request to an internal service: what may be declared, what it compiles to, and what rules say of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.access.diff import compare_plans
from narrowgate.access.explain import explain_workflow
from narrowgate.access.locked import LockedDocuments
from narrowgate.compile import compile_plan
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.operations.target import read_target
from narrowgate.rules import judge, settings_of
from narrowgate.rules.documents import facts_of_documents
from narrowgate.rules.facts import VaultPolicy, VaultSecretRole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.compile.documents import GatedDocuments, Json, PlanDocuments
    from narrowgate.rules.facts import Fact

WORKFLOW = "vendor-onboarding"
AUDIENCE = "https://payments.dev.example.com"
GATED, READER = f"{WORKFLOW}.payments.refund", f"executor.payments.{WORKFLOW}.refund"
SHARED, OPEN = "workflow-no-shared-identity", "vault-gated-needs-control-group"
REFUND = """
  refund:
    access: write
    impact: high
    grants:
      - {audience: "${binding.audience}"}
    description: Gives money back.
    inputs:
      type: object
      additionalProperties: false
      required: [payment, amount]
      properties:
        payment: {type: string}
        amount: {type: integer}
    execute:
      handler: http
      url: "${binding.url}"
      method: POST
      path: [payments, "${inputs.payment}", refunds]
      headers: {Idempotency-Key: "${digest}"}
      body: {amount: "${inputs.amount}", region: "${scope.region}"}
      read: {path: [payments, "${inputs.payment}"], fields: {refunded: refund.amount}}
      changes: {refunded: "${inputs.amount}"}
      result: {refund: id}
      reversible: "no"
"""


@pytest.fixture
def declared(stacks: Path, edit: Callable[[str, str, str], None]) -> Path:
    """Declare a gated request in the copy of `stacks`, and a workflow that may propose it."""
    tool, workflow = stacks / "tools" / "payments.yaml", stacks / "workflows" / f"{WORKFLOW}.yaml"
    tool.write_text(tool.read_text().rstrip() + REFUND)
    added = "  payments:\n    actions: [read, refund]\n    scope: {region: emea}\n  vendors:\n"
    text = workflow.read_text().replace("  vendors:\n", added, 1)
    workflow.write_text(text + "  payments.refund: {approvers: [vendor-approvers], required: 1, expires: 30m}\n")
    edit("Pulumi.dev.yaml", "payments: {", 'payments: {url: "https://payments.dev.example.com/api", ')
    return stacks


def compile_in(stacks: Path) -> PlanDocuments:
    return compile_plan(load_plan(stacks, load_environment(stacks, "dev")))


def find_gated(documents: PlanDocuments) -> GatedDocuments:
    return next(g for w in documents.workflows for g in w.gated if g.description["tool"] == "payments")


def claims_of(settings: Json) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(settings["template"])
    return claims


def judged(facts: list[Fact], documents: PlanDocuments) -> dict[str, str]:
    return {f.rule: f.message for f in judge(facts, settings_of(documents.environment))}


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ('"${binding.url}"', '"http://payments.example.com"', "bad-format", "over https only"),
        ('"${binding.url}"', '"https://me@payments.example.com"', "bad-format", "a host and a path"),
        ('"${binding.url}"', '"${approvers}"', "bad-reference", "not known when people decide"),
        ("method: POST", "method: GET", "unknown-value", "GET"),
        ('path: [payments, "${inputs.payment}", r', 'path: ["..", "${inputs.payment}", r', "bad-format", "no segment"),
        (
            'path: [payments, "${inputs.payment}", r',
            'path: ["payments/all", "${inputs.payment}", r',
            "bad-format",
            "no segment",
        ),
        ('"${inputs.payment}", refunds', '"p-${inputs.payment}", refunds', "bad-reference", "no whole reference"),
        ('"${inputs.payment}", refunds', '"${digest}", refunds', "bad-reference", "not known when people decide"),
        ("Idempotency-Key:", "Authorization:", "bad-value", "set by the executor"),
        ("Idempotency-Key:", '"X: y":', "bad-format", "no name of a header"),
        ('"${digest}"', '"${inputs.payment}"', "bad-reference", "can't stand in a header"),
        ('{Idempotency-Key: "${digest}"}', "{}", "missing-digest", "exactly one"),
        ('"${scope.region}"', '"${digest}"', "missing-digest", "exactly one"),
        ('"${scope.region}"', '"${scope.country}"', "unknown-reference", "names nothing"),
        ("refund.amount", '"refund["', "bad-format", "JMESPath"),
        ("{refunded: refund.amount}", "{other: refund.amount}", "unread-column", "would not see"),
        ("handler: http", "handler: aws-call", "unknown-value", "http"),
    ],
)
def test_a_request_that_is_not_exactly_what_people_see_is_a_mistake_with_its_place(  # noqa: PLR0913, PLR0917 - a case's columns
    stacks: Path, edit: Callable[[str, str, str], None], old: str, new: str, code: str, words: str
) -> None:
    edit("tools/payments.yaml", old, new)
    with pytest.raises(DeclarationErrors) as caught:
        compile_in(stacks)
    found = [error for error in caught.value.errors if error.code == code]
    assert any(words in f"{error} {error.hint}" for error in found), caught.value.errors
    assert {error.location.path.name for error in found} == {"payments.yaml"}
    assert all(error.location.line > 20 for error in found)


def test_an_address_must_be_bound_and_be_https(declared: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("Pulumi.dev.yaml", "https://payments.dev.example.com/api", "http://payments.dev.example.com/api")
    with pytest.raises(DeclarationErrors, match="over https only"):
        compile_in(declared)
    edit("Pulumi.dev.yaml", 'url: "http://payments.dev.example.com/api", ', "")
    with pytest.raises(DeclarationErrors, match="url"):
        compile_in(declared)


def test_its_tokens_say_what_they_are_for_and_an_agents_never_names_the_action(declared: Path) -> None:
    documents = compile_in(declared)
    gated = find_gated(documents)
    signed = {kind: minted.bearer.role for kind, minted in gated.mints if minted.bearer is not None}
    assert {kind: role.name for kind, role in signed.items()} == {"gated": GATED, "read": READER}
    assert gated.credential_path == f"identity/oidc/token/{GATED}"
    wanted = {"environment": "dev", "scope": {"region": "emea"}, "tool": "payments", "workflow": WORKFLOW}
    assert claims_of(signed["gated"].settings) == {
        **wanted,
        "action": "refund",
        "actions": ["refund"],
        "gated": "execute",
    }
    assert claims_of(signed["read"].settings) == {**wanted, "action": "refund", "actions": [], "gated": "read"}
    assert {(role.settings["client_id"], role.settings["ttl"]) for role in signed.values()} == {(AUDIENCE, 60)}
    own = next(t.bearer for w in documents.workflows for t in w.tools if t.bearer and t.access.workflow == WORKFLOW)
    assert '"actions": ["read"]' in own.role.settings["template"]
    assert "gated" not in own.role.settings["template"]
    assert gated.policy.text.count("controlled_capabilities") == 1
    assert gated.login.settings["token_num_uses"] == gated.description["num_uses"]
    assert gated.description["connection"] == {"url": "https://payments.dev.example.com/api"}
    assert gated.description["execute"]["body"] == {"amount": "${inputs.amount}", "region": "emea"}
    assert "url" not in gated.description["execute"]


def test_a_revocation_knows_that_its_token_is_no_lease_and_says_that_it_lasts(declared: Path) -> None:
    workflow = next(w for w in compile_in(declared).workflows if w.access.name == WORKFLOW)
    target = read_target(json.loads(json.dumps(workflow.manifest)))
    held = {gated.path: (gated.login, gated.leased) for gated in target.gated}
    assert held[f"identity/oidc/token/{GATED}"] == (f"gated.{WORKFLOW}.payments.refund", False)
    assert [leased for path, (_, leased) in held.items() if "payments" not in path] == [True]
    assert any(words.startswith("payments.refund: a signed token") for words in target.lasting)


def test_without_a_read_no_token_for_reading_is_made(declared: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(
        "tools/payments.yaml",
        '      read: {path: [payments, "${inputs.payment}"], fields: {refunded: refund.amount}}\n',
        "",
    )
    gated = find_gated(compile_in(declared))
    assert (gated.reader, gated.description["reader_path"]) == (None, None)


def test_its_documents_keep_every_rule_and_are_the_locks(declared: Path) -> None:
    documents = compile_in(declared)
    settings = settings_of(documents.environment, LockedDocuments.of_documents(documents))
    assert judge(facts_of_documents(documents), settings) == []


def twin_of(facts: list[Fact], name: str, **claims: object) -> VaultSecretRole:
    """Return a second role that signs the claims of the role `name`, changed by `claims`."""
    role = next(f for f in facts if isinstance(f, VaultSecretRole) and f.name == name)
    template = json.dumps({**claims_of(role.settings), **claims})
    path = "identity/oidc/token/twin"
    return replace(role, at="twin", name="twin", credentials=(path,), settings={**role.settings, "template": template})


@pytest.mark.parametrize("name", [GATED, READER])
def test_a_second_role_for_the_same_token_is_a_shared_identity(declared: Path, name: str) -> None:
    documents = compile_in(declared)
    facts = list(facts_of_documents(documents))
    assert SHARED not in judged(facts, documents)
    assert name in judged([*facts, twin_of(facts, name)], documents)[SHARED]


@pytest.mark.parametrize(
    "claims",
    [{"gated": "yes"}, {"gated": None}, {"action": None}, {"actions": ["refund", "read"]}, {"actions": ["read"]}],
)
def test_a_token_that_only_half_says_that_it_is_gated_is_the_agents_own_and_shared(
    declared: Path, claims: dict[str, object]
) -> None:
    documents = compile_in(declared)
    facts = list(facts_of_documents(documents))
    assert f"{WORKFLOW}.payments" in judged([*facts, twin_of(facts, GATED, **claims)], documents)[SHARED]


@pytest.mark.parametrize("name", [GATED, "twin"])
def test_a_gated_token_that_an_agent_can_ask_for_is_refused(declared: Path, name: str) -> None:
    documents = compile_in(declared)
    facts = list(facts_of_documents(documents))
    facts.append(twin_of(facts, GATED, action="wipe", actions=["wipe"]))
    assert OPEN not in judged(facts, documents)
    text = f'\npath "identity/oidc/token/{name}" {{ capabilities = ["read"] }}\n'
    policy = f"tool.{WORKFLOW}.payments"
    opened: list[Fact] = [
        replace(fact, text=fact.text + text) if isinstance(fact, VaultPolicy) and fact.name == policy else fact
        for fact in facts
    ]
    assert f"identity/oidc/token/{name}" in judged(opened, documents)[OPEN]


def test_a_changed_request_is_new_access_and_explain_says_what_its_executor_reads(
    declared: Path, edit: Callable[[str, str, str], None]
) -> None:
    plan = load_plan(declared, load_environment(declared, "dev"))
    text = "\n".join(explain_workflow(plan, WORKFLOW))
    assert f"its executor reads, before and after: token for {AUDIENCE}" in text
    edit("tools/payments.yaml", "method: POST", "method: PUT")
    assert compare_plans(plan, load_plan(declared, load_environment(declared, "dev"))).gains
