"""`narrowgate doctor` on the real servers: all is well, then one thing is broken at a time and the doctor names it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from operator_login import operator_process

from narrowgate.operations.doctor import CHECKS, clock
from narrowgate.operations.doctor.patient import SickError
from rehearsal import idp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import hvac

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
OPERATOR = "ng-dev-operator"
BOUNDARY = "arn:aws:iam::111111111111:policy/narrowgate/dev/boundary"
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def run(
    rehearsal: LiveRehearsal, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(rehearsal.layout.venv / "bin" / "narrowgate"), "doctor", *arguments],
        env=environment or rehearsal.environment(),
        cwd=rehearsal.layout.checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def doctor(
    rehearsal: LiveRehearsal, *arguments: str, environment: dict[str, str] | None = None, expect: int = 0
) -> dict[str, dict[str, str]]:
    """Run it, and return its findings by the check's name."""
    done = run(rehearsal, "--env", "dev", "--format", "json", *arguments, environment=environment)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["healthy"] is (expect == 0)
    return {finding["check"]: finding for finding in report["findings"]}


def wrong(findings: dict[str, dict[str, str]]) -> set[str]:
    assert all(finding["mend"] for finding in findings.values() if finding["health"] in {"wrong", "unknown"})
    return {name for name, finding in findings.items() if finding["health"] in {"wrong", "unknown"}}


def test_a_deployed_environment_is_well(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(rehearsal.token("alice", WORKFLOW, groups=["on-call"]))
    findings = doctor(rehearsal, "--token", str(token))
    assert list(findings) == [check.name for check in CHECKS]
    assert {finding["health"] for finding in findings.values()} == {"ok"}
    assert doctor(rehearsal)["identity-claims"]["health"] == "skipped"


@contextlib.contextmanager
def changed(vault: hvac.Client, path: str, **settings: object) -> Iterator[None]:
    """Change settings at a path, and put back what stood there."""
    before = vault.read(path)["data"]
    vault.write_data(path, data={**before, **settings})
    try:
        yield
    finally:
        vault.write_data(path, data=before)


@contextlib.contextmanager
def other_session_names(vault: hvac.Client) -> Iterator[None]:
    # What is not written again is forgotten.
    with changed(vault, "narrowgate-aws/config/root", username_template="{{ .DisplayName }}"):
        yield


@contextlib.contextmanager
def other_issuer(vault: hvac.Client) -> Iterator[None]:
    before = vault.read("identity/oidc/config")["data"]["issuer"]
    vault.write_data("identity/oidc/config", data={"issuer": "https://elsewhere.example.com"})
    yield
    vault.write_data("identity/oidc/config", data={"issuer": before})


@contextlib.contextmanager
def unreadable_record(vault: hvac.Client) -> Iterator[None]:
    vault.write_data("narrowgate-revocations/data/ticket-drafting", data={"data": {"version": 9}})
    yield
    vault.delete("narrowgate-revocations/metadata/ticket-drafting")


@contextlib.contextmanager
def moved_mount(vault: hvac.Client) -> Iterator[None]:
    vault.sys.move_backend("narrowgate-kv", "elsewhere-kv")
    yield
    vault.sys.move_backend("elsewhere-kv", "narrowgate-kv")


@contextlib.contextmanager
def policy(vault: hvac.Client, name: str, more: str, *, instead: bool = False) -> Iterator[None]:
    before = vault.read(f"sys/policies/acl/{name}")["data"]["policy"]
    vault.write_data(f"sys/policies/acl/{name}", data={"policy": more if instead else f"{before}\n{more}"})
    yield
    vault.write_data(f"sys/policies/acl/{name}", data={"policy": before})


SECRETS = 'path "narrowgate-kv/data/*" { capabilities = ["read"] }'
LITTLE = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
BROKEN_IN_VAULT = {
    "session names": (other_session_names, "vault-aws-engine", "another username template"),
    "issuer": (other_issuer, "vault-signing", "elsewhere.example.com"),
    "record": (unreadable_record, "vault-revocations", "not of version 1"),
    "mount": (moved_mount, "vault-mounts", "no mount narrowgate-kv"),
    "wider policy": (lambda vault: policy(vault, "system.operator", SECRETS), "system-policies", "more than it should"),
    "narrower policy": (
        lambda vault: policy(vault, "system.preview", LITTLE, instead=True),
        "system-policies",
        "not grant all",
    ),
    "login": (
        lambda vault: changed(
            vault, "auth/narrowgate-operators/role/operator", bound_claims={"/groups": ["everybody"]}
        ),
        "system-logins",
        "bound_claims",
    ),
}


@pytest.mark.parametrize("case", sorted(BROKEN_IN_VAULT))
def test_what_is_broken_in_vault_is_named_with_its_mending(rehearsal: LiveRehearsal, case: str) -> None:
    break_it, check, words = BROKEN_IN_VAULT[case]
    with break_it(rehearsal.vault()):
        findings = doctor(rehearsal, expect=1)
    assert wrong(findings) == {check}
    assert words in findings[check]["detail"]
    assert wrong(doctor(rehearsal)) == set()


def test_an_operator_who_may_do_more_or_trusts_others_is_named(rehearsal: LiveRehearsal) -> None:
    iam = rehearsal.aws("iam")
    iam.put_role_policy(RoleName=OPERATOR, PolicyName="more", PolicyDocument=ALL.replace('"*"', '"s3:GetObject"', 1))
    try:
        findings = doctor(rehearsal, expect=1)
    finally:
        iam.delete_role_policy(RoleName=OPERATOR, PolicyName="more")
    assert wrong(findings) == {"aws-identities"}
    assert "may do more" in findings["aws-identities"]["detail"]
    trust = iam.get_role(RoleName=OPERATOR)["Role"]["AssumeRolePolicyDocument"]
    other = json.loads(json.dumps(trust).replace("on-call", "somebody"))
    iam.update_assume_role_policy(RoleName=OPERATOR, PolicyDocument=json.dumps(other))
    try:
        findings = doctor(rehearsal, expect=1)
    finally:
        iam.update_assume_role_policy(RoleName=OPERATOR, PolicyDocument=json.dumps(trust))
    assert "lets in somebody else" in findings["aws-identities"]["detail"]


def test_a_broker_without_its_policy_is_named(rehearsal: LiveRehearsal) -> None:
    iam = rehearsal.aws("iam")
    before = iam.get_user_policy(UserName="broker", PolicyName="broker")["PolicyDocument"]
    iam.delete_user_policy(UserName="broker", PolicyName="broker")
    try:
        findings = doctor(rehearsal, expect=1)
    finally:
        iam.put_user_policy(UserName="broker", PolicyName="broker", PolicyDocument=json.dumps(before))
    assert "may not do all" in findings["aws-identities"]["detail"]


def test_another_boundary_is_named(rehearsal: LiveRehearsal) -> None:
    iam = rehearsal.aws("iam")
    version = iam.get_policy(PolicyArn=BOUNDARY)["Policy"]["DefaultVersionId"]
    before = iam.get_policy_version(PolicyArn=BOUNDARY, VersionId=version)["PolicyVersion"]["Document"]
    made = iam.create_policy_version(PolicyArn=BOUNDARY, PolicyDocument=ALL, SetAsDefault=True)["PolicyVersion"]
    try:
        findings = doctor(rehearsal, expect=1)
    finally:
        iam.create_policy_version(PolicyArn=BOUNDARY, PolicyDocument=json.dumps(before), SetAsDefault=True)
        iam.delete_policy_version(PolicyArn=BOUNDARY, VersionId=made["VersionId"])
    assert wrong(findings) == {"aws-boundary"}


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "two agents": ({"act": {"sub": ["agent:a", "agent:b"]}}, "/act/sub (agent) is no single text: list"),
    "no agent": ({"act": None}, "/act/sub (agent)"),
    "a person's own": ({"act": {"sub": "alice"}}, "does not begin with agent:"),
    "groups as text": ({"groups": "on-call"}, "/groups (groups) is no list"),
    "another environment's audience": ({"aud": "narrowgate:prod:x"}, "begins with narrowgate:dev:"),
    "another issuer": ({"iss": "https://elsewhere.example.com"}, "not good by any key and issuer"),
    "over": ({"exp": 1}, "ExpiredSignatureError"),
}


@pytest.mark.parametrize("case", sorted(CLAIMS))
def test_a_token_that_does_not_fit_is_named_and_not_shown(rehearsal: LiveRehearsal, tmp_path: Path, case: str) -> None:
    claims, words = CLAIMS[case]
    subject = idp.Subject("alice", ("on-call",), WORKFLOW)
    signed = idp.sign_token(rehearsal.layout, subject, **claims)
    token = tmp_path / "token"
    token.write_text(signed)
    findings = doctor(rehearsal, "--token", str(token), expect=1)
    assert wrong(findings) == {"identity-claims"}
    assert words in findings["identity-claims"]["detail"]
    assert signed not in json.dumps(findings)


def test_what_cannot_be_asked_is_not_well(rehearsal: LiveRehearsal) -> None:
    findings = doctor(rehearsal, environment=operator_process(rehearsal), expect=1)
    assert findings["vault-mounts"]["health"] == "unknown"
    assert findings["aws-boundary"]["health"] == "unknown"
    nobody = {**rehearsal.environment(), "VAULT_TOKEN": "s.nobody"}
    assert doctor(rehearsal, environment=nobody, expect=1)["vault-control-groups"]["health"] == "wrong"


def test_an_environment_that_nobody_declares_is_the_users_mistake(rehearsal: LiveRehearsal) -> None:
    done = run(rehearsal, "--env", "nowhere")
    assert done.returncode == 2
    assert "Pulumi.nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clock_that_is_five_minutes_off_is_named() -> None:
    now = datetime.now(UTC)
    assert clock.compare_clock("Vault's", format_datetime(now)) == "within 5 s"
    for minutes in (5, -5):
        with pytest.raises(SickError, match="s from this machine"):
            clock.compare_clock("Vault's", format_datetime(now + timedelta(minutes=minutes)))
