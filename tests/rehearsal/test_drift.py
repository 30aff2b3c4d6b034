"""Drift on the running system: a clean deploy has none, who may not look is told so, and a revocation is none."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from drift_bench import DOCUMENT, OTHER, ROGUE_HCL, WORKFLOW, assert_found, find, first_role, run, written
from operator_login import operator_process

from narrowgate.audit import auditor
from narrowgate.audit.drift.facts import Kind
from narrowgate.declarations import load_environment
from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.audit.drift.expected import Expected
    from rehearsal.live import LiveRehearsal


def test_a_clean_deploy_has_none(rehearsal: LiveRehearsal) -> None:
    done = run(rehearsal)
    assert (done.returncode, done.stdout) == (0, "dev: no drift.\n"), done.stderr
    done = run(rehearsal, "--format", "json")
    assert json.loads(done.stdout) == {
        "version": 1,
        "environment": "dev",
        "clean": True,
        "findings": [],
        "unread": [],
    }


@pytest.fixture
def auditors_login(rehearsal: LiveRehearsal, expected: Expected) -> Iterator[dict[str, str]]:
    """Give an auditor's own credentials: what `narrowgate ledger policy` prints, and a plain database login."""
    vault, iam, environment = rehearsal.vault(), rehearsal.aws("iam"), expected.environment
    vault.sys.create_or_update_policy("auditor", auditor.vault_policy(environment))
    token = vault.auth.token.create(policies=["auditor"], no_default_policy=True, no_parent=True)
    iam.create_user(UserName="auditor")
    policy = json.dumps(auditor.iam_policy(environment))
    iam.put_user_policy(UserName="auditor", PolicyName="audit", PolicyDocument=policy)
    key = iam.create_access_key(UserName="auditor")["AccessKey"]
    yield {
        "VAULT_TOKEN": token["auth"]["client_token"],
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PGUSER": "preview",
        "PGPASSFILE": str(postgres.password_file(rehearsal.layout, "preview")),
    }
    iam.delete_access_key(UserName="auditor", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="auditor", PolicyName="audit")
    iam.delete_user(UserName="auditor")


def test_an_auditors_own_rights_suffice(rehearsal: LiveRehearsal, auditors_login: dict[str, str]) -> None:
    done = run(rehearsal, **auditors_login)
    assert (done.returncode, done.stdout) == (0, "dev: no drift.\n"), done.stdout + done.stderr


def test_who_may_not_look_is_never_told_that_all_is_well(
    rehearsal: LiveRehearsal, auditors_login: dict[str, str]
) -> None:
    vault, iam = rehearsal.vault(), rehearsal.aws("iam")
    nobody = vault.auth.token.create(policies=["none"], no_default_policy=True, no_parent=True)["auth"]["client_token"]
    broken = {
        "vault": {"VAULT_TOKEN": nobody},
        "postgres": {"PGUSER": "nobody"},
    }
    for system, more in broken.items():
        done = run(rehearsal, "--format", "json", **{**auditors_login, **more})
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["clean"]) == (2, None), done.stdout
        assert {each["system"] for each in answer["unread"]} == {system}
        assert answer["findings"] == []
        assert nobody not in done.stdout + done.stderr
    iam.delete_user_policy(UserName="auditor", PolicyName="audit")
    try:
        done = run(rehearsal, **auditors_login)
    finally:
        policy = json.dumps(auditor.iam_policy(load_environment(rehearsal.layout.project, "dev")))
        iam.put_user_policy(UserName="auditor", PolicyName="audit", PolicyDocument=policy)
    assert done.returncode == 2
    assert "? AWS: IAM roles below /narrowgate/dev/" in done.stdout
    assert "cannot tell" in done.stdout


def test_one_thing_that_can_not_be_read_does_not_hide_the_others(
    rehearsal: LiveRehearsal, expected: Expected, auditors_login: dict[str, str]
) -> None:
    vault = rehearsal.vault()
    blind = f'path "sys/policies/acl/agent.{OTHER}" {{\n  capabilities = ["deny"]\n}}\n'
    vault.sys.create_or_update_policy("auditor", auditor.vault_policy(expected.environment) + blind)
    with written(vault, "sys/policies/acl/agent.more", {"policy": ROGUE_HCL}):
        done = run(rehearsal, "--format", "json", **auditors_login)
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert [each["thing"] for each in answer["unread"]] == [f"sys/policies/acl/agent.{OTHER}"]
    assert [each["thing"] for each in answer["findings"]] == ["policy agent.more"]


def test_what_an_operator_revoked_is_no_drift_and_a_login_that_comes_back_is(
    rehearsal: LiveRehearsal, expected: Expected
) -> None:
    vault, path = rehearsal.vault(), f"auth/agents/{WORKFLOW}/role/agent"
    held = vault.read(path)["data"]
    revoke = (str(rehearsal.layout.venv / "bin" / "narrowgate"), "revoke", WORKFLOW, "--reason", "a drill", "--yes")
    subprocess.run(revoke, env=operator_process(rehearsal), check=True, capture_output=True, timeout=120)
    try:
        assert find(rehearsal, expected) == []
        vault.write_data(path, data=held)
        assert_found(find(rehearsal, expected), Kind.CHANGED, path, "is revoked")
    finally:
        restore = (revoke[0], "restore", WORKFLOW, "--yes")
        subprocess.run(restore, env=operator_process(rehearsal), check=True, capture_output=True, timeout=120)
        vault.write_data(path, data=held)
    assert find(rehearsal, expected) == []  # the cut of its sessions stays, and only denies
    allowing = json.dumps(DOCUMENT)
    role = first_role(expected, "logs")
    iam = rehearsal.aws("iam")
    iam.put_role_policy(RoleName=role.name, PolicyName="narrowgate-revoked", PolicyDocument=allowing)
    assert_found(find(rehearsal, expected), Kind.CHANGED, role.name, "s3:PutObject")
    iam.delete_role_policy(RoleName=role.name, PolicyName="narrowgate-revoked")
    # A restored login is made anew by the next deploy; whoever comes next expects none.
    rehearsal.run("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never")
