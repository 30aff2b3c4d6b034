"""Only the one job of CI that the environment binds is the deployer, in AWS and in Vault; so is the preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from hvac.exceptions import VaultError

from rehearsal import ci, ci_tokens

if TYPE_CHECKING:
    from narrowgate.compile.documents import DeployerDocuments, SystemIdentity
    from rehearsal.live import LiveRehearsal

FOREIGN = {
    "another repository": "repo:acme/other:environment:dev",
    "another owner": "repo:evil/agents:environment:dev",
    "a branch": "repo:acme/agents:ref:refs/heads/main",
    "an unprotected branch": "repo:acme/agents:ref:refs/heads/feature",
    "a tag": "repo:acme/agents:ref:refs/tags/v1",
    "another environment": "repo:acme/agents:environment:prod",
    "a longer environment": "repo:acme/agents:environment:dev2",
    "a pull request": "repo:acme/agents:pull_request",
    "nobody": "",
}


@pytest.fixture(scope="module")
def documents(rehearsal: LiveRehearsal) -> DeployerDocuments:
    return ci.describe_ci(rehearsal.layout)


def both(documents: DeployerDocuments) -> tuple[SystemIdentity, SystemIdentity]:
    return documents.deployer, documents.preview


def refused_everywhere(rehearsal: LiveRehearsal, identity: SystemIdentity, token: str) -> None:
    with pytest.raises(ClientError) as by_aws:
        ci.assume_role(rehearsal.layout, identity.role.arn("aws", rehearsal.account), token)
    assert by_aws.value.response["Error"]["Code"] in {"AccessDenied", "InvalidIdentityToken"}
    with pytest.raises(VaultError):
        ci.log_in(rehearsal.layout, identity.auth_role.name, token)


def test_the_bound_jobs_log_in(rehearsal: LiveRehearsal, documents: DeployerDocuments) -> None:
    for identity in both(documents):
        token = ci.sign_job_of(rehearsal.layout, identity)
        key = ci.assume_role(rehearsal.layout, identity.role.arn("aws", rehearsal.account), token)
        caller = rehearsal.aws("sts", key).get_caller_identity()["Arn"]
        assert caller == f"arn:aws:sts::{rehearsal.account}:assumed-role/{identity.role.name}/{ci.SESSION}"
        found = rehearsal.vault(ci.log_in(rehearsal.layout, identity.auth_role.name, token)).auth.token.lookup_self()
        assert found["data"]["policies"] == [identity.policy.name]
        assert found["data"]["ttl"] <= 3600


@pytest.mark.parametrize("who", FOREIGN)
def test_another_job_is_neither(rehearsal: LiveRehearsal, documents: DeployerDocuments, who: str) -> None:
    token = ci_tokens.sign_job(rehearsal.layout, FOREIGN[who], documents.provider_audience)
    for identity in both(documents):
        refused_everywhere(rehearsal, identity, token)


def test_one_job_is_not_the_other(rehearsal: LiveRehearsal, documents: DeployerDocuments) -> None:
    deployer, preview = both(documents)
    refused_everywhere(rehearsal, deployer, ci.sign_job_of(rehearsal.layout, preview))
    refused_everywhere(rehearsal, preview, ci.sign_job_of(rehearsal.layout, deployer))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "sts.amazonaws.com"},
        {"aud": ["narrowgate:dev:ci", "sts.amazonaws.com"], "iss": "https://evil.example.com"},
        {"iss": "https://evil.example.com"},
        {"exp": 1_700_000_000, "iat": 1_699_999_000, "nbf": 1_699_999_000},
        {"nbf": 4_000_000_000},
    ],
)
def test_the_right_subject_alone_does_not_help(
    rehearsal: LiveRehearsal, documents: DeployerDocuments, claims: dict[str, Any]
) -> None:
    subject = documents.deployer.auth_role.settings["bound_subject"]
    token = ci_tokens.sign_job(rehearsal.layout, subject, documents.provider_audience, **claims)
    refused_everywhere(rehearsal, documents.deployer, token)


def test_another_key_or_none_signs_nothing(rehearsal: LiveRehearsal, documents: DeployerDocuments) -> None:
    claims = jwt.decode(ci.sign_job_of(rehearsal.layout, documents.deployer), options={"verify_signature": False})
    forged = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    unsigned = jwt.encode(claims, None, algorithm="none")
    confused = jwt.encode(claims, "secret-that-is-long-enough-for-hs256", algorithm="HS256")
    for token in (forged, unsigned, confused, "none", "x.y.z"):
        refused_everywhere(rehearsal, documents.deployer, token)


def test_a_job_can_be_no_tools_role(rehearsal: LiveRehearsal, documents: DeployerDocuments) -> None:
    token = ci.sign_job_of(rehearsal.layout, documents.deployer)
    roles = rehearsal.aws("iam").list_roles(PathPrefix="/narrowgate/dev/tool/")["Roles"]
    assert roles
    for role in roles:
        with pytest.raises(ClientError, match="AccessDenied"):
            ci.assume_role(rehearsal.layout, role["Arn"], token)


def test_a_jobs_token_is_no_agents_and_an_agents_no_jobs(
    rehearsal: LiveRehearsal, documents: DeployerDocuments
) -> None:
    refused_everywhere(rehearsal, documents.deployer, rehearsal.token("alice", "incident-summarization"))
    token = ci.sign_job_of(rehearsal.layout, documents.deployer)
    with pytest.raises(VaultError):
        rehearsal.vault("").write_data("auth/agents/incident-summarization/login", data={"role": "agent", "jwt": token})


def test_the_record_tells_which_job_it_was(rehearsal: LiveRehearsal, documents: DeployerDocuments) -> None:
    ci.assume_role(
        rehearsal.layout,
        documents.deployer.role.arn("aws", rehearsal.account),
        ci.sign_job_of(rehearsal.layout, documents.deployer),
    )
    event = rehearsal.layout.cloudtrail.read_text().splitlines()[-1]
    assert '"eventName":"AssumeRoleWithWebIdentity"' in event
    assert '"type":"WebIdentityUser"' in event
    assert str(documents.deployer.auth_role.settings["bound_subject"]) in event
    assert "eyJ" not in event  # no token
