"""The documents of the committed declarations, byte for byte: a change of the compilers shows as a diff to review."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from narrowgate.compile import compile_plan
from narrowgate.compile.postgres import build_grant_statements, build_role_statements, build_row_security_statements
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.compile.documents import PlanDocuments, WorkflowDocuments

STACKS = Path(__file__).resolve().parents[2] / "stacks"


CATALOGUE = Path(__file__).resolve().parent / "catalogue"


@pytest.fixture(scope="module")
def documents() -> PlanDocuments:
    return compile_plan(load_plan(STACKS, load_environment(STACKS, "dev")))


@pytest.fixture(scope="module")
def catalogue() -> PlanDocuments:
    return compile_plan(load_plan(CATALOGUE, load_environment(CATALOGUE, "test")))


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def render_policies(workflow: WorkflowDocuments) -> str:
    policies = [workflow.agent_policy, *(tool.policy for tool in workflow.tools if tool.policy is not None)]
    return "\n".join(f"## {policy.name}\n{policy.text}" for policy in policies)


def render_login(workflow: WorkflowDocuments) -> str:
    return as_json({"mount": dataclasses.asdict(workflow.auth_mount), "role": dataclasses.asdict(workflow.auth_role)})


def render_aws(workflow: WorkflowDocuments) -> str:
    return as_json([dataclasses.asdict(tool.aws) for tool in workflow.tools if tool.aws is not None])


def render_postgres(workflow: WorkflowDocuments) -> str:
    lines: list[str] = []
    for tool in workflow.tools:
        if (document := tool.postgres) is None:
            continue
        lines += [f"-- {tool.access.tool} in {document.database} at {document.host}:{document.port}", ""]
        lines += [f"{statement};" for statement in build_role_statements(document.group_role, document.broker)]
        lines += [f"{statement};" for statement in build_row_security_statements(document.tables)]
        grants = build_grant_statements(document.group_role, document.tables, document.functions)
        lines += [f"{statement};" for statement in grants]
        lines += ["", f"-- Vault's role {document.vault_role.name}", as_json(document.vault_role.settings)]
    return "\n".join(lines)


def render_others(workflow: WorkflowDocuments) -> str:
    """Render the tools that are neither behind AWS nor behind PostgreSQL."""
    found = {tool.access.tool: tool.bearer or tool.kv or tool.pki for tool in workflow.tools}
    return as_json({name: dataclasses.asdict(document) for name, document in found.items() if document is not None})


def render_gated(workflow: WorkflowDocuments) -> str:
    """Render the gated actions: what holds their credentials back, and what approvers and executors are told."""
    parts = []
    for gated in workflow.gated:
        parts += [f"## {gated.policy.name}\n{gated.policy.text}", as_json(dataclasses.asdict(gated.login))]
        parts.append(as_json(gated.description))
        for kind, minted in gated.mints:
            if minted.aws is not None:
                parts += [kind, as_json(dataclasses.asdict(minted.aws))]
            if (document := minted.postgres) is not None:
                grants = build_grant_statements(document.group_role, document.tables, document.functions)
                parts.append("".join(f"{statement};\n" for statement in grants))
    return "\n".join(parts)


RENDERINGS: dict[str, Callable[[WorkflowDocuments], str]] = {
    "policies.hcl": render_policies,
    "login.json": render_login,
    "aws.json": render_aws,
    "postgres.sql": render_postgres,
    "gated.txt": render_gated,
    "manifest.json": lambda workflow: as_json(workflow.manifest),
}


@pytest.mark.parametrize("rendering", sorted(RENDERINGS))
@pytest.mark.parametrize("name", ["incident-summarization", "ticket-drafting", "vendor-onboarding"])
def test_a_workflow_compiles_to_these_documents(
    documents: PlanDocuments, golden: Callable[[str, str], None], name: str, rendering: str
) -> None:
    workflow = next(w for w in documents.workflows if w.access.name == name)
    golden(f"compile/{name}/{rendering}", RENDERINGS[rendering](workflow))


@pytest.mark.parametrize("rendering", sorted({*RENDERINGS, "others.json"} - {"postgres.sql"}))
@pytest.mark.parametrize("name", ["nightly-report", "operations"])
def test_every_kind_of_tool_compiles_to_these_documents(
    catalogue: PlanDocuments, golden: Callable[[str, str], None], name: str, rendering: str
) -> None:
    workflow = next(w for w in catalogue.workflows if w.access.name == name)
    golden(f"catalogue/{name}/{rendering}", (RENDERINGS | {"others.json": render_others})[rendering](workflow))


@pytest.mark.parametrize("name", ["cluster-report", "lambda-report", "legacy-report"])
def test_every_kind_of_login_compiles_to_these_documents(
    catalogue: PlanDocuments, golden: Callable[[str, str], None], name: str
) -> None:
    workflow = next(w for w in catalogue.workflows if w.access.name == name)
    golden(f"catalogue/{name}/login.json", render_login(workflow))


def test_the_foundation_compiles_to_these_documents(
    documents: PlanDocuments, golden: Callable[[str, str], None]
) -> None:
    golden("compile/foundation.json", as_json(dataclasses.asdict(documents.foundation)))
