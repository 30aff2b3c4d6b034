"""A gated call of AWS: what may be declared, what it compiles to, and that rules judge its roles like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.access.explain import explain_workflow
from narrowgate.access.locked import LockedDocuments
from narrowgate.access.query import read_question, who_can
from narrowgate.compile import compile_plan
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.rules import judge, settings_of
from narrowgate.rules.documents import facts_of_documents
from narrowgate.rules.facts import IamIdentity, VaultPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.compile.documents import GatedDocuments, PlanDocuments

WORKFLOW = "vendor-onboarding"
BUCKET = "arn:aws:s3:::acme-dev-documents"
GATED_BROKER = "arn:aws:iam::111111111111:user/narrowgate/dev/gated-broker"
BROKER = "arn:aws:iam::111111111111:user/narrowgate/dev/broker"
DELETE = """
  delete:
    access: delete
    impact: high
    grants:
      - iam: ["s3:DeleteObject"]
        on: "arn:${env.partition}:s3:::${binding.bucket}/${scope.prefix}/*"
    description: Deletes a document.
    inputs:
      type: object
      additionalProperties: false
      required: [key]
      properties:
        key: {type: string}
    execute:
      handler: aws-call
      call: {service: s3, operation: DeleteObject, arguments: {Bucket: "${binding.bucket}", Key: "${inputs.key}"}}
      read:
        operation: HeadObject
        arguments: {Bucket: "${binding.bucket}", Key: "${inputs.key}"}
        fields: {etag: ETag}
      changes: {etag: null}
      reversible: "no"
"""


@pytest.fixture
def declared(stacks: Path) -> Path:
    """Declare a gated call in the copy of `stacks`, and a workflow that may propose it."""
    tool, workflow = stacks / "tools" / "documents.yaml", stacks / "workflows" / f"{WORKFLOW}.yaml"
    tool.write_text(tool.read_text().rstrip() + DELETE)
    text = workflow.read_text().replace("documents:\n    actions: [read]", "documents:\n    actions: [read, delete]")
    workflow.write_text(text + "  documents.delete: {approvers: [vendor-approvers], required: 1, expires: 30m}\n")
    return stacks


def compile_in(stacks: Path) -> PlanDocuments:
    return compile_plan(load_plan(stacks, load_environment(stacks, "dev")))


def find_gated(documents: PlanDocuments) -> GatedDocuments:
    return next(g for w in documents.workflows for g in w.gated if g.description["tool"] == "documents")


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("operation: DeleteObject", "operation: DeleteObjekt", "unknown-operation", "DeleteObjekt"),
        ("operation: DeleteObject", "operation: GetObject", "bad-value", "changes nothing"),
        ("operation: DeleteObject", "operation: PutObject", "grant-missing", "s3:PutObject"),
        ('["s3:DeleteObject"]', '["s3:DeleteObject", "s3:PutObject"]', "grant-spare", "s3:PutObject"),
        ("operation: HeadObject", "operation: PutObject", "bad-value", "more than read"),
        ("operation: HeadObject", "operation: ListObjectsV2", "iam-resource", "none of the action's resources"),
        ("{etag: ETag}", '{etag: "ETag["}', "bad-format", "JMESPath"),
        ("{etag: null}", "{owner: null}", "unread-column", "would not see"),
        ("{etag: null}", '{etag: "${approvers}"}', "bad-reference", "not known when people decide"),
        ('Key: "${inputs.key}"}}', 'Key: "vendors/${inputs.key}"}}', "bad-reference", "no whole reference"),
        ("handler: aws-call", "handler: sql-function", "unknown-value", "aws-call"),
    ],
)
def test_a_call_that_is_not_exactly_what_is_granted_is_a_mistake_with_its_place(  # noqa: PLR0913, PLR0917 - a case's columns
    stacks: Path, edit: Callable[[str, str, str], None], old: str, new: str, code: str, words: str
) -> None:
    edit("tools/documents.yaml", old, new)
    with pytest.raises(DeclarationErrors) as caught:
        compile_in(stacks)
    found = [error for error in caught.value.errors if error.code == code]
    assert any(words in f"{error} {error.hint}" for error in found)
    assert {error.location.path.name for error in found} == {"documents.yaml"}
    assert all(error.location.line > 10 for error in found)


@pytest.mark.usefixtures("declared")
def test_a_condition_that_a_read_can_not_keep_is_refused_rather_than_dropped(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    on = '        on: "arn:${env.partition}:s3:::${binding.bucket}/${scope.prefix}/*"\n    description'
    edit("tools/documents.yaml", on, on.replace("\n", '\n        when: {StringEquals: {"s3:if-match": x}}\n', 1))
    with pytest.raises(DeclarationErrors, match="can't be limited as the action is"):
        compile_in(stacks)


def test_an_environment_without_a_gated_broker_can_not_have_one(
    declared: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit("Pulumi.dev.yaml", f"      gated_broker_arn: {GATED_BROKER}\n", "")
    with pytest.raises(DeclarationErrors, match="no broker for gated roles"):
        compile_in(declared)


def test_its_role_does_that_call_and_its_executor_reads_what_it_is_about(declared: Path) -> None:
    gated = find_gated(compile_in(declared))
    assert gated.credential_path == f"narrowgate-aws-gated/sts/{WORKFLOW}.documents.delete"
    assert gated.reader is not None
    roles = [each.aws.role for _, each in gated.mints if each.aws is not None]
    allowed = [[(s["Action"], s["Resource"]) for s in role.policies["grants-1"]["Statement"]] for role in roles]
    assert allowed == [
        [(["s3:DeleteObject"], [f"{BUCKET}/vendors/*"])],
        [(["s3:GetObject"], [f"{BUCKET}/vendors/*"])],
    ]
    assert [role.path for role in roles] == ["/narrowgate/dev/gated/", "/narrowgate/dev/tool/"]
    assert [role.trust_policy["Statement"][0]["Principal"]["AWS"] for role in roles] == [GATED_BROKER, BROKER]
    conditions = roles[0].trust_policy["Statement"][0]["Condition"]
    assert conditions["StringLike"] == {"sts:RoleSessionName": f"{WORKFLOW}.documents.delete@*"}
    assert conditions["StringEquals"] == {"sts:ExternalId": "narrowgate-dev"}
    assert gated.policy.text.count("controlled_capabilities") == 1
    assert gated.login.settings["token_num_uses"] == 3


def test_its_documents_keep_every_rule(declared: Path) -> None:
    documents = compile_in(declared)
    settings = settings_of(documents.environment, LockedDocuments.of_documents(documents))
    assert judge(facts_of_documents(documents), settings) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Principal": {"AWS": BROKER}}, "instead of Vault's broker of gated roles"),
        ({"Principal": {"AWS": "arn:aws:iam::111111111111:role/somebody"}}, "without an approval"),
        ({"Principal": {"AWS": "111111111111"}}, "instead of Vault's broker of gated roles"),
        ({"Principal": "*"}, "trusts everyone"),
        ({"Principal": {"Service": "lambda.amazonaws.com"}}, "beside Vault's broker of gated roles"),
    ],
)
def test_a_gated_role_that_lets_in_anybody_else_is_refused(declared: Path, change: dict[str, Any], words: str) -> None:
    documents = compile_in(declared)
    facts = []
    for fact in facts_of_documents(documents):
        if isinstance(fact, IamIdentity) and "/gated/" in fact.path:
            trust = json.loads(str(fact.trust))
            trust["Statement"][0].update(change)
            facts.append(replace(fact, trust=json.dumps(trust)))
        else:
            facts.append(fact)
    found = [f for f in judge(facts, settings_of(documents.environment)) if f.rule == "iam-trust-narrow"]
    assert any(words in f"{finding.message} {finding.detail}" for finding in found)


def test_a_gated_session_that_a_second_policy_opens_is_refused(declared: Path) -> None:
    documents = compile_in(declared)
    gated = find_gated(documents)
    text = f'\npath "{gated.credential_path}" {{ capabilities = ["read"] }}\n'
    facts = [
        replace(fact, text=fact.text + text)
        if isinstance(fact, VaultPolicy) and fact.name == f"tool.{WORKFLOW}.documents"
        else fact
        for fact in facts_of_documents(documents)
    ]
    found = judge(facts, settings_of(documents.environment))
    assert "vault-gated-needs-control-group" in {finding.rule for finding in found}


def test_who_can_and_explain_say_what_it_does_after_an_approval_and_what_its_executor_reads(declared: Path) -> None:
    plan = load_plan(declared, load_environment(declared, "dev"))
    asked = read_question("s3:DeleteObject", f"{BUCKET}/vendors/x")
    assert [(h.workflow, f"{h.tool}.{h.action}", h.gated) for h in who_can(plan, asked)] == [
        (WORKFLOW, "documents.delete", True)
    ]
    assert not who_can(plan, read_question("s3:DeleteObject", f"{BUCKET}/runbooks/x"))
    text = "\n".join(explain_workflow(plan, WORKFLOW))
    assert f"s3:DeleteObject on {BUCKET}/vendors/*" in text
    assert f"its executor reads, before and after: s3:GetObject on {BUCKET}/vendors/*" in text
    assert "its executor reads, before and after: SELECT on public.vendors" in text
