"""CI's jobs: they log in to AWS and Vault by their own token, and deploy with what they get, not as the operator.

What a job does here is what the steps of a real one do: ask for a token, `AssumeRoleWithWebIdentity`, Vault's JWT
login, then `pulumi`. It must not know the operator's credentials.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import botocore.session
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from hvac.exceptions import VaultError

from narrowgate.compile import names
from narrowgate.compile.deployer import compile_deployer
from rehearsal import aws, bao, ci_tokens, postgres
from rehearsal.environments import account, describe
from rehearsal.errors import RehearsalError
from rehearsal.operator_environment import deploy_environment

if TYPE_CHECKING:
    from narrowgate.compile.documents import DeployerDocuments, SystemIdentity
    from rehearsal.layout import EnvironmentLayout

SESSION: Final = "ci-job"
DATABASE_LOGINS: Final = {names.DEPLOYER: postgres.DEPLOYER, names.PREVIEW: postgres.PREVIEW}
# What the operator's environment has beside what a job gets of its own.
OPERATOR_ONLY: Final = frozenset({"NARROWGATE_BROKER_PASSFILE", "NARROWGATE_GATED_BROKER_FILE"})


def describe_ci(layout: EnvironmentLayout) -> DeployerDocuments:
    """Return CI's identities as the committed environment binds them.

    Raises:
        RehearsalError: it binds none.

    """
    documents = compile_deployer(describe(layout))
    if documents is None:
        raise RehearsalError(f"the environment {layout.environment} binds no deployer")
    return documents


def sign_job_of(layout: EnvironmentLayout, identity: SystemIdentity) -> str:
    """Return the token of the job that is `identity`."""
    subject = str(identity.auth_role.settings["bound_subject"])
    return ci_tokens.sign_job(layout, subject, describe_ci(layout).provider_audience)


def assume_role(layout: EnvironmentLayout, role_arn: str, token: str) -> aws.AccessKey:
    """Return the keys of a session of `role_arn`, got by the job's `token` alone: the request is not signed.

    Raises:
        ClientError: STS refuses it.

    """
    config = Config(signature_version=UNSIGNED).merge(aws.CLIENT_CONFIG)
    sts: Any = botocore.session.Session(session_vars=aws.NO_USER_SETTINGS).create_client(
        "sts", region_name=describe(layout).aws.region, endpoint_url=aws.get_endpoint(layout), config=config
    )
    answer: dict[str, Any] = sts.assume_role_with_web_identity(
        RoleArn=role_arn, RoleSessionName=SESSION, WebIdentityToken=token
    )
    found = answer["Credentials"]
    return aws.AccessKey(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def log_in(layout: EnvironmentLayout, role: str, token: str) -> str:
    """Return the Vault token that the job's `token` gets at CI's auth mount in `role`.

    Raises:
        VaultError: Vault refuses it.

    """
    path = f"auth/{describe_ci(layout).auth_mount.path}/login"
    answer = bao.open_client(layout).write_data(path, data={"role": role, "jwt": token})
    return str(answer["auth"]["client_token"])


def job_environment(layout: EnvironmentLayout, identity: SystemIdentity) -> dict[str, str]:
    """Return the environment of a job that is `identity`: its own AWS session and Vault token, and no other's.

    Raises:
        RehearsalError: AWS or Vault refuses the job.

    """
    token = sign_job_of(layout, identity)
    try:
        key = assume_role(layout, identity.role.arn("aws", account(layout)), token)
        vault_token = log_in(layout, identity.auth_role.name, token)
    except (ClientError, BotoCoreError, VaultError, requests.RequestException) as error:
        raise RehearsalError(
            f"CI's {identity.kind} can't log in: {error}", hint="the foundation makes it: deploy that first"
        ) from error
    login = DATABASE_LOGINS[identity.kind]
    shared = {name: value for name, value in deploy_environment(layout).items() if name not in OPERATOR_ONLY}
    return {
        **shared,
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": str(key.session),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BAO_TOKEN": vault_token,
        "PGPASSFILE": str(postgres.password_file(layout, login)),
        "PGUSER": login,
        "VAULT_TOKEN": vault_token,
    }
