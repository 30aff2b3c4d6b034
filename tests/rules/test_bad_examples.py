"""Every committed bad example is refused by the real engine, in preview, before anything exists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from engine_runs import PROGRAMS, ROOT, Bench
from vault_without_records import open_vault_without_records

from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.rehearsal, pytest.mark.xdist_group("rules-engine")]

# program: (rule, the resource that is named, a part of the reason)
REFUSED = {
    "role_allows_everything": ("iam-role-no-admin", "demo-everything", "may do everything"),
    "role_hides_admin_behind_a_question_mark": ("iam-role-no-admin", "demo-disguised", "iam:PutRole"),
    "role_allows_all_but_some": ("iam-role-no-admin", "demo-notaction", "may do everything"),
    "role_has_administrator_access": ("iam-role-no-admin", "demo-attachment", "AdministratorAccess"),
    "role_admin_by_attached_policy": ("iam-role-no-admin", "demo-attached", "iam:AttachRolePolicy"),
    "two_workflows_one_iam_role": ("workflow-no-shared-identity", "vault-onboarding.documents", "ng-dev-summaries"),
    "two_workflows_one_vault_role": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.documents",
        "narrowgate-aws/sts/summaries.documents",
    ),
    "two_workflows_by_a_wildcard_path": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.documents",
        "narrowgate-aws/sts/summaries.documents",
    ),
    "two_workflows_one_secret": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.rates",
        "narrowgate-kv/data/rates/api-key",
    ),
    "two_workflows_one_certificate": (
        "workflow-no-shared-identity",
        "vault-onboarding.ledger",
        "spiffe://dev.acme.example/dev/summaries/ledger",
    ),
    "certificate_of_any_name": (
        "workflow-no-shared-identity",
        "vault-summaries.ledger",
        "choose the certificate's name",
    ),
    "two_workflows_one_token": (
        "workflow-no-shared-identity",
        "vault-onboarding.payments",
        "summaries.payments at https://payments.dev.example.com",
    ),
    "two_logins_one_agent": ("workflow-no-shared-identity", "onboarding-login", "agent:summaries"),
    "login_without_bound_claims": ("workflow-no-shared-identity", "onboarding-login", "names no agent"),
    "login_with_a_wildcard_claim": ("workflow-no-shared-identity", "onboarding-login", "/act/sub=agent:*"),
    "group_with_policies": ("workflow-no-shared-identity", "demo-group", "tool.summaries.documents"),
    "lock_role_beside_ours": ("access-within-lock", "demo-extra", "the lock has no IAM role ng-dev-demo-extra"),
    "lock_wider_inline_policy": ("access-within-lock", "demo-wider", "payroll"),
    "lock_extra_vault_policy": (
        "access-within-lock",
        "policy-tool.summaries.extra",
        "the lock has no Vault policy tool.summaries.extra",
    ),
    "lock_wider_vault_policy": ("access-within-lock", "policy-tool.summaries.tickets", "what the lock does not"),
    "lock_extra_login": ("access-within-lock", "demo-login", "the lock has no login auth/agents/summaries/role/second"),
    "lock_other_cluster": ("access-within-lock", "demo-settings", "kubernetes_host"),
    "lock_other_issuer": ("access-within-lock", "demo-mount", "bound_issuer, jwks_url"),
    "lock_extra_database_role": (
        "access-within-lock",
        "demo-database",
        "the lock has no credentials at narrowgate-database/creds/summaries.payroll",
    ),
    "lock_other_table": ("access-within-lock", "demo-group", "SELECT on public.salaries"),
    "unknown_policy_document": ("document-known", "demo-document", "is not known"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("engine"), engine.path, engine.version)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return a bench whose pack is the checkout's own, with the checkout's own locks."""
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("own"), engine.path, engine.version, pack=ROOT / "policies")


def test_every_program_is_tested() -> None:
    programs = {path.parent.name for path in PROGRAMS.glob("*/__main__.py")}
    assert programs == REFUSED.keys() | {"compliant"}


def test_compliant_programs_pass(bench: Bench) -> None:
    run = bench.run("compliant", "up", "--yes")
    assert run.status == 0, run.output
    assert len(run.created) == 12


@pytest.mark.parametrize("stack", ["dev", "dev-foundation"])
def test_our_own_stacks_pass(own: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    stacks = ROOT / "stacks"
    files = {path.name: path.read_text() for path in stacks.glob("Pulumi.*.yaml")}
    passfile = tmp_path / "passfile"
    passfile.write_text("postgres.dev.example.com:5432:operations:vault_broker:not a secret\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("NARROWGATE_BROKER_PASSFILE", str(passfile))
    monkeypatch.setenv("VAULT_TOKEN", "nobody's")
    with open_vault_without_records(tmp_path) as (address, certificate):
        declared = "address: https://vault.dev.example.com:8200"
        assert declared in files["Pulumi.dev.yaml"]
        bound = f"address: {address}\n      ca_pem: {json.dumps(certificate)}"
        files["Pulumi.dev.yaml"] = files["Pulumi.dev.yaml"].replace(declared, bound)
        run = own.run_program(stacks, stack, files, "preview")
    assert run.status == 0, run.output
    assert "narrowgate@v" in run.output


@pytest.mark.parametrize("program", REFUSED)
def test_preview_refuses(bench: Bench, program: str) -> None:
    rule, resource, reason = REFUSED[program]
    run = bench.run(program)
    assert run.status != 0, run.output
    assert rule in run.output
    assert resource in run.output
    assert reason in run.output
    assert "Traceback" not in run.output
    assert run.created == ()


@pytest.mark.parametrize(
    ("program", "second"),
    [
        ("two_workflows_one_iam_role", "vault-onboarding.documents"),
        ("two_workflows_one_vault_role", "policy-tool.onboarding.documents"),
        ("two_logins_one_agent", "onboarding-login"),
    ],
)
def test_second_user_is_never_created_without_a_preview(bench: Bench, program: str, second: str) -> None:
    run = bench.run(program, "up", "--yes", "--skip-preview")
    assert run.status != 0, run.output
    # the engine may register the second one first: then it is the lock that it is not within
    assert "workflow-no-shared-identity" in run.output or "access-within-lock" in run.output
    assert not [urn for urn in run.created if urn.endswith(f"::{second}")]
