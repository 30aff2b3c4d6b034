"""Nothing of one environment works in the other: tried with real credentials of each, in both directions.

Each refusal stands beside the same attempt at home, which succeeds, so that a broken attempt is no proof.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hvac.exceptions
import psycopg
import pytest
import requests
from botocore.exceptions import ClientError
from ci_job import start_job
from hvac.exceptions import VaultError

from narrowgate.declarations import load_environment, load_plan
from narrowgate.runtime import login
from rehearsal import aws, bao, ci, ci_tokens, idp, postgres
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from narrowgate.plan import AccessPlan
    from rehearsal.live import LiveRehearsal

STACKS = CHECKOUT / "stacks"
PLANS: dict[str, AccessPlan] = {name: load_plan(STACKS, load_environment(STACKS, name)) for name in ("dev", "prod")}
DIRECTIONS = [("dev", "prod"), ("prod", "dev")]
SUMMARIZATION = "incident-summarization"
NIGHTLY = "nightly-reconciliation"
REFUSED = (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath)


def list_jwt_workflows(environment: str) -> list[str]:
    return [workflow.name for workflow in PLANS[environment].workflows if workflow.identity == "jwt"]


AGENTS = [(home, away, workflow) for home, away in DIRECTIONS for workflow in list_jwt_workflows(home)]


def find_requester(environment: str, workflow: str) -> str:
    asked = PLANS[environment].workflow(workflow)
    assert asked is not None
    return next(user for user, groups in idp.DIRECTORY.items() if set(groups) & set(asked.requesters))


def log_in(live: LiveRehearsal, mount: str, role: str, jwt: str) -> str:
    """Log in past the library, and return the token."""
    answer = bao.open_client(live.layout).write_data(f"auth/{mount}/login", data={"role": role, "jwt": jwt})
    return str(answer["auth"]["client_token"])


def describe_token(live: LiveRehearsal, token: str) -> Any:  # noqa: ANN401 - Vault's JSON
    return live.vault(token).auth.token.lookup_self()


# -- identities


@pytest.mark.parametrize(("home", "away", "workflow"), AGENTS)
def test_no_agents_token_logs_in_elsewhere(both: LiveRehearsal, home: str, away: str, workflow: str) -> None:
    here, there = both.of(home), both.of(away)
    user = find_requester(home, workflow)
    assert log_in(here, f"agents/{workflow}", "agent", here.token(user, workflow))
    subject = idp.look_up(user, None, workflow)
    forged = {
        "as it is": {},
        "with the other's audience": {"aud": idp.audience(there.layout, workflow)},
        "with the other's issuer": {"iss": idp.issuer(there.layout)},
        "with both": {"aud": idp.audience(there.layout, workflow), "iss": idp.issuer(there.layout)},
    }
    for claims in forged.values():
        for target in list_jwt_workflows(away):
            with pytest.raises(REFUSED):
                log_in(there, f"agents/{target}", "agent", idp.sign_token(here.layout, subject, **claims))


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_no_approle_logs_in_elsewhere(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    path = f"auth/agents/{NIGHTLY}"
    operator = here.vault()
    own = operator.read(f"{path}/role/agent/role-id")["data"]["role_id"]
    other = there.vault().read(f"{path}/role/agent/role-id")["data"]["role_id"]
    made = [operator.write_data(f"{path}/role/agent/secret-id", data={})["data"]["secret_id"] for _ in range(3)]
    for role_id, secret_id in ((own, made[0]), (other, made[1])):
        with pytest.raises(REFUSED):
            bao.open_client(there.layout).write_data(f"{path}/login", data={"role_id": role_id, "secret_id": secret_id})
    assert bao.open_client(here.layout).write_data(f"{path}/login", data={"role_id": own, "secret_id": made[2]})


@pytest.mark.parametrize("user", sorted(idp.DIRECTORY))
@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_no_persons_token_logs_in_elsewhere(both: LiveRehearsal, home: str, away: str, user: str) -> None:
    here, there = both.of(home), both.of(away)
    operator = idp.look_up(user, [idp.OPERATOR_GROUP])  # Even the other's administrators are nobody here
    assert log_in(here, bao.PEOPLE_MOUNT, bao.OPERATOR_ROLE, idp.sign_token(here.layout, operator))
    claims = {"aud": idp.audience(there.layout, None), "iss": idp.issuer(there.layout)}
    for changed in ({}, claims):
        with pytest.raises(REFUSED):
            log_in(there, bao.PEOPLE_MOUNT, bao.OPERATOR_ROLE, idp.sign_token(here.layout, operator, **changed))


def test_environments_share_no_key_issuer_account_or_address(both: LiveRehearsal) -> None:
    dev, prod = both, both.of("prod")
    for read in (
        lambda live: idp.read_public_key(live.layout),
        lambda live: idp.issuer(live.layout),
        lambda live: live.account,
        lambda live: live.bucket,
        lambda live: bao.get_address(live.layout),
        lambda live: live.layout.ca_certificate.read_text(),
        lambda live: live.layout.pulumi_passphrase.read_text(),
        lambda live: live.port("postgres"),
        lambda live: aws.read_operator_key(live.layout).secret,
    ):
        assert read(dev) != read(prod)


def test_a_client_that_trusts_its_own_vault_does_not_trust_the_other(both: LiveRehearsal) -> None:
    with bao.open_session(both.layout) as session:
        assert session.get(f"{bao.get_address(both.layout)}/v1/sys/health", timeout=10).ok
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{bao.get_address(both.of('prod').layout)}/v1/sys/health", timeout=10)


# -- brokers


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_a_broker_assumes_roles_of_its_own_environment_alone(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    sts = here.aws("sts", aws.read_key(aws.broker(here.layout)))
    for live, allowed in ((here, True), (there, False)):
        binding = PLANS[live.layout.environment].environment.aws
        for arn, workflow, tool in list_tool_roles(live):
            asked = {
                "RoleArn": arn,
                "RoleSessionName": f"{workflow}.{tool}@agents-{workflow}-alice",
                "ExternalId": binding.external_id,
            }
            if allowed:
                assert sts.assume_role(**asked)["Credentials"]
                continue
            with pytest.raises(ClientError) as caught:
                sts.assume_role(**asked)
            assert caught.value.response["Error"]["Code"] == "AccessDenied"


def list_tool_roles(live: LiveRehearsal) -> list[tuple[str, str, str]]:
    """Return the ARN, workflow and tool of each role that is deployed for an agent's tool."""
    found = [
        (str(tool["connection"]["role_arn"]), file.stem, name)
        for file in sorted(live.layout.manifests.glob("*.json"))
        for name, tool in json.loads(file.read_text(encoding="utf-8"))["tools"].items()
        if "role_arn" in tool.get("connection", {})
    ]
    assert found
    return found


# -- what Vault issued


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_issued_credentials_work_at_home_alone(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    with login(here.manifest(SUMMARIZATION), here.token("alice", SUMMARIZATION)) as agent:
        session = agent.aws("documents")
        s3 = session.client("s3")
        assert s3.list_objects_v2(Bucket=here.bucket, Prefix="runbooks/")["Contents"]
        for call in (
            lambda: s3.list_objects_v2(Bucket=there.bucket, Prefix="runbooks/"),
            lambda: s3.get_object(Bucket=there.bucket, Key="runbooks/refund-queue.md"),
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == "AccessDenied"
        with contextlib.closing(agent.postgres("incidents")) as connection:
            info = connection.info
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(
                    host=info.host,
                    port=there.port("postgres"),
                    dbname=info.dbname,
                    user=info.user,
                    password=info.password,
                    sslmode="disable",
                    connect_timeout=5,
                )
    token = log_in(here, f"agents/{SUMMARIZATION}", "agent", here.token("alice", SUMMARIZATION))
    path = f"narrowgate-aws/sts/{SUMMARIZATION}.documents"
    assert here.vault(token).read(path)
    for ask in (lambda: describe_token(there, token), lambda: there.vault(token).read(path)):
        with pytest.raises(hvac.exceptions.Forbidden):
            ask()


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_an_operators_keys_are_of_one_account(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    key = aws.read_operator_key(here.layout)
    assert here.aws("sts", key).get_caller_identity()["Account"] == here.account
    with pytest.raises(ClientError, match="AccessDenied"):
        here.aws("s3", key).list_objects_v2(Bucket=there.bucket)
    with pytest.raises(hvac.exceptions.Forbidden):
        describe_token(there, bao.log_in_operator(here.layout))


# -- CI


@pytest.mark.parametrize("kind", ["deployer", "preview"])
@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_no_job_of_ci_logs_in_elsewhere(both: LiveRehearsal, home: str, away: str, kind: str) -> None:
    here, there = both.of(home), both.of(away)
    own, other = (getattr(ci.describe_ci(live.layout), kind) for live in (here, there))
    token = ci.sign_job_of(here.layout, own)
    assert ci.assume_role(here.layout, own.role.arn("aws", here.account), token)
    assert ci.log_in(here.layout, own.auth_role.name, token)
    # A job chooses its token's audience, but not its subject: one CI signs the tokens of both environments' jobs.
    subject, audience = own.auth_role.settings["bound_subject"], ci.describe_ci(there.layout).provider_audience
    for tried in (token, ci_tokens.sign_job(here.layout, subject, audience)):
        with pytest.raises(ClientError):
            ci.assume_role(there.layout, other.role.arn("aws", there.account), tried)
        with pytest.raises(VaultError):
            ci.log_in(there.layout, other.auth_role.name, tried)


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_a_deployers_credentials_work_at_home_alone(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    job = start_job(here, ci.describe_ci(here.layout).deployer)
    other = ci.describe_ci(there.layout).deployer
    assert job.vault.auth.token.lookup_self()["data"]["policies"]
    with pytest.raises(hvac.exceptions.Forbidden):
        describe_token(there, job.environment["VAULT_TOKEN"])
    assert job.aws("sts").get_caller_identity()["Account"] == here.account
    for target in (list_tool_roles(there)[0][0], other.role.arn("aws", there.account)):
        with pytest.raises(ClientError) as caught:
            job.aws("sts").assume_role(RoleArn=target, RoleSessionName="ci")
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
    login_to = {
        "host": "127.0.0.1",
        "dbname": postgres.DATABASE,
        "user": job.environment["PGUSER"],
        "connect_timeout": 5,
    }
    passfile = job.environment["PGPASSFILE"]
    password = postgres.read_password(here.layout, job.environment["PGUSER"])
    assert password in Path(passfile).read_text(encoding="utf-8")
    with contextlib.closing(psycopg.connect(**login_to, port=here.port("postgres"), passfile=passfile)) as connection:
        assert connection.info.user == postgres.DEPLOYER
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**login_to, port=there.port("postgres"), password=password)


# -- the engine's state


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_a_passphrase_opens_no_state_but_its_own(both: LiveRehearsal, tmp_path: Path, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    ask = ("pulumi", "config", "set", "--secret", "--stack", there.layout.stack, "narrowgate:probe", "x")
    project = tmp_path / "project"
    shutil.copytree(there.layout.project, project)
    passphrases = {live.layout.environment: str(live.layout.pulumi_passphrase) for live in (here, there)}
    refused = there.run(
        *ask, check=False, PULUMI_OPTION_CWD=str(project), PULUMI_CONFIG_PASSPHRASE_FILE=passphrases[home]
    )
    assert refused.returncode != 0
    assert "incorrect passphrase" in refused.stderr + refused.stdout
    there.run(*ask, PULUMI_OPTION_CWD=str(project))
    names = here.run("pulumi", "stack", "ls", "--json").stdout
    assert f'"{away}"' not in names
    assert f'"{home}"' in names
