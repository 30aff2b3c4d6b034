"""What the tests of bearer, kv and pki tools and of logins without a user share. Not a test module."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import requests

from narrowgate.runtime import Agent, login
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

NIGHTLY = "nightly-reconciliation"
ISSUER_POLICY = "issuer-of-secret-ids"
FORBIDDEN = 403


def read_issuer_policy() -> str:
    """Return the policy that the documentation gives to whoever starts an agent that logs in by approle."""
    text = (CHECKOUT / "docs" / "backends.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)
    return str(policy)


def open_issuer(rehearsal: LiveRehearsal) -> Any:  # noqa: ANN401 - hvac is untyped
    """Return a client whose token has that policy and nothing else."""
    operator = rehearsal.vault()
    operator.sys.create_or_update_policy(ISSUER_POLICY, read_issuer_policy())
    made = operator.auth.token.create(policies=[ISSUER_POLICY], no_default_policy=True, ttl="30m", no_parent=True)
    return rehearsal.vault(made["auth"]["client_token"])


def ask(client: Any, method: str, path: str, body: object = None, **headers: str) -> requests.Response:  # noqa: ANN401 - hvac is untyped
    """Send one request as it is, past hvac, and return the answer."""
    answer: requests.Response = client.adapter.session.request(
        method,
        f"{client.url}/v1/{path}",
        headers={"X-Vault-Token": client.token, **headers},
        json=body,
        timeout=10,
    )
    return answer


def wrap_secret_id(rehearsal: LiveRehearsal, workflow: str = NIGHTLY) -> str:
    """Return a wrapping token with a secret id, as the documented policy allows."""
    path = f"auth/agents/{workflow}/role/agent/secret-id"
    answer = ask(open_issuer(rehearsal), "POST", path, **{"X-Vault-Wrap-TTL": "60s"})
    assert answer.status_code == requests.codes.ok, answer.text
    return str(answer.json()["wrap_info"]["token"])


@contextlib.contextmanager
def nightly_agent(rehearsal: LiveRehearsal) -> Iterator[Agent]:
    with login(rehearsal.manifest(NIGHTLY), wrap_secret_id(rehearsal)) as agent:
        yield agent


@contextlib.contextmanager
def nightly_client(rehearsal: LiveRehearsal) -> Iterator[Any]:
    """Yield a plain client of Vault with the agent's own token, to try what the library never would."""
    operator = rehearsal.vault()
    mount = f"auth/agents/{NIGHTLY}"
    made = operator.write_data(f"{mount}/role/agent/secret-id", data={})
    body = {"role_id": f"narrowgate:dev:{NIGHTLY}", "secret_id": made["data"]["secret_id"]}
    answer = rehearsal.vault("").write_data(f"{mount}/login", data=body)
    client = rehearsal.vault(answer["auth"]["client_token"])
    try:
        yield client
    finally:
        client.auth.token.revoke_self()
