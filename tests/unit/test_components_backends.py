"""What the components register for bearer, kv and pki tools and for logins without a user, and in which order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from component_mocks import list_earlier, run
from narrowgate_pulumi import AgentWorkflow, Environment
from narrowgate_pulumi.logins import LOGINS

from narrowgate.compile import compile_plan
from narrowgate.compile.backends.bearer import ACCESSOR_PLACEHOLDER
from narrowgate.compile.documents import SETTINGS_APART
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from component_mocks import Monitor, Recorder

    from narrowgate.compile.documents import PlanDocuments, WorkflowDocuments

CATALOGUE = Path(__file__).resolve().parents[1] / "golden" / "catalogue"


@pytest.fixture(scope="module")
def documents() -> PlanDocuments:
    return compile_plan(load_plan(CATALOGUE, load_environment(CATALOGUE, "test")))


def find(documents: PlanDocuments, name: str) -> WorkflowDocuments:
    return next(w for w in documents.workflows if w.access.name == name)


def build(workflow: WorkflowDocuments) -> tuple[Recorder, Monitor]:
    return run(lambda: AgentWorkflow(workflow.access.name, {"documents": workflow}) and None)


def needs_of(monitor: Monitor) -> dict[str, set[str]]:
    return {name: {d.rsplit("::", 1)[-1] for d in r.dependencies} for name, r in monitor.requests.items()}


def test_a_token_that_names_the_requester_waits_for_the_mount_and_the_login_for_the_token(
    documents: PlanDocuments,
) -> None:
    _, monitor = build(find(documents, "operations"))
    earlier = list_earlier(monitor)
    assert "operations-auth" in earlier["operations.crm-vault-role"]
    assert {"operations.crm-vault-role", "operations.crm-policy"} <= earlier["operations-auth-role"]
    # what can hold leases stands before the mount, so that the mount's end comes before theirs
    assert {"operations.queues-vault-role", "operations.ledger-vault-role"} <= earlier["operations-auth"]
    assert not {name for name in earlier["operations-auth"] if name.startswith("operations.crm")}


def test_a_token_for_nobody_waits_for_no_mount_and_is_known_before_deploy(documents: PlanDocuments) -> None:
    recorder, monitor = build(find(documents, "nightly-report"))
    needs = needs_of(monitor)
    assert needs["nightly-report.crm-vault-role"] == set()
    template = recorder.made["vault:identity/oidcRole:OidcRole", "nightly-report.crm-vault-role"]["template"]
    assert json.loads(template)["workflow"] == "nightly-report"


def test_the_accessor_stands_where_the_placeholder_stood(documents: PlanDocuments) -> None:
    recorder, monitor = build(find(documents, "operations"))
    template = recorder.made["vault:identity/oidcRole:OidcRole", "operations.crm-vault-role"]["template"]
    assert ACCESSOR_PLACEHOLDER not in template
    assert "{{identity.entity.aliases.ACCESSOR.name}}" in template
    assert monitor


@pytest.mark.parametrize(
    ("workflow", "kinds"),
    [
        ("cluster-report", {"vault:kubernetes/authBackendConfig:AuthBackendConfig": ("kubernetesHost",)}),
        ("lambda-report", {"vault:aws/authBackendClient:AuthBackendClient": ("iamServerIdHeaderValue",)}),
        ("legacy-report", {}),
    ],
)
def test_a_login_without_a_user_has_its_settings_before_its_role(
    documents: PlanDocuments, workflow: str, kinds: dict[str, tuple[str, ...]]
) -> None:
    found = find(documents, workflow)
    recorder, monitor = build(found)
    needs = needs_of(monitor)
    mount = recorder.made["vault:index/authBackend:AuthBackend", f"{workflow}-auth"]
    assert (mount["path"], mount["type"]) == (found.auth_mount.path, found.auth_mount.type)
    for kind, fields in kinds.items():
        settings = recorder.made[kind, f"{workflow}-auth-settings"]
        assert all(settings[field] for field in fields)
        assert settings["backend"] == found.auth_mount.path
        assert f"{workflow}-auth-settings" in needs[f"{workflow}-auth-role"]
    role = next(inputs for (_, name), inputs in recorder.made.items() if name == f"{workflow}-auth-role")
    assert role["tokenPolicies"] == found.auth_role.settings["token_policies"]
    assert role["tokenNoDefaultPolicy"] is True


def test_no_value_of_a_secret_stands_in_a_program(documents: PlanDocuments) -> None:
    recorder, _ = build(find(documents, "operations"))
    endpoints = [inputs for (kind, _), inputs in recorder.made.items() if kind == "vault:generic/endpoint:Endpoint"]
    (metadata,) = (inputs for inputs in endpoints if inputs["path"] != "narrowgate-transit/keys/operations")
    assert "/metadata/" in metadata["path"]
    text = metadata["dataJson"]["value"]  # the SDK marks whatever a raw write holds as secret
    assert set(json.loads(text)) == {"custom_metadata"}
    assert metadata["disableDelete"] is True


def foundation(documents: PlanDocuments, *adopted: str) -> Recorder:
    changed = replace(documents.foundation, adopted=adopted)
    arguments: Any = {"environment": documents.environment, "documents": changed, "passwords": {}}
    recorder, _ = run(lambda: Environment("test", arguments) and None)
    return recorder


def test_the_foundation_makes_every_mount_and_the_authority_that_never_leaves_vault(documents: PlanDocuments) -> None:
    recorder = foundation(documents)
    mounts = {
        inputs["path"]: inputs for (kind, _), inputs in recorder.made.items() if kind == "vault:index/mount:Mount"
    }
    assert {path: mount["type"] for path, mount in mounts.items()} == {
        documents.foundation.database_mount: "database",
        documents.foundation.kv_mount: "kv",
        documents.foundation.pki_mount: "pki",
        documents.foundation.anchor_mount: "kv",
        documents.foundation.signing_mount: "transit",
        documents.foundation.revocations_mount: "kv",
    }
    assert recorder.made["vault:kv/secretBackendV2:SecretBackendV2", "test-kv-settings"]["casRequired"] is True
    assert recorder.made["vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert", "test-pki-root"]["type"] == (
        "internal"
    )
    assert recorder.made["vault:identity/oidcKey:OidcKey", "test-signing-key"]["algorithm"] == "ES256"


def test_the_sdk_has_settings_apart_where_the_documents_say_so() -> None:
    assert {kind for kind, login in LOGINS.items() if login.settings is not None} == SETTINGS_APART
