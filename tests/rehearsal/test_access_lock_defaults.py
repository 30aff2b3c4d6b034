"""What real servers take for a setting that is left out, held against the table by which the lock is compared."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from narrowgate.access.locked_settings import DEFAULTS, differing
from rehearsal.aws_login import register_aws_login
from rehearsal.engine import ensure_aws_login

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import hvac

    from rehearsal.live import LiveRehearsal

Json = dict[str, Any]

# The least that the server accepts of each kind of role: whatever it answers beyond that, it took by itself.
LOGINS: Final[Mapping[str, Json]] = {
    "approle": {},
    "aws": {"bound_iam_principal_arn": ["arn:aws:iam::111111111111:role/a"], "resolve_aws_unique_ids": False},
    "jwt": {"user_claim": "sub", "bound_audiences": ["a"], "allowed_redirect_uris": ["https://agents.example"]},
    "kubernetes": {"bound_service_account_names": ["a"], "bound_service_account_namespaces": ["a"]},
}
SECRETS: Final[Mapping[str, Json]] = {
    "database": {"db_name": "none", "creation_statements": ["SELECT 1"]},
    "pki": {},
}
# What the server makes up about the role itself; nobody can leave it out.
TOLD: Final = frozenset({"client_id", "role_id"})


@contextmanager
def mounted(bao: hvac.Client, kind: str, method: str) -> Iterator[str]:
    """Mount `method` under a name of its own, and take it away again."""
    where = f"/v1/sys/{kind}/defaults-{method}"
    bao.adapter.post(where, json={"type": method})
    try:
        yield f"auth/defaults-{method}" if kind == "auth" else f"defaults-{method}"
    finally:
        bao.adapter.delete(where)


def answer(bao: hvac.Client, path: str, given: Json) -> Json:
    """Write a role with `given` and return what the server says of it beyond that."""
    bao.adapter.post(f"/v1/{path}", json=given)
    said: Json = (bao.read(path) or {})["data"]
    return {name: value for name, value in said.items() if name not in given and name not in TOLD}


def hold(kind: str, taken: Json) -> set[str]:
    """Assert that what the server took by itself counts as left out, and return the names of it that say something."""
    assert differing({}, taken, kind) == []
    return {name for name, value in taken.items() if value}


def test_logins_have_the_defaults_of_the_table(servers: LiveRehearsal) -> None:
    bao = servers.vault()
    register_aws_login(servers.layout.bao / "plugins", bao, ensure_aws_login(print))
    seen: set[str] = set()
    for method, given in LOGINS.items():
        with mounted(bao, "auth", method) as path:
            seen |= hold("login", answer(bao, f"{path}/role/tried", given))
    # To resolve a principal by itself, the AWS login would have to ask AWS here.
    assert DEFAULTS["login"].keys() - seen == {"resolve_aws_unique_ids"}


@pytest.mark.parametrize("engine", sorted(SECRETS))
def test_roles_of_engines_have_the_defaults_of_the_table(servers: LiveRehearsal, engine: str) -> None:
    bao = servers.vault()
    with mounted(bao, "mounts", engine) as path:
        assert hold(engine, answer(bao, f"{path}/roles/tried", SECRETS[engine])) == DEFAULTS[engine].keys()


def test_identity_tokens_have_the_defaults_of_the_table(servers: LiveRehearsal) -> None:
    bao = servers.vault()
    bao.adapter.post("/v1/identity/oidc/key/defaults", json={"allowed_client_ids": ["*"]})
    try:
        taken = answer(bao, "identity/oidc/role/defaults", {"key": "defaults"})
    finally:
        bao.adapter.delete("/v1/identity/oidc/role/defaults")
        bao.adapter.delete("/v1/identity/oidc/key/defaults")
    assert hold("identity", taken) == DEFAULTS["identity"].keys()
