"""The operator's real login in a running rehearsal: a person's token, then one Vault token and one AWS session.

Not a test module: what tests that stop things, or attack with that identity, share.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from narrowgate.compile import names
from narrowgate.compile.operator import compile_operator
from rehearsal import aws, bao, idp
from rehearsal.environments import account, describe

if TYPE_CHECKING:
    from narrowgate.compile.documents import OperatorDocuments
    from rehearsal.live import LiveRehearsal

GROUP = "incident-commanders"


def describe_operator(live: LiveRehearsal) -> OperatorDocuments:
    documents = compile_operator(describe(live.layout))
    assert documents is not None
    return documents


def sign_person(live: LiveRehearsal, user: str = "olga", group: str = GROUP) -> str:
    """Return a person's token for the operators' audience."""
    environment = describe(live.layout)
    audience = names.operator_audience(environment.identity.audience_prefix, environment.name)
    return idp.sign_token(live.layout, idp.Subject(user, (group,)), aud=audience)


def log_in_vault(live: LiveRehearsal, token: str) -> str:
    """Return the Vault token that a person's `token` gets; raise VaultError where Vault refuses it."""
    login = describe_operator(live).operator.auth_role
    answer = bao.open_client(live.layout).write_data(
        f"auth/{login.mount}/login", data={"role": login.name, "jwt": token}
    )
    return str(answer["auth"]["client_token"])


def assume_role(live: LiveRehearsal) -> aws.AccessKey:
    """Return the session that the people on call get of the operator's role."""
    people = aws.on_call(live.layout)
    assert people is not None
    key = aws.read_key(people)
    assert key is not None
    arn = describe_operator(live).operator.role.arn("aws", account(live.layout))
    found = aws.open_client(live.layout, "sts", key).assume_role(RoleArn=arn, RoleSessionName="olga")["Credentials"]
    return aws.AccessKey(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def operator_process(live: LiveRehearsal) -> dict[str, str]:
    """Return the environment of a process that has the operator's credentials and no other's."""
    key = assume_role(live)
    token = log_in_vault(live, sign_person(live))
    return {
        **live.environment(),
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": str(key.session),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BAO_TOKEN": token,
        "VAULT_TOKEN": token,
    }
