"""A real OpenBao takes the compiled documents as they are, and what it then hands out is what they say."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import access_vault_oracle as asked
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from access_vault_oracle import Oracle

    from narrowgate.compile.documents import PlanDocuments, ToolDocuments, WorkflowDocuments

pytestmark = pytest.mark.rehearsal
CATALOGUE = Path(__file__).resolve().parents[1] / "golden" / "catalogue"
KEY = ec.generate_private_key(ec.SECP256R1())
HOSTILE = 'alice "}} {{identity.entity.id}} \\'


@pytest.fixture(scope="module")
def documents() -> PlanDocuments:
    environment = load_environment(CATALOGUE, "test")
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    identity = dataclasses.replace(environment.identity, jwks_url=None, public_keys=(public.decode(),))
    return compile_plan(load_plan(CATALOGUE, dataclasses.replace(environment, identity=identity)))


@pytest.fixture(scope="module")
def vault(documents: PlanDocuments, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with asked.run_oracle(tmp_path_factory.mktemp("bao")) as oracle:
        key = {"allowed_client_ids": ["*"], "algorithm": "ES256"}
        make(oracle, f"identity/oidc/key/{documents.foundation.signing_key}", key)
        make(oracle, f"sys/mounts/{documents.foundation.pki_mount}", {"type": "pki"})
        make(oracle, f"{documents.foundation.pki_mount}/root/generate/internal", {"common_name": "ca"})
        make(oracle, f"sys/mounts/{documents.foundation.kv_mount}", {"type": "kv", "options": {"version": "2"}})
        for workflow in documents.workflows:
            if workflow.access.identity in {"jwt", "approle", "kubernetes"}:
                deploy(oracle, workflow)
        yield oracle


def make(oracle: Oracle, path: str, body: dict[str, Any]) -> None:
    status, answer = oracle.ask("POST", path, body)
    assert status in {200, 204}, (path, answer)


def deploy(oracle: Oracle, workflow: WorkflowDocuments) -> None:
    """Write a workflow's documents as components do, but for what is in AWS."""
    mount = workflow.auth_mount
    make(oracle, f"sys/auth/{mount.path}", {"type": mount.type})
    if mount.type == "jwt":
        make(oracle, f"auth/{mount.path}/config", dict(mount.config))
    make(oracle, f"auth/{mount.path}/role/{workflow.auth_role.name}", dict(workflow.auth_role.settings))
    accessor = oracle.ask("GET", "sys/auth")[1]["data"][f"{mount.path}/"]["accessor"]
    assert oracle.write_policy(workflow.agent_policy.name, workflow.agent_policy.text)
    for tool in workflow.tools:
        if tool.policy is not None:
            assert oracle.write_policy(tool.policy.name, tool.policy.text)
        for role in (tool.bearer.role if tool.bearer else None, tool.pki.role if tool.pki else None):
            if role is not None:
                placeholder = (tool.bearer.accessor_placeholder if tool.bearer else None) or "no placeholder"
                settings = {
                    name: value.replace(placeholder, accessor) if isinstance(value, str) else value
                    for name, value in role.settings.items()
                }
                make(oracle, role.path, settings)
        if tool.kv is not None:
            make(oracle, tool.kv.metadata_path, {"custom_metadata": dict(tool.kv.custom_metadata)})
            make(oracle, tool.kv.credential_path, {"data": {"key": "k"}})


def find(documents: PlanDocuments, workflow: str) -> WorkflowDocuments:
    return next(w for w in documents.workflows if w.access.name == workflow)


def find_tool(documents: PlanDocuments, workflow: str, tool: str) -> ToolDocuments:
    return next(t for t in find(documents, workflow).tools if t.access.tool == tool)


def claims(workflow: str, user: str, **changed: object) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "https://idp.example.com",
        "sub": user,
        "act": {"sub": f"agent:{workflow}"},
        "groups": ["operators"],
        "aud": f"narrowgate:test:{workflow}",
        "iat": now,
        "exp": now + 300,
    } | changed


def log_in(oracle: Oracle, workflow: WorkflowDocuments, content: dict[str, object]) -> tuple[int, dict[str, Any]]:
    body = {"role": workflow.auth_role.name, "jwt": jwt.encode(content, KEY, algorithm="ES256")}
    return oracle.ask("POST", f"auth/{workflow.auth_mount.path}/login", body)


@pytest.fixture(scope="module")
def token(vault: Oracle, documents: PlanDocuments) -> str:
    status, answer = log_in(vault, find(documents, "operations"), claims("operations", HOSTILE))
    assert status == 200, answer
    assert answer["auth"]["policies"] == answer["auth"]["token_policies"]
    assert "default" not in answer["auth"]["policies"]
    return str(answer["auth"]["client_token"])


@pytest.mark.parametrize(
    "changed",
    [
        {"act": {"sub": "agent:nightly-report"}},
        {"act": None},
        {"groups": ["others"]},
        {"groups": []},
        {"aud": "narrowgate:prod:operations"},
        {"iss": "https://elsewhere.example"},
        {"exp": int(time.time()) - 60},
        {"sub": ""},
    ],
)
def test_a_login_that_is_not_the_workflows_is_refused(
    vault: Oracle, documents: PlanDocuments, changed: dict[str, object]
) -> None:
    status, answer = log_in(vault, find(documents, "operations"), claims("operations", "alice", **changed))
    assert status >= 400
    assert not answer.get("auth")


def test_a_scheduled_workflow_logs_in_as_itself_and_for_nobody_else(vault: Oracle, documents: PlanDocuments) -> None:
    workflow = find(documents, "nightly-report")
    assert log_in(vault, workflow, claims("nightly-report", "agent:nightly-report"))[0] == 200
    assert log_in(vault, workflow, claims("nightly-report", "alice"))[0] in {400, 403}


def test_an_approle_secret_id_works_once(vault: Oracle, documents: PlanDocuments) -> None:
    mount = find(documents, "legacy-report").auth_mount.path
    role_id = vault.ask("GET", f"auth/{mount}/role/agent/role-id")[1]["data"]["role_id"]
    assert role_id == "narrowgate:test:legacy-report"
    # Only from the bound network: this test calls from loopback.
    status, answer = vault.ask("POST", f"auth/{mount}/role/agent/secret-id", {})
    assert status == 200, answer
    body = {"role_id": role_id, "secret_id": answer["data"]["secret_id"]}
    assert answer["data"]["secret_id_num_uses"] == 1
    assert vault.ask("POST", f"auth/{mount}/login", body)[0] in {400, 403, 500}


def test_a_token_says_who_what_and_for_whom_whatever_the_user_is_called(
    vault: Oracle, documents: PlanDocuments, token: str
) -> None:
    tool = find_tool(documents, "operations", "crm")
    status, answer = vault.ask("GET", str(tool.credential_path), token=token)
    assert status == 200, answer
    keys = jwt.PyJWKSet.from_dict(vault.ask("GET", "identity/oidc/.well-known/keys")[1])
    signed = answer["data"]["token"]
    key = keys[jwt.get_unverified_header(signed)["kid"]]
    said = jwt.decode(signed, key, algorithms=["ES256"], audience="https://crm.internal.example")
    assert said["requester"] == HOSTILE
    assert (said["workflow"], said["tool"], said["environment"]) == ("operations", "crm", "test")
    assert said["actions"] == ["note", "read"]
    assert said["scope"] == {"fields": ["name", "stage"], "region": "emea"}
    assert said["exp"] - said["iat"] == tool.access.ttl_seconds


def test_a_scope_cannot_ask_vault_to_fill_anything_in(vault: Oracle, documents: PlanDocuments) -> None:
    workflow = find(documents, "nightly-report")
    login = log_in(vault, workflow, claims("nightly-report", "agent:nightly-report"))[1]
    path = str(find_tool(documents, "nightly-report", "crm").credential_path)
    answer = vault.ask("GET", path, token=login["auth"]["client_token"])[1]
    said = jwt.decode(answer["data"]["token"], options={"verify_signature": False})
    assert said["scope"] == {"fields": ["{{identity.entity.id}}"], "region": "apac"}
    assert "requester" not in said


def test_a_certificate_has_its_one_name(vault: Oracle, documents: PlanDocuments, token: str) -> None:
    tool = find_tool(documents, "operations", "ledger")
    status, answer = vault.ask("POST", str(tool.credential_path), dict(tool.request or {}), token=token)
    assert status == 200, answer
    certificate = x509.load_pem_x509_certificate(answer["data"]["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://test.acme.example/test/operations/ledger")]
    assert not list(certificate.subject)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ttl": "5m"},
        {"uri_sans": "spiffe://test.acme.example/test/other/ledger"},
        {"common_name": "admin"},
        {"uri_sans": "spiffe://test.acme.example/test/operations/ledger", "common_name": "admin"},
        {"uri_sans": "spiffe://test.acme.example/test/operations/ledger,spiffe://other"},
    ],
)
def test_a_certificate_of_another_name_or_none_is_refused(
    vault: Oracle, documents: PlanDocuments, token: str, body: dict[str, str]
) -> None:
    path = str(find_tool(documents, "operations", "ledger").credential_path)
    assert vault.ask("POST", path, body, token=token)[0] == asked.FORBIDDEN


def test_a_secret_is_read_and_nothing_beside_it(vault: Oracle, documents: PlanDocuments, token: str) -> None:
    path = str(find_tool(documents, "operations", "pager").credential_path)
    assert vault.ask("GET", path, token=token)[1]["data"]["data"] == {"key": "k"}
    mount = documents.foundation.kv_mount
    for method, other in (
        ("PUT", path),
        ("DELETE", path),
        ("LIST", f"{mount}/metadata/pager/keys"),
        ("GET", f"{mount}/metadata/pager/keys/sre"),
        ("GET", f"{mount}/data/pager/keys/other"),
    ):
        assert vault.ask(method, other, {} if method == "PUT" else None, token=token)[0] == asked.FORBIDDEN


def test_an_agent_may_ask_for_a_ttl_and_for_nothing_else(vault: Oracle, documents: PlanDocuments, token: str) -> None:
    path = str(find_tool(documents, "operations", "queues").credential_path)
    # There is no AWS here: past the policy, the answer is that the path does not exist.
    assert vault.ask("GET", path, token=token)[0] == 404
    assert vault.ask("GET", path, token=token, query={"ttl": "900"})[0] == 404
    for query in ({"role_arn": "x"}, {"role_session_name": "x"}, {"ttl": "900", "role_session_name": "x"}):
        assert vault.ask("GET", path, token=token, query=query)[0] == asked.FORBIDDEN
    assert vault.ask("POST", path, {"ttl": "900"}, token=token)[0] == asked.FORBIDDEN


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "auth/token/create"),
        ("POST", "auth/token/lookup"),
        ("PUT", "sys/leases/revoke"),
        ("LIST", "sys/policies/acl"),
        ("GET", "identity/oidc/token/nightly-report.crm"),
        ("POST", "sys/capabilities-self"),
        ("GET", "cubbyhole/x"),
    ],
)
def test_an_agent_has_nothing_that_its_workflow_does_not_name(
    vault: Oracle, token: str, method: str, path: str
) -> None:
    assert vault.ask(method, path, {} if method in {"POST", "PUT"} else None, token=token)[0] == asked.FORBIDDEN
