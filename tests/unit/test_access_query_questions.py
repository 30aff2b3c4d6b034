"""Who can do what: IAM, Vault and PostgreSQL, answered from the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.explain import UnknownWorkflowError, explain_workflow
from narrowgate.access.query import Holder, QuestionError, Realm, read_question, who_can
from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import IamGrant

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.plan import AccessPlan


@pytest.fixture
def plan(stacks: Path) -> AccessPlan:
    return load_plan(stacks, load_environment(stacks, "dev"))


def ask(plan: AccessPlan, action: str, resource: str) -> list[tuple[str, str, str, bool]]:
    return [(h.workflow, h.tool, h.action, h.gated) for h in who_can(plan, read_question(action, resource))]


@pytest.mark.parametrize(
    ("action", "resource", "realm"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/x", Realm.IAM),
        ("*", "arn:aws:s3:::b/x", Realm.IAM),
        ("read", "secret/data/x", Realm.VAULT),
        ("update", "auth/token/renew-self", Realm.VAULT),
        ("update", "tickets.body", Realm.POSTGRES),
        ("DELETE", "public.tickets", Realm.POSTGRES),
        ("execute", "create_vendor", Realm.POSTGRES),
    ],
)
def test_a_question_finds_its_realm(action: str, resource: str, realm: Realm) -> None:
    assert read_question(action, resource).realm is realm


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(QuestionError):
        read_question("own", "everything")


RUNBOOK = ("incident-summarization", "documents", "read", False)
VENDOR_FILE = ("vendor-onboarding", "documents", "read", False)


@pytest.mark.parametrize(
    ("action", "resource", "holders"),
    [
        ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/runbooks/disk.md", [RUNBOOK]),
        ("S3:getobject", "arn:aws:s3:::acme-dev-documents/runbooks/disk.md", [RUNBOOK]),
        ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/runbooks", []),
        ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/salaries/x", []),
        ("s3:PutObject", "arn:aws:s3:::acme-dev-documents/runbooks/disk.md", []),
        ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/*", [RUNBOOK, VENDOR_FILE]),
        ("s3:Get*", "arn:aws:s3:::acme-???-documents/v*/?", [VENDOR_FILE]),
        ("s3:Get*", "arn:aws:s3:::*/vendors/?", [RUNBOOK, VENDOR_FILE]),  # a star spans slashes: runbooks/vendors/1
        ("logs:*", "*", [("incident-summarization", "logs", "search", False)] * 2),  # by two grants
    ],
)
def test_iam(plan: AccessPlan, action: str, resource: str, holders: list[tuple[str, str, str, bool]]) -> None:
    assert ask(plan, action, resource) == holders


READ_TICKETS = ("ticket-drafting", "tickets", "read", False)


@pytest.mark.parametrize(
    ("privilege", "resource", "holders"),
    [
        ("SELECT", "tickets.body", [READ_TICKETS]),
        ("select", "public.tickets.body", [READ_TICKETS]),
        ("SELECT", "tickets", [READ_TICKETS]),
        ("SELECT", "hidden.tickets.body", []),
        ("SELECT", "tickets.customer_email", []),
        ("DELETE", "tickets", []),
        ("INSERT", "tickets.body", [("ticket-drafting", "tickets", "draft", False)]),
        ("EXECUTE", "create_vendor", [("vendor-onboarding", "vendors", "create", True)]),
        ("EXECUTE", "public.create_vendor", [("vendor-onboarding", "vendors", "create", True)]),
        ("SELECT", "create_vendor", []),
        ("SELECT", "tick*.body", [READ_TICKETS]),
        ("SELECT", "*.tickets.*", [READ_TICKETS]),
        ("SELECT", "tickets.*_email", []),
        ("DELETE", "*", []),
    ],
)
def test_postgres(plan: AccessPlan, privilege: str, resource: str, holders: list[tuple[str, str, str, bool]]) -> None:
    assert ask(plan, privilege, resource) == holders


def test_a_gated_answer_names_its_approvers_and_times(plan: AccessPlan) -> None:
    (holder,) = who_can(plan, read_question("EXECUTE", "create_vendor"))
    assert isinstance(holder, Holder)
    assert holder.approval is not None
    assert holder.approval.factors[0].groups == ("vendor-approvers",)
    assert (holder.ttl_seconds, holder.max_ttl_seconds, holder.requesters) == (900, 3600, ("procurement",))


def test_vault_answers_for_every_compiled_credential_path(plan: AccessPlan) -> None:
    documents = compile_plan(plan)
    tools = [(w.access.name, tool) for w in documents.workflows for tool in w.tools if tool.policy]
    assert tools
    for workflow, tool in tools:
        # A certificate is asked for by a write, which names it.
        how, otherwise = ("read", "update") if tool.pki is None else ("update", "read")
        path = str(tool.credential_path)
        assert {found[:2] for found in ask(plan, how, path)} == {(workflow, tool.access.tool)}
        assert ask(plan, otherwise, path) == []


@pytest.mark.parametrize("pattern", ["*", "{}*", "+/+/{}*", "*{}"])
def test_a_vault_path_with_wildcards_asks_for_all_that_it_overlaps(plan: AccessPlan, pattern: str) -> None:
    tools = [
        (workflow.access.name, tool.access.tool, str(tool.credential_path))
        for workflow in compile_plan(plan).workflows
        for tool in workflow.tools
        if tool.aws is not None
    ]
    assert len(tools) > 1
    for workflow, tool, path in tools:
        mount, _, name = path.rpartition("/")
        asked = pattern.format(name if pattern.startswith(("+", "*")) else f"{mount}/{name[:-2]}")
        found = {holder[:2] for holder in ask(plan, "read", asked)}
        assert (workflow, tool) in found
        assert pattern == "*" or {name for name, by in found if by} == {workflow}
        assert not [holder for holder in ask(plan, "update", asked) if holder[1] == tool and pattern != "*"]


def test_a_vault_path_with_wildcards_that_nothing_overlaps_has_no_holder(plan: AccessPlan) -> None:
    assert ask(plan, "read", "sys/policies/*") == []
    assert ask(plan, "read", "narrowgate-aws/sts/nobody*") == []
    assert ask(plan, "sudo", "auth/*") == []


def test_vault_answers_for_what_every_login_may_do(plan: AccessPlan) -> None:
    everybody = [(workflow.name, "", "", False) for workflow in plan.workflows]
    assert ask(plan, "update", "auth/token/renew-self") == everybody
    assert ask(plan, "update", "auth/token/revoke-accessor") == []
    assert ask(plan, "read", "sys/policies/acl/x") == []


def test_an_escaped_star_is_a_star(plan: AccessPlan) -> None:
    workflow = plan.workflows[0]
    tool = workflow.tools[0]
    grant = IamGrant(("s3:GetObject",), ("arn:aws:s3:::b/${*}/x",))
    action = replace(tool.actions[0], grants=(grant,))
    odd = replace(plan, workflows=(replace(workflow, tools=(replace(tool, actions=(action,)),)),))
    assert ask(odd, "s3:GetObject", "arn:aws:s3:::b/other/x") == []
    assert len(ask(odd, "s3:GetObject", "arn:aws:s3:::b/*/x")) == 1


def test_an_explanation_says_every_action_and_every_grant(plan: AccessPlan) -> None:
    for workflow in plan.workflows:
        text = "\n".join(explain_workflow(plan, workflow.name))
        for tool in workflow.tools:
            assert f"Tool {tool.tool}" in text
            for action in tool.actions:
                assert f"  {action.name} (" in text
        assert workflow.owner in text


def test_an_unknown_workflow_has_a_hint(plan: AccessPlan) -> None:
    with pytest.raises(UnknownWorkflowError) as raised:
        explain_workflow(plan, "ticket-draftin")
    assert raised.value.hint == "did you mean `ticket-drafting`?"
