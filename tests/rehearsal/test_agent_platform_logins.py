"""Three more workflows, deployed by the real engine: tokens that name the user, logins by an IAM role and by a pod.

They stand in no committed declaration: this module adds them to the rehearsal's copy, and takes them away again.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from backend_agents import FORBIDDEN, ask
from ruamel.yaml import YAML
from test_agent_backends import verify
from test_agent_logins import log_in

from narrowgate.access.lock import lock_file, write_lock
from narrowgate.declarations import load_environment, load_plan
from narrowgate.runtime import LoginRefusedError, login
from rehearsal.aws_login import register_aws_login
from rehearsal.engine import ensure_aws_login

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

PLAIN = ("--non-interactive", "--color", "never")
ROLE_NAME, OTHER_ROLE = "lambda-report", "lambda-report-2"
WORKFLOW = """\
version: 1
workflow: {name}
owner: finance-operations
purpose: Answers questions about payments.
environments: [dev]
identity: {identity}
requesters: {requesters}
session: {{ttl: 15m, max_ttl: 30m}}
tools:
  payments: {{actions: [read], scope: {{region: "{region}"}}, ttl: 10m, max_ttl: 10m}}
"""
ADDED = {
    "payments-assistant": ("jwt", "[on-call]", 'emea "}} {{identity.entity.id}}'.replace('"', '\\"')),
    "lambda-report": ("aws", "none", "apac"),
    "pod-report": ("kubernetes", "none", "amer"),
}
CLUSTER = "https://127.0.0.1:1"


def read_yaml(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return content


def bind(rehearsal: LiveRehearsal, settings: dict[str, Any]) -> str:
    """Return a stack's configuration with the bindings that the added workflows need."""
    environment = settings["config"]["narrowgate:environment"]
    environment["kubernetes"] = {"host": CLUSTER, "ca_pem": rehearsal.layout.ca_certificate.read_text()}
    environment["workflows"] = {
        "lambda-report": {"principal_arn": f"arn:aws:iam::{rehearsal.account}:role/{ROLE_NAME}"},
        "pod-report": {"namespace": "agents", "service_account": "pod-report"},
    }
    text = io.StringIO()
    YAML(typ="safe").dump(settings, text)
    return text.getvalue()


@contextlib.contextmanager
def added_workflows(rehearsal: LiveRehearsal) -> Iterator[list[Path]]:
    """Add the workflows, their bindings and their lock; put everything back at the end."""
    stacks, config = rehearsal.layout.stacks, rehearsal.layout.project / "Pulumi.dev.yaml"
    lock = lock_file(stacks, "dev")
    before = {file: file.read_text(encoding="utf-8") for file in (config, lock)}
    files = [stacks / "workflows" / f"{name}.yaml" for name in ADDED]
    try:
        config.write_text(bind(rehearsal, read_yaml(config)), encoding="utf-8")
        for file, (identity, requesters, region) in zip(files, ADDED.values(), strict=True):
            text = WORKFLOW.format(name=file.stem, identity=identity, requesters=requesters, region=region)
            file.write_text(text, encoding="utf-8")
        lock.write_text(write_lock(load_plan(stacks, load_environment(config.parent, "dev"))), encoding="utf-8")
        yield files
    finally:
        for file in files:
            file.unlink(missing_ok=True)
        for file, text in before.items():
            file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def principals(rehearsal: LiveRehearsal) -> Iterator[tuple[str, str]]:
    """Two IAM roles that something of the company's runs as; what Vault's broker may look up of them."""
    iam = rehearsal.aws("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{rehearsal.account}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    look_up = {
        "Effect": "Allow",
        "Action": "iam:GetRole",
        "Resource": f"arn:aws:iam::{rehearsal.account}:role/{ROLE_NAME}",
    }
    for name in (ROLE_NAME, OTHER_ROLE):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [look_up]})
    iam.put_user_policy(UserName="broker", PolicyName="look-up-agents", PolicyDocument=policy)
    yield ROLE_NAME, OTHER_ROLE
    iam.delete_user_policy(UserName="broker", PolicyName="look-up-agents")
    for name in (ROLE_NAME, OTHER_ROLE):
        iam.delete_role(RoleName=name)


@pytest.fixture(scope="module")
def manifests(rehearsal: LiveRehearsal, principals: object) -> Iterator[Mapping[str, Any]]:
    """Deploy the three with a preview and the policy pack, as a first deploy is; return all manifests."""
    assert principals is not None
    register_aws_login(rehearsal.layout.bao / "plugins", rehearsal.vault(), ensure_aws_login(print))
    with added_workflows(rehearsal):
        rehearsal.run("pulumi", "up", "--yes", *PLAIN)
        yield json.loads(rehearsal.run("pulumi", "stack", "output", "--json").stdout)["manifests"]
    rehearsal.run("pulumi", "up", "--yes", "--skip-preview", *PLAIN)
    assert not [
        path for path in rehearsal.vault().sys.list_auth_methods()["data"] if path.split("/")[1:2] == ["pod-report"]
    ]


def test_a_second_deploy_has_nothing_to_do(rehearsal: LiveRehearsal, manifests: Mapping[str, Any]) -> None:
    assert manifests.keys() > ADDED.keys()
    rehearsal.run("pulumi", "up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", *PLAIN)


# -- a token that names the user


def test_the_requester_is_in_the_token_as_the_login_named_them(
    rehearsal: LiveRehearsal, manifests: Mapping[str, Any]
) -> None:
    workflow = "payments-assistant"
    for user in ("alice", 'eve "}} {{identity.entity.id}}'):
        token = rehearsal.token(user, workflow, groups=["on-call"])
        with login(manifests[workflow], token) as agent:
            said = verify(rehearsal, agent.bearer("payments").token)
        assert (said["requester"], said["workflow"], said["actions"]) == (user, workflow, ["read"])
        assert said["scope"] == {"region": 'emea "}} {{identity.entity.id}}'}
        assert said["exp"] - said["iat"] == 600


def test_one_workflows_token_is_not_anothers_to_ask_for(rehearsal: LiveRehearsal, manifests: Mapping[str, Any]) -> None:
    path = manifests["payments-assistant"]["tools"]["payments"]["path"]
    stranger = rehearsal.vault(log_in(rehearsal, "incident-summarization"))
    assert ask(stranger, "GET", path).status_code == FORBIDDEN
    stranger.auth.token.revoke_self()


# -- an IAM role


def assume(rehearsal: LiveRehearsal, monkeypatch: pytest.MonkeyPatch, role: str = ROLE_NAME) -> None:
    """Give this process the credentials that something has which runs as the role."""
    arn = f"arn:aws:iam::{rehearsal.account}:role/{role}"
    got = rehearsal.aws("sts").assume_role(RoleArn=arn, RoleSessionName="task")["Credentials"]
    for name, value in (
        ("ACCESS_KEY_ID", got["AccessKeyId"]),
        ("SECRET_ACCESS_KEY", got["SecretAccessKey"]),
        ("SESSION_TOKEN", got["SessionToken"]),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)


def test_an_iam_role_logs_in_as_its_workflow(
    rehearsal: LiveRehearsal, manifests: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assume(rehearsal, monkeypatch)
    with login(manifests["lambda-report"]) as agent:
        said = verify(rehearsal, agent.bearer("payments").token)
    assert (said["workflow"], said["scope"]) == ("lambda-report", {"region": "apac"})


def test_another_iam_role_is_refused(
    rehearsal: LiveRehearsal, manifests: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assume(rehearsal, monkeypatch, OTHER_ROLE)
    with pytest.raises(LoginRefusedError, match="does not belong to the role"), login(manifests["lambda-report"]):
        pass


def changed(manifest: dict[str, Any], **settings: object) -> dict[str, Any]:
    return {**manifest, "login": {**manifest["login"], **settings}}


def test_a_request_signed_for_another_vault_is_refused(
    rehearsal: LiveRehearsal, manifests: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assume(rehearsal, monkeypatch)
    elsewhere = changed(manifests["lambda-report"], server_id="vault.prod.example.com")
    with pytest.raises(LoginRefusedError, match="X-Vault-AWS-IAM-Server-ID"), login(elsewhere):
        pass


def test_a_role_that_was_made_again_is_somebody_else(
    rehearsal: LiveRehearsal, manifests: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = rehearsal.aws("iam")
    document = json.dumps(iam.get_role(RoleName=ROLE_NAME)["Role"]["AssumeRolePolicyDocument"])
    iam.delete_role(RoleName=ROLE_NAME)
    iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=document)
    assume(rehearsal, monkeypatch)
    with pytest.raises(LoginRefusedError, match="does not belong to the role"), login(manifests["lambda-report"]):
        pass


# -- a service account


def test_a_clusters_login_is_deployed_as_compiled(rehearsal: LiveRehearsal, manifests: Mapping[str, Any]) -> None:
    assert manifests["pod-report"]["login"]["identity"] == "kubernetes"
    operator = rehearsal.vault()
    config = operator.read("auth/agents/pod-report/config")["data"]
    assert config["kubernetes_host"] == CLUSTER
    assert config["kubernetes_ca_cert"].strip() == rehearsal.layout.ca_certificate.read_text().strip()
    assert config["disable_local_ca_jwt"] is True
    assert not config.get("token_reviewer_jwt_set")
    role = operator.read("auth/agents/pod-report/role/agent")["data"]
    wanted = {
        "alias_name_source": "serviceaccount_uid",
        "audience": "narrowgate:dev:pod-report",
        "bound_service_account_names": ["pod-report"],
        "bound_service_account_namespaces": ["agents"],
        "token_no_default_policy": True,
        "token_policies": ["agent.pod-report", "tool.pod-report.payments"],
        "token_ttl": 900,
        "token_max_ttl": 1800,
    }
    assert {name: role[name] for name in wanted} == wanted


def test_a_token_that_no_cluster_vouches_for_is_refused(rehearsal: LiveRehearsal, manifests: Mapping[str, Any]) -> None:
    now = int(time.time())
    claims = {
        "iss": "https://kubernetes.default.svc",
        "aud": ["narrowgate:dev:pod-report"],
        "sub": "system:serviceaccount:agents:pod-report",
        "exp": now + 600,
        "kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "pod-report", "uid": "1"}},
    }
    forged = jwt.encode(claims, "a shared secret of thirty-two bytes", algorithm="HS256")
    body = {"role": "agent", "jwt": forged}
    answer = ask(rehearsal.vault(""), "POST", f"auth/{manifests['pod-report']['login']['mount']}/login", body)
    assert answer.status_code >= requests.codes.bad_request
    assert "client_token" not in answer.text
